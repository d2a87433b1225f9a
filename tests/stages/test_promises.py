from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.contracts import RunContext
from cardrunner.runs.environment import collect_environment
from cardrunner.stages.load import promise_facts
from tests.ledger_lines import record

Runs = Callable[..., Any]


def commit_all(folder: Path) -> str:
    def git(*words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    (folder / "code.py").write_text("1\n")
    git("add", "code.py")
    git("commit", "-qm", "code")
    return git("rev-parse", "HEAD").strip()


def facts_of(ctx: RunContext, workspace: Path) -> dict[str, Any]:
    environment = collect_environment(workspace).model_dump(mode="json")
    record(ctx.ledger, "attempt_started", attempt=1, environment=environment)
    return {fact.name: fact for fact in promise_facts(ctx)}


def test_a_card_that_promises_nothing_has_no_row(toy_run: Runs, tmp_path: Path) -> None:
    assert facts_of(toy_run().context(), tmp_path) == {}


def test_the_pinned_commit_is_the_one_that_runs(toy_run: Runs, tmp_path: Path) -> None:
    commit = commit_all(tmp_path)
    fact = facts_of(toy_run({"code": {"commit": commit[:10]}}).context(), tmp_path)["code commit"]
    assert fact.ok
    assert fact.actual == commit


@pytest.mark.parametrize("change", ["another commit", "a changed file", "no git"])
def test_other_code_than_the_pinned_is_an_error(toy_run: Runs, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    pinned = "0123456789" if change == "no git" else commit_all(folder)[:10]
    if change == "another commit":
        pinned = "0123456789"
    if change == "a changed file":
        (folder / "code.py").write_text("2\n")
    fact = facts_of(toy_run({"code": {"commit": pinned}}).context(), folder)["code commit"]
    assert not fact.ok
    assert fact.severity == "error"
