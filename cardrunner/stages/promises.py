"""What a card promises beside its data: the commit it was reviewed with."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.contracts import Fact
from cardrunner.runs.context import RunContext
from cardrunner.runs.records import Environment


def promise_facts(ctx: RunContext) -> Iterator[Fact]:
    """Rows for the expected-against-actual table; the environment is the one this attempt recorded."""
    if ctx.card.code is not None:
        yield _commit_fact(ctx.card.code.commit, _environment(ctx))


def _environment(ctx: RunContext) -> Environment | None:
    started = ctx.ledger.last("attempt_started")
    return Environment.model_validate(started["environment"]) if started and started.get("environment") else None


def _commit_fact(pinned: str, environment: Environment | None) -> Fact:
    commit = environment.git_commit if environment else None
    changed = bool(environment and environment.git_dirty)
    return Fact(
        name="code commit",
        expected=pinned,
        actual=(commit or "not under git") + (" with uncommitted changes" if changed else ""),
        ok=commit is not None and commit.startswith(pinned) and not changed,
        note=None if commit and not changed else "check out the pinned commit, or have the card reviewed again",
    )
