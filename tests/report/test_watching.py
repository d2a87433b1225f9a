from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.report.notes import tracking_facts, untracked
from cardrunner.report.recorded import RecordedRun, read_run
from cardrunner.runs.ledger import Ledger
from tests.ledger_lines import record

TRACKED = {"infra.tracking": {"wandb": {"project": "p"}, "tensorboard": True}}
ON = {"mode": "offline", "id": "r-1", "later": "wandb sync x", "message": "no key"}


@pytest.fixture
def recorded(toy_run: Callable[..., Any]) -> Callable[..., RecordedRun]:
    """A run whose trackers said this, in turn."""

    def make(*said: tuple[str, str, dict[str, Any]]) -> RecordedRun:
        folder = toy_run(TRACKED).folder
        ledger = Ledger(folder.ledger)
        record(ledger, "attempt_started", attempt=1)
        for name, state, told in said:
            where = {"where": str(folder.root / name)} if state == "on" else {}
            record(ledger, "tracker", attempt=1, name=name, state=state, **where, **told)
        return read_run(folder, registry.workload_spec, registry.stages_of)

    return make


def test_the_table_says_where_each_tracker_has_the_run(recorded: Callable[..., RecordedRun]) -> None:
    run = recorded(("wandb", "on", ON), ("wandb", "ended", {}), ("tensorboard", "on", {"mode": "offline", "id": "r"}))
    facts = tracking_facts(run)
    rows = [[getattr(cell, "text", cell) for cell in row] for row in facts.table.rows]
    assert rows[1] == ["wandb", "offline", "wandb", "tracked to the end", "no key"]
    assert rows[2] == ["tensorboard", "offline", "tensorboard", "still open when this page was made", "id r"]
    assert [command.text for command in facts.later] == ["wandb sync x"]
    assert untracked(run) == ()


def test_trackers_that_did_not_watch_are_named_with_why(recorded: Callable[..., RecordedRun]) -> None:
    run = recorded(("wandb", "failed", {"message": "it is switched off"}))
    assert untracked(run) == (("wandb", "it is switched off"), ("tensorboard", "it never reported"))
    rows = [[getattr(cell, "text", cell) for cell in row] for row in tracking_facts(run).table.rows]
    assert rows[1][3] == "⚠ did not track"
    assert rows[2][3] == "⚠ never reported"
