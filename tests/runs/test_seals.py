from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.damage import Damage
from cardrunner.runs.events import AttemptStarted, Opened, Sealed, Submitted
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.inspect import in_lines, needed_to_resume, run_damage
from cardrunner.runs.lease import is_live
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, read_record, write_record
from cardrunner.runs.seals import CHANGES, OUTSIDE, changing, check_seal, is_open, newest_seal
from cardrunner.runs.status import derive_status
from tests.conftest import MakeToyRun, ToyRun
from tests.forgeries.rewritten import reseal
from tests.runs.conftest import MakeRun

Warn = Callable[[str], object]


class Killed(BaseException):
    """The process ends: nothing that it would still do happens."""


@contextmanager
def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let some writes, flushes and renames happen, and none of those after them; gives the steps that are left."""
    left = [steps]
    with monkeypatch.context() as patched:
        for name in ("write", "fsync", "replace", "link", "unlink", "pwrite"):
            patched.setattr(os, name, dying(getattr(os, name), left))
        with suppress(Killed):
            yield left


def dying(real: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        if left[0] <= 0:
            left[0] = -1
            raise Killed
        left[0] -= 1
        return real(*arguments, **named)

    return call


@pytest.fixture
def folder(make_run: MakeRun) -> RunFolder:
    """A run that was launched, ended, reported and sealed."""
    folder = make_run()
    Ledger(folder.ledger).append(Submitted(executor="local"))
    write_text(folder.record("demo"), "{}\n")
    write_text(folder.demo / "page.html", "a demo\n")
    report(folder, "the page\n")
    return folder


def report(folder: RunFolder, text: str, *, warn: Warn = lambda _: None, command: str = "report") -> None:
    with changing(folder, command, warn=warn):
        write_text(folder.results, text)


def grave(folder: RunFolder) -> list[Damage]:
    return [damage for damage in run_damage(folder) if damage.grave]


def test_a_launch_seals_what_it_wrote(make_run: MakeRun) -> None:
    kept = newest_seal(make_run())
    assert kept is not None
    assert (kept.seal.number, kept.seal.command, kept.seal.after) == (1, "launch", None)
    assert sorted(kept.seal.files) == ["approvals.json", "card.json", "card.yaml", "launch.json", "plan.json"]


def test_a_command_appends_a_seal_that_names_what_it_changed(folder: RunFolder) -> None:
    before = newest_seal(folder)
    report(folder, "another page\n")
    kept, event = newest_seal(folder), Ledger(folder.ledger).last(Sealed)
    assert before is not None
    assert kept is not None
    assert event is not None
    assert kept.seal.changed == event.changed == ("results.md",)
    assert (event.number, event.seal, event.command) == (kept.seal.number, kept.digest, "report")
    assert kept.seal.after == before.digest
    assert check_seal(folder) == []


def test_leases_locks_heartbeats_and_logs_are_outside(folder: RunFolder) -> None:
    for path in (folder.lease, folder.supervisor, folder.heartbeat, folder.log, folder.stop_request, folder.submitting):
        path.write_text("whatever\n")
        assert path.name in OUTSIDE
    assert check_seal(folder) == []


@pytest.mark.parametrize(
    "name", ["card.yaml", "approvals.json", "plan.json", "card.json", "launch.json", "results.md", "demo/page.html"]
)
def test_a_sealed_file_that_changes_or_goes_is_named(folder: RunFolder, name: str) -> None:
    path = folder.root / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"X")
    assert [(one.file, one.kind) for one in check_seal(folder)] == [(name, "changed")]
    path.unlink()
    assert [(one.file, one.kind) for one in check_seal(folder)] == [(name, "missing")]
    path.write_bytes(data)
    assert check_seal(folder) == []


@pytest.mark.parametrize("name", ["stages/train.json", "trust/allowed_signers", "sources/1-base.yaml", "checks.json"])
def test_a_record_that_no_command_wrote_is_named(folder: RunFolder, name: str) -> None:
    (folder.root / name).parent.mkdir(exist_ok=True)
    (folder.root / name).write_text("{}\n")
    assert [(one.file, one.kind) for one in check_seal(folder)] == [(name, "unexpected")]


def test_a_file_of_the_reader_in_a_run_folder_is_his_own(folder: RunFolder) -> None:
    (folder.root / "my-notes.txt").write_text("looks good\n")
    assert run_damage(folder) == run_damage(folder)
    assert check_seal(folder) == []


def test_a_ledger_may_grow_and_its_beginning_stays(folder: RunFolder) -> None:
    Ledger(folder.ledger).append(Opened(command="report"))
    assert check_seal(folder) == []
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    lines[0], lines[1] = lines[1], lines[0]
    folder.ledger.write_bytes(b"".join(lines))
    assert [(one.file, one.kind) for one in check_seal(folder)] == [("ledger.jsonl", "changed")]
    folder.ledger.write_bytes(lines[0])
    assert [(one.file, one.kind) for one in check_seal(folder)] == [("ledger.jsonl", "missing")]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_seal_that_is_changed_or_gone_is_named(folder: RunFolder, number: int) -> None:
    report(folder, "another page\n")
    path = folder.seal(number)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"bytes": ', b'"bytes": 1', 1))
    assert any(one.file == f"seals/000{number}.json" and one.grave for one in check_seal(folder))
    path.unlink()
    assert any(one.file.startswith("seals/") and one.kind == "missing" for one in check_seal(folder))
    path.write_bytes(data)
    assert check_seal(folder) == []
    shutil.rmtree(folder.seals)
    assert any(one.grave for one in check_seal(folder))


def test_what_was_damaged_stays_under_its_old_seal(folder: RunFolder) -> None:
    """Or each later command would give its blessing to what it never looked at."""
    folder.approvals.write_text("[1]\n")
    said: list[str] = []
    for _ in range(2):
        report(folder, "another page\n", warn=said.append)
    assert [(one.file, one.kind) for one in check_seal(folder)] == [("approvals.json", "changed")]
    assert all("approvals.json" in text for text in said)
    assert len(said) == 2


def test_what_a_command_writes_anew_is_healed(folder: RunFolder) -> None:
    folder.results.write_text("a forged page\n")
    assert [one.file for one in check_seal(folder)] == ["results.md"]
    report(folder, "the page\n")
    assert check_seal(folder) == []


@pytest.mark.parametrize("command", [*CHANGES, "clean"])
def test_a_command_that_is_killed_at_any_step_is_no_damage(
    folder: RunFolder, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = {"demo": folder.demo / "page.html", "download": folder.record("download")}.get(command, folder.results)
    for steps in range(200):
        with killed_after(steps, monkeypatch) as left, changing(folder, command, warn=pytest.fail):
            write_text(target, f'{{"step": {steps}}}\n')
        assert [str(one) for one in check_seal(folder)] == []
        assert not any(damage.file in ("ledger.jsonl", "seals") for damage in grave(folder))
        if left[0] > 0:  # it came to its end
            break
    else:
        pytest.fail("it never came to its end")
    assert not is_open(folder)


def test_what_a_killed_command_was_not_about_is_still_compared(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_after(4, monkeypatch):
        report(folder, "half a page\n")
    assert is_open(folder)
    (folder.demo / "page.html").write_text("a forged demo\n")
    assert [one.file for one in check_seal(folder)] == ["demo/page.html"]


def test_an_attempt_may_change_all_but_what_the_launch_wrote(folder: RunFolder) -> None:
    Ledger(folder.ledger).append(AttemptStarted(attempt=1))
    folder.results.unlink()
    folder.history.write_text("")
    assert check_seal(folder) == []
    folder.card_yaml.write_text("card: 2\n")
    assert [one.file for one in check_seal(folder)] == ["card.yaml"]


def test_a_run_that_was_never_sealed_says_so(folder: RunFolder) -> None:
    shutil.rmtree(folder.seals)
    bare = [line.split(b', "by": ')[0] + b"}" for line in folder.ledger.read_bytes().splitlines()[:2]]
    folder.ledger.write_bytes(b"\n".join(bare) + b"\n")
    launch = read_record(folder.launch, LaunchRecord)
    for path in (folder.launch, folder.card_json, folder.plan, folder.record("demo")):
        path.write_text("{}\n" if path != folder.launch else launch.model_dump_json())
    found = run_damage(folder)
    assert {damage.kind for damage in found} == {"unsealed"}
    (line,) = in_lines(found)
    assert line.startswith("unsealed: ledger.jsonl, launch.json and seals without checksums")
    report(folder, "a page\n")
    assert {damage.file for damage in run_damage(folder)} == {"ledger.jsonl", "launch.json"}


def test_a_record_without_its_checksum_is_damage_where_the_launch_has_one(folder: RunFolder) -> None:
    Ledger(folder.ledger).append(Submitted(executor="local"))
    launch = read_record(folder.launch, LaunchRecord)
    write_record(folder.record("load"), launch)
    folder.record("train").write_text(launch.model_dump_json())
    assert [(one.file, one.kind) for one in grave(folder)] == [
        ("stages/demo.json", "changed"),
        ("stages/train.json", "changed"),
    ]


@pytest.mark.parametrize(
    ("name", "error"),
    [("launch.json", IntegrityError), ("elsewhere.json", IntegrityError), ("history.jsonl", EnvironmentFailed)],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder: RunFolder, name: str, error: type[Exception]) -> None:
    (folder.root / name).unlink(missing_ok=True)
    os.mkfifo(folder.root / name)
    with pytest.raises(error, match="it is not a regular file"):
        derive_status(folder)


def test_a_pipe_in_place_of_a_lease_is_not_waited_for(folder: RunFolder) -> None:
    os.mkfifo(folder.lease)
    assert not is_live(folder)


# ---------------------------------------------------------------- runs that trained


@pytest.fixture(scope="module")
def trained(shared_toy_run: MakeToyRun) -> ToyRun:
    """A run that trained and was sealed."""
    run = shared_toy_run({"training.epochs": 2, "training.log_every": "2 steps"}).train()
    report(run.folder, "the page\n", command="finish")
    return run


@pytest.fixture
def copy(trained: ToyRun, tmp_path: Path) -> RunFolder:
    """Its folder, to be damaged."""
    copied = tmp_path / trained.folder.name
    shutil.copytree(trained.folder.root, copied)
    return RunFolder(copied)


def test_a_run_that_trained_is_whole(copy: RunFolder) -> None:
    assert run_damage(copy) == []


def bytes_of(folder: RunFolder, name: str, share: float) -> tuple[Path, int]:
    path = folder.root / name
    return path, min(int(path.stat().st_size * share), path.stat().st_size - 2)


SILENT = {
    "history.jsonl": 14, "stages/train.json": 9, "ledger.jsonl": 4, "approvals.json": 3, "card.json": 3,
    "checkpoints/manifest.json": 3, "launch.json": 3, "plan.json": 3, "results.md": 4,
}  # fmt: skip
"""Files whose damage once passed in silence, and how many damages are tried on each."""
DAMAGES = [(name, number / count) for name, count in SILENT.items() for number in range(count)]


@pytest.mark.parametrize(("name", "share"), DAMAGES)
def test_a_flipped_bit_is_named(copy: RunFolder, name: str, share: float) -> None:
    path, at = bytes_of(copy, name, share)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert name in {damage.file for damage in grave(copy)}


@pytest.mark.parametrize("name", SILENT)
def test_a_file_that_is_cut_in_half_emptied_or_removed_is_named(copy: RunFolder, name: str) -> None:
    path = copy.root / name
    data = path.read_bytes()
    for left in (data[: len(data) // 2], b""):
        path.write_bytes(left)
        assert name in {damage.file for damage in grave(copy)}
    path.unlink()
    assert name in {damage.file for damage in grave(copy)}


@pytest.mark.parametrize("name", ["history.jsonl", "ledger.jsonl"])
@pytest.mark.parametrize("keep", [1, 3, -1])
def test_lines_lost_from_the_end_of_an_unsealed_run_are_missing(copy: RunFolder, name: str, keep: int) -> None:
    """Each save says how far the files had come, so that this needs no seal."""
    Ledger(copy.ledger).append(Submitted(executor="local"))
    path = copy.root / name
    lines = path.read_bytes().splitlines(keepends=True)
    left = lines[:keep] if name == "history.jsonl" else lines[: max(keep, 1)]
    path.write_bytes(b"".join(left))
    assert (name, "missing") in {(damage.file, damage.kind) for damage in grave(copy)}


def test_an_older_manifest_is_named(copy: RunFolder) -> None:
    Ledger(copy.ledger).append(Submitted(executor="local"))
    manifest = ToyRun(copy).manifest
    write_record(copy.manifest, manifest.model_copy(update={"saves": manifest.saves - 1}))
    assert ["it is of save" in damage.what for damage in grave(copy)] == [True]


def test_an_attempt_that_wrote_rows_and_is_not_in_the_ledger_is_missing(copy: RunFolder) -> None:
    lines = [line for line in Ledger(copy.ledger).lines() if '"attempt_started"' not in line]
    copy.ledger.write_text("".join(f"{line}\n" for line in lines))
    reseal(copy.root)
    (found,) = needed_to_resume(copy, run_damage(copy))
    assert str(found) == "ledger.jsonl: it has no attempt 1, which wrote rows of history.jsonl"


def test_a_resume_needs_what_it_goes_on_from_and_no_more(copy: RunFolder) -> None:
    copy.results.write_text("a forged page\n")
    copy.record("train").write_text("{}\n")
    assert needed_to_resume(copy, run_damage(copy)) == []
    copy.approvals.write_text("[1]\n")
    assert [damage.file for damage in needed_to_resume(copy, run_damage(copy))] == ["approvals.json"]


def test_a_resume_records_what_it_cut_and_the_kept_rows_keep_their_bytes(copy: RunFolder) -> None:
    before = copy.history.read_bytes().splitlines()
    cut: list[Any] = []
    history = ToyRun(copy).context().history
    dropped = history.truncate_after(8, note=cut.append)
    after = copy.history.read_bytes().splitlines()
    assert 0 < dropped == cut[0].rows == len(before) - len(after)
    assert after == before[: len(after)]
    assert cut[0].kept.bytes == copy.history.stat().st_size


@pytest.mark.parametrize("seed", range(10))
def test_a_training_that_is_killed_anywhere_and_resumed_is_whole(
    toy_run: MakeToyRun, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = toy_run({"training.epochs": 2, "training.checkpoint_every": "3 steps"})
    dice = random.Random(seed)
    for _ in range(2):
        with killed_after(dice.randrange(5, 150), monkeypatch):
            run.train()
        assert [str(one) for one in grave(run.folder)] == []
    run.train()
    assert run.ended is None
    report(run.folder, "the page\n", command="finish")
    assert [str(one) for one in grave(run.folder)] == []


def test_ten_thousand_rows_are_examined_in_well_under_a_second(copy: RunFolder) -> None:
    import time

    history = ToyRun(copy).context().history
    row = history.rows()[-1]
    for _ in range(10_000):
        history.append(row.model_copy(update={"kind": "train"}))
    report(copy, "the page\n", command="finish")
    began = time.monotonic()
    assert grave(copy) == []
    assert time.monotonic() - began < 2
