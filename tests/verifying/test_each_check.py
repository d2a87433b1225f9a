"""Each check finds a damage that no other check finds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import KeptCode, write_record
from cardrunner.verifying import CHECKS
from tests.verifying.conftest import Kept, Rows, differing, edit_json, edit_lines

WRITTEN = "lines, records and files are as they were written and sealed"


class Case(NamedTuple):
    """A damage, and what the check that finds it says."""

    check: str
    damage: Callable[[RunFolder], object]
    says: str
    run: str = "retried"


def ledger(change: Callable[[Rows], object]) -> Callable[[RunFolder], object]:
    return lambda folder: edit_lines(folder.ledger, change)


def history(change: Callable[[Rows], object]) -> Callable[[RunFolder], object]:
    return lambda folder: edit_lines(folder.history, change)


def stage(name: str, **values: object) -> Callable[[RunFolder], object]:
    return lambda folder: edit_json(folder.record(name), lambda record: record.update(values))


def event(rows: Rows, name: str, number: int = 0, **wanted: object) -> dict[str, Any]:
    """One event of a ledger."""
    fits = [row for row in rows if row["event"] == name and all(row.get(key) == wanted[key] for key in wanted)]
    return fits[number]


def set_event(name: str, number: int = 0, /, **values: object) -> Callable[[RunFolder], object]:
    return ledger(lambda rows: event(rows, name, number).update(values))


def drop_event(name: str, number: int = 0, /, **wanted: object) -> Callable[[RunFolder], object]:
    return ledger(lambda rows: rows.remove(event(rows, name, number, **wanted)))


def add_event(name: str, /, **values: object) -> Callable[[RunFolder], object]:
    return ledger(lambda rows: rows.append({"at": rows[-1]["at"], "event": name, **values}))


def append(text: str, file: str) -> Callable[[RunFolder], object]:
    def damage(folder: RunFolder) -> None:
        with (folder.root / file).open("a") as stream:
            stream.write(text + "\n")

    return damage


def validation(rows: Rows, epoch: int) -> dict[str, Any]:
    return next(row for row in rows if row["kind"] == "validation" and row["epoch"] == epoch)


def later_clock(rows: Rows, seconds: float, *, of: slice) -> None:
    for row in rows[of]:
        row["clock"]["total_seconds"] += seconds


def renumbered(folder: RunFolder) -> None:
    """Attempt 2 becomes attempt 3, everywhere."""

    def change(rows: Rows) -> None:
        for row in rows:
            for place in (row, row.get("clock", {})):
                if place.get("attempt") == 2:
                    place["attempt"] = 3

    edit_lines(folder.ledger, change)
    edit_lines(folder.history, change)


def second_attempt(rows: Rows) -> Rows:
    return [row for row in rows if row["clock"]["attempt"] == 2]


def other_goal(folder: RunFolder) -> None:
    goal = "Find out whether the machinery works"
    for path in (folder.card_yaml, folder.card_json):
        path.write_text(path.read_text().replace(goal, "Find out whether it works"))


def other_name(folder: RunFolder) -> None:
    folder.root.rename(folder.root.with_name("another"))
    folder.root.symlink_to(folder.root.with_name("another"))


def flipped(folder: RunFolder) -> None:
    path = folder.checkpoints / "state-e0002-s000000016.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def stage_file_changed(folder: RunFolder) -> None:
    (folder.root / "listing").mkdir()
    (folder.root / "listing" / "files.txt").write_text("a changed text")
    digest = hashlib.sha256(b"the made text").hexdigest()
    made = {"path": "listing/files.txt", "bytes": 14, "sha256": digest}
    folder.record("listing").write_text(json.dumps({"files": [made], "summary": {}, "seconds": 1.0}))


def code_changed(folder: RunFolder) -> None:
    folder.code.mkdir()
    (folder.code / "train.py").write_text("raise SystemExit")
    sums = {"train.py": "0" * 64}
    write_record(folder.code_record, KeptCode(folder=".", files=("train.py",), sha256="0" * 64, commit=None, sums=sums))


def entry(file: str, **values: object) -> Callable[[RunFolder], object]:
    def change(manifest: Any) -> None:
        next(one for one in manifest["entries"] if one["file"] == file).update(values)

    return lambda folder: edit_json(folder.manifest, change)


def state_metric(folder: RunFolder) -> None:
    def change(manifest: Any) -> None:
        state = next(one for one in manifest["entries"] if one["file"].endswith("e0002-s000000016.pt"))
        state["metrics"]["val_loss/total"] += 1e-6

    edit_json(folder.manifest, change)


def failed_fact(record: Any) -> None:
    record["facts"][-1]["ok"] = False


CASES = (
    Case("every line is an event", append("not a line}", "ledger.jsonl"), "line 37: is not a JSON object"),
    Case(
        "it begins with the creation of the run, which is there once",
        ledger(lambda rows: rows.insert(3, rows[0])),
        "line 4: 'created' again, after line 1",
    ),
    Case("attempts are numbered 1, 2, 3", renumbered, "attempt 3 starts where attempt 2 would"),
    Case(
        "every event of an attempt comes after its start",
        add_event("warning", attempt=5, message="late"),
        "belongs to attempt 5, which has not started",
    ),
    Case("every attempt was submitted", drop_event("submitted", 1), "attempt 2 starts after 1 submissions"),
    Case(
        "an attempt ends once",
        ledger(lambda rows: rows.insert(rows.index(event(rows, "attempt_ended", 1)), event(rows, "attempt_ended", 1))),
        "attempt 2 ends a second time",
    ),
    Case(
        "one attempt is open at a time",
        ledger(
            lambda rows: rows.insert(
                rows.index(event(rows, "training", 1)), {**event(rows, "training", 1), "attempt": 1}
            )
        ),
        "'training' of attempt 1 after attempt 2 has started",
    ),
    Case(
        "no attempt follows a completed run",
        add_event("leaving", attempt=2, reason="stopped"),
        "where the run was completed",
    ),
    Case(
        "times never go back within one writer",
        set_event("submitted", 1, at="2026-03-02T10:07:33.479Z"),
        "2026-03-02T10:07:33.479Z is before 2026-03-02T10:37:26.407Z of line 3",
    ),
    Case(
        "attempts took no longer than their times are apart",
        set_event("attempt_ended", 1, seconds=7380.0),
        "attempt 2 took 7380 s, and its times are 7.380 s apart",
    ),
    Case(
        "each state has an exit code that belongs to it",
        set_event("attempt_ended", exit_code=0),
        "attempt 1 ended as failed with exit code 0",
    ),
    Case(
        "a run that was finished has the exit code it ended with",
        set_event("finished", exit_code=5),
        "finished with exit code 5, and attempt 2 ended with 0",
    ),
    Case(
        "a paused run went on only after an acknowledgement",
        drop_event("acknowledged"),
        "no one acknowledged what paused the run in line 14",
        "acknowledged",
    ),
    Case(
        "stages ran in order, each after the one before had succeeded",
        set_event("stage_ended", ok=False),
        "'stage_started' train in attempt 1, where load has not succeeded",
    ),
    Case("a stage that ended had started", drop_event("stage_started", stage="download"), "without having started"),
    Case(
        "checkpoints were saved at rising steps",
        ledger(
            lambda rows: rows.insert(
                rows.index(event(rows, "stage_ended", 2)),
                {**event(rows, "checkpoint_saved", -1), "file": "checkpoints/x.pt", "step": 2, "roles": []},
            )
        ),
        "saves step 2 after step 24",
    ),
    Case(
        "committed steps never fall",
        ledger(
            lambda rows: rows.extend(
                {"at": rows[-1]["at"], "event": "committed", "attempt": 2, "durable_step": step} for step in (24, 8)
            )
        ),
        "step 8 is durable, and step 24 was before",
    ),
    Case(
        "training went on only from saved states",
        set_event("resumed", epoch=2),
        "said to be of epoch 2, step 8; it was saved at epoch 1, step 8",
    ),
    Case("retries are those that the card allows", set_event("retried", of=9), "infra.retries of the card is 1"),
    Case("every line is a row", append('{"kind": "train"}', "history.jsonl"), "is not a row of a history"),
    Case(
        "no row is there twice",
        history(lambda rows: rows.insert(1, rows[0])),
        "line 2: a train row of step 3, which line 1 is already",
    ),
    Case(
        "steps, epochs and examples rise together",
        history(lambda rows: rows[0].update(examples=960)),
        "192 examples at step 6, after 960 at step 3",
    ),
    Case(
        "each epoch was validated once, in order",
        history(lambda rows: validation(rows, 1).update(epoch=2)),
        "a validation of epoch 2, where that of epoch 1 belongs",
        "out-of-memory-restart",
    ),
    Case(
        "the progress of a row lies in its epoch",
        history(lambda rows: rows[0].update(progress=5.0)),
        "line 1: progress 5 in epoch 1",
    ),
    Case(
        "all epochs have the same length",
        history(lambda rows: validation(rows, 2).update(examples=500)),
        "examples 500 after epoch 2, and 256 after epoch 1",
    ),
    Case(
        "its metrics are those of the workload",
        history(lambda rows: rows[0]["metrics"].update({"loss/totam": 1.0})),
        "'loss/totam' is no metric of toy",
    ),
    Case(
        "rows belong to started attempts and lie in their time",
        history(lambda rows: rows[-1]["clock"].update(attempt=7)),
        "was written by attempt 7, after rows of attempt 2; the ledger has no such attempt",
    ),
    Case(
        "time and money never fall",
        history(lambda rows: later_clock(rows, 0.9, of=slice(0, 1))),
        "line 2: clock.total_seconds 5.89",
    ),
    Case(
        "the clocks of a row agree",
        history(lambda rows: later_clock(rows, 5.0, of=slice(-1, None))),
        "since the row before, clock.total_seconds grew by 5.0",
    ),
    Case(
        "cost is time at the card's price",
        history(lambda rows: rows[-1]["clock"].update(cost_usd=0.5)),
        "clock.cost_usd is 0.5, and 13.",
    ),
    Case(
        "attempts took as long as their rows say",
        history(lambda rows: later_clock(second_attempt(rows), 400.0, of=slice(None))),
        "and the attempts up to 2 took 13.311 by the ledger",
    ),
    Case(
        "a verdict names a kill threshold of the card and its action",
        set_event("verdict", action="warn"),
        "kill threshold 1 is said to warn, and the card has investigate",
        "acknowledged",
    ),
    Case(
        "a verdict names a row of the history",
        set_event("verdict", epoch=2),
        "a verdict on the validation row of step 8 in epoch 2",
        "acknowledged",
    ),
    Case(
        "judged again, the history gives the same verdicts",
        set_event("verdict", value=0.8101711213588715),
        "judged again it is 0.9101711213588715 against 0.1",
        "acknowledged",
    ),
    Case(
        "restarts are those that the card registered",
        set_event("restarted", set={"training.learning_rate": 0.005}),
        'a restart with {"training.learning_rate": 0.005}, which no verdict before it asks for',
        "loss-restart",
    ),
    Case(
        "every record can be read",
        lambda folder: folder.checks.write_text("{"),
        "checks.json: it is not a readable ChecksRecord",
    ),
    Case(
        "launch record, plan and ledger tell of the same launch",
        lambda folder: edit_json(folder.launch, lambda record: record.update(executor="inline")),
        "launch.json: executor is 'inline', and line 1 of ledger.jsonl has 'local'",
    ),
    Case("the folder has the name of the launched run", other_name, "run is 'retried', and the folder is called"),
    Case(
        "card.json has the values of card.yaml",
        lambda folder: edit_json(folder.card_json, lambda card: card["infra"].update(price=0.01)),
        "card.json: infra.price is 0.01, and the card has null",
    ),
    Case(
        "the recorded data is what the newest attempt opened",
        lambda folder: edit_json(folder.record("load"), lambda record: record["identity"].update(seed=1)),
        "stages/load.json: the digest of its identity is",
    ),
    Case(
        "the data agreed with the card, and pinned digests are the card's",
        lambda folder: edit_json(folder.record("load"), failed_fact),
        "examples is '320', expected '320', and the run trained",
    ),
    Case(
        "a completed run has the records of one",
        lambda folder: folder.record("checkpoint").unlink(),
        "stages/checkpoint.json: is missing",
    ),
    Case(
        "the training record counts what the history has",
        stage("train", steps=25),
        "steps is 25, and the last row of history.jsonl has 24",
    ),
    Case(
        "the best validation of the history is the recorded best",
        history(lambda rows: validation(rows, 1)["metrics"].update({"val_loss/total": 0.1})),
        "of epoch 3, step 24, and history.jsonl has val_loss/total 0.1 of epoch 1, step 8",
    ),
    Case(
        "best.pt and latest.pt are those of the training record",
        stage("train", weights_sha256="0" * 64),
        "weights_sha256 is 0000",
    ),
    Case(
        "metrics in the manifest are those of the history",
        state_metric,
        "the metrics of checkpoints/state-e0002-s000000016.pt are not those of the validation before step 16",
    ),
    Case(
        "saved checkpoints stand in ledger and manifest alike",
        ledger(
            lambda rows: event(rows, "checkpoint_saved", file="checkpoints/export-e0003-s000000024.pt").update(epoch=2)
        ),
        "is of epoch 3, step 24; line 24 of ledger.jsonl has epoch 2, step 24",
    ),
    Case(
        "names of one file have the same digests",
        entry("best-val_metric-accuracy.pt", weights_sha256="0" * 64),
        "weights_sha256 of best-val_metric-accuracy.pt is 0000",
        "completed",
    ),
    Case(
        "the validated checkpoint is best.pt, and its sums are right",
        stage("checkpoint", largest_difference=1e-6),
        "largest_difference is 1e-06, agrees True; from its own values they are 0.0 and True",
    ),
    Case(
        "the downloaded checkpoint is the one of the manifest",
        stage("download", bytes=9524),
        "best.pt had 9524 bytes",
    ),
    Case(
        "the results card is of this run and not older than the ledger",
        lambda folder: folder.results.write_text(folder.results.read_text().replace("b38fc1657d", "b38fc1657e")),
        "does not have the digest of the card that was launched",
    ),
    Case(
        "checkpoints have the size and sha256 of the manifest",
        flipped,
        "checkpoints/state-e0002-s000000016.pt: its sha256 is",
    ),
    Case(
        "the copy of a script's code is what was signed",
        code_changed,
        "code/train.py: is not what was signed and copied",
    ),
    Case("files of stages have their recorded size and sha256", stage_file_changed, "listing/files.txt: its sha256 is"),
    Case("the card's digest, computed again, is the launched one", other_goal, "card.yaml: its digest is"),
    Case(
        "its approvals count by the files of the launch",
        lambda folder: edit_json(folder.approvals, lambda rows: rows[0].update(policy="ssh")),
        "approvals.json: policy of mattie is 'ssh', and the card has 'boxes'",
    ),
    Case(
        "the checks of its checklist passed at the launch",
        lambda folder: edit_json(folder.checks, lambda record: record["rows"][0].update(ok=False)),
        "did not pass, and the run was launched",
        "signed",
    ),
)
ELSEWHERE = {
    "pinned data files have the pinned sha256 now",
    "the downloaded copy is what was downloaded",
    "its approvals count by the workspace's keys of today",
    "rules and blocks of today",
    "the workspace admitted this launch, with these files",
    "signatures over seals fit and count today",
    WRITTEN,
}
"""Checks with tests of their own: what they look at is outside the run folder, or in no folder of an older version."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.check)
def test_a_check_alone_finds_its_damage(case: Case, kept: Kept) -> None:
    folder = kept(case.run)
    case.damage(folder)
    if folder.root.is_symlink():  # renamed
        folder = RunFolder(folder.root.resolve())
    found = differing(folder)
    assert [name for name in found if name != WRITTEN] == [case.check], found
    assert case.says in " ".join(found[case.check])


def test_every_check_has_a_damage_that_it_alone_finds() -> None:
    assert {case.check for case in CASES} | ELSEWHERE == {check.name for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_the_page_lists_every_check_under_its_group() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    sections = page.split("\n## ")[1:]
    listed = {
        section.split("\n")[0].lower(): re.findall(r"^\| (?!check \|)([^|]+?) \|", section, re.M)
        for section in sections
    }
    table: dict[str, list[str]] = {}
    for check in CHECKS:
        table.setdefault(check.group, []).append(check.name)
    assert listed == table
