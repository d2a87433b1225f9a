from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.contracts import RunContext
from cardrunner.errors import GateClosed, IntegrityError, RestartWanted, RunStopped, UsageError
from cardrunner.launching.judgement import check_launched
from cardrunner.launching.pipeline import open_context, run_worker_stages
from cardrunner.launching.worker import run_worker
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import MOST_RESTARTS, load_frozen, with_changes
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, read_record, write_record
from cardrunner.tracking.progress import NullProgress
from tests.ledger_lines import record, recorded


class Stub:
    """A stage that does what it is told, in turn, and keeps no record."""

    name, side, record = "stub", "worker", None

    def __init__(self, *ends: Exception | None) -> None:
        self.ends, self.cards = list(ends), []  # type: ignore[var-annotated]

    def run(self, ctx: RunContext) -> None:
        self.cards.append(ctx.card)
        end = self.ends.pop(0) if self.ends else None
        if isinstance(end, RestartWanted):  # the rule that asks for it is on record first
            fired = {"rule": 0, "action": "restart", "kind": "event", "epoch": 1, "step": 3}
            record(ctx.ledger, "verdict", attempt=ctx.attempt, **fired)
        if end is not None:
            raise end


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts stages in place of the real ones."""

    def put(**chosen: Stub) -> None:
        monkeypatch.setattr(registry, "stage", lambda name: chosen.get(name, Stub()))

    return put


RESTARTS = {
    "kill_thresholds": [{"event": "out_of_memory", "action": "restart", "set": {"training.batch_size": 16}}],
}


def wanted(size: int = 16) -> RestartWanted:
    return RestartWanted("out of memory at step 3", {"training.batch_size": size})


def test_a_restart_changes_the_card_and_runs_the_stage_again(
    toy_run: Callable[..., Any], stages: Callable[..., None]
) -> None:
    train = Stub(wanted(16))
    stages(train=train)
    run = toy_run(RESTARTS)
    run_worker_stages(run.context())
    assert [card.training.batch_size for card in train.cards] == [32, 16]
    ends = [(event["stage"], event["ok"]) for event in run.events("stage_ended")]
    assert ends == [("load", True), ("train", False), ("train", True), ("checkpoint", True)]


def test_what_a_restart_set_holds_after_a_resume(toy_run: Callable[..., Any], stages: Callable[..., None]) -> None:
    stages(train=Stub(wanted(16)))
    run = toy_run(RESTARTS)
    run_worker_stages(run.context())
    assert run.context().card.training.batch_size == 16
    assert run.context().digest == load_frozen(run.folder, registry.workload_spec).digest


def test_a_restart_that_does_not_help_ends_the_run(toy_run: Callable[..., Any], stages: Callable[..., None]) -> None:
    stages(train=Stub(*[wanted() for _ in range(MOST_RESTARTS + 1)]))
    run = toy_run(RESTARTS)
    with pytest.raises(RunStopped, match=r"3 restarts with training\.batch_size = 16 did not help"):
        run_worker_stages(run.context())
    assert len(run.events("restarted")) == MOST_RESTARTS


def test_a_restart_that_nobody_agreed_to_is_not_made(toy_run: Callable[..., Any], stages: Callable[..., None]) -> None:
    """The ledger decides with which values a resume goes on, so it may tell only of restarts that were signed."""
    train = Stub(wanted(16))
    stages(train=train)
    run = toy_run(RESTARTS)
    run_worker_stages(run.context())
    assert run.context().card.training.batch_size == 16
    ledger = run.folder.ledger.read_bytes()
    forgeries: list[dict[str, Any]] = [{"set": {"training.epochs": 900}}, {"set": {}}, {"set": [["a", 9]]}, {}]
    for forged in forgeries:
        run.folder.ledger.write_bytes(ledger)
        record(Ledger(run.folder.ledger), "restarted", reason="so", **forged)
        told = re.escape(json.dumps(forged.get("set")))
        with pytest.raises(IntegrityError, match=f"has a restart with {told}, which no kill threshold"):
            run.context()
    run.folder.ledger.write_bytes(b"".join(line for line in ledger.splitlines(True) if b'"verdict"' not in line))
    with pytest.raises(IntegrityError, match="before which no kill threshold asked for it"):
        run.context()
    assert run_worker(run.folder.root) == 4


def test_a_card_that_is_swapped_after_the_check_does_not_run(
    toy_run: Callable[..., Any], stages: Callable[..., None]
) -> None:
    """Card and launch record together, so that they agree with each other, but not with what was checked."""
    run, other = toy_run(RESTARTS), toy_run({**RESTARTS, "training.epochs": 9}, name="other")
    digest, ctx = check_launched(run.folder), run.context()
    run.folder.card_yaml.write_bytes(other.folder.card_yaml.read_bytes())
    record = read_record(run.folder.launch, LaunchRecord)
    write_record(run.folder.launch, record.model_copy(update={"card_digest": other.context().digest}))
    with pytest.raises(IntegrityError, match="was changed after the launch"):
        open_context(run.folder, stop=StopRequest(), progress=NullProgress(), attempt=1, digest=digest)
    stages(train=Stub(wanted(16)))
    with pytest.raises(IntegrityError, match="was changed after the launch"):
        run_worker_stages(ctx)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training.batch_size": 0}, "training.batch_size"),
        ({"training.batch_sise": 4}, "batch_sise"),
        ({"nothing.at.all": 1}, "nothing"),
    ],
)
def test_a_restart_that_the_schema_forbids_is_named(
    toy_run: Callable[..., Any], change: dict[str, object], message: str
) -> None:
    loaded = load_frozen(toy_run().folder, registry.workload_spec)
    with pytest.raises(UsageError, match=message):
        with_changes(loaded, [change])


def test_a_request_between_stages_ends_the_run(toy_run: Callable[..., Any], stages: Callable[..., None]) -> None:
    train = Stub()
    stages(train=train)
    run, stop = toy_run(), StopRequest()
    stop.request("stopped")
    with pytest.raises(RunStopped):
        run_worker_stages(run.context(stop=stop))
    assert not train.cards


def test_a_failing_stage_is_recorded_with_its_error(toy_run: Callable[..., Any], stages: Callable[..., None]) -> None:
    stages(load=Stub(IntegrityError("2 games are missing")))
    run = toy_run()
    with pytest.raises(IntegrityError):
        run_worker_stages(run.context())
    (ended,) = run.events("stage_ended")
    assert (ended["ok"], ended["error"]) == (False, "2 games are missing")


def test_the_worker_always_records_how_the_attempt_ended(
    toy_run: Callable[..., Any], stages: Callable[..., None]
) -> None:
    stages(train=Stub(ValueError("oops"), IntegrityError("bad bytes"), None))
    folder: RunFolder = toy_run().folder
    assert [run_worker(folder.root) for _ in range(4)] == [1, 4, 0, 0]
    ends = [
        (event["attempt"], event["state"], event["exit_code"])
        for event in recorded(Ledger(folder.ledger), "attempt_ended")
    ]
    assert ends == [(1, "failed", 1), (2, "failed", 4), (3, "completed", 0)]
    assert "ValueError: oops" in folder.log.read_text()
    assert "failed: bad bytes" in folder.log.read_text()


def test_a_worker_opens_the_gate_once_more(toy_run: Callable[..., Any]) -> None:
    folder: RunFolder = toy_run().folder
    check_launched(folder)
    folder.card_yaml.write_text(folder.card_yaml.read_text().replace('"signed": true', '"signed": null'))
    with pytest.raises(GateClosed, match="mattie"):
        check_launched(folder)
    assert run_worker(folder.root) == 3


def test_a_worker_runs_only_what_was_launched(toy_run: Callable[..., Any]) -> None:
    folder: RunFolder = toy_run().folder
    folder.card_yaml.write_text(folder.card_yaml.read_text().replace('"epochs": 3', '"epochs": 30'))
    assert run_worker(folder.root) == 4
    folder.card_yaml.write_text("{")
    assert run_worker(folder.root) == 4


def test_a_worker_without_a_run_ends_with_a_message_not_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cardrunner.launching.worker", str(tmp_path / "absent")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stderr.startswith("cannot write")
    assert "Traceback" not in done.stderr


def test_a_context_imports_no_torch_before_it_is_needed() -> None:
    probe = (
        "import sys, cardrunner.launching.worker, cardrunner.launching.launch\n"
        "print([m for m in ('torch', 'numpy', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_context_is_made_of_the_folder_alone(toy_run: Callable[..., Any], tmp_path: Path) -> None:
    folder: RunFolder = toy_run().folder
    ctx = open_context(folder, stop=StopRequest(), progress=NullProgress(), attempt=1)
    assert (ctx.workspace.root, ctx.card.name, ctx.attempt) == (tmp_path, "toy-run", 1)
    assert ctx.workload.spec.name == "toy"
