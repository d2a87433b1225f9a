"""The preflight of a script: whether it can train here, before it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cardrunner.contracts import Fact, RunContext
from cardrunner.workloads.command.beside import Beside, BesideEnd
from cardrunner.workloads.command.spec import training_of

FIELD: Final = "training.preflight"
_LINES: Final = 10
_CHARACTERS: Final = 200


def preflight_facts(ctx: RunContext) -> Iterator[Fact]:
    """The row about the preflight, which has to end with 0; empty for a card without one.

    Raises:
        CardrunnerError: the run was asked to stop, or there is no such program.
    """
    section = training_of(ctx.card).preflight
    if section is None:
        return
    beside = Beside(ctx=ctx, name="preflight", place=FIELD, section=section, out=ctx.folder.beside / "preflight")
    beside.make_ready()
    ended = beside.run()
    said = " | ".join(line[:_CHARACTERS] for line in ended.tail[-_LINES:]) or "it printed no line"
    yield Fact(
        name="result of the preflight",
        expected="exit code 0",
        actual=_result(ended),
        ok=ended.failure is None,
        note=None if ended.failure is None else f"its last lines: {said}",
    )


def _result(ended: BesideEnd) -> str:
    if ended.timed_out or ended.code is None or ended.code < 0:
        return str(ended.failure)
    return f"exit code {ended.code}"
