from __future__ import annotations

import csv
import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardrunner.contracts import Task
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.workloads.melee.encoding.encode import Attempt, encode, find_replays
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.scheme import EncoderRules

pytest.importorskip("peppi_py", reason="peppi-py is not installed")
SMALL = ("1d97cccc.slp", "181ba806.slp", "843697c1.slp")


class RuleHistory:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.seen: list[str] = []

    def stage(self, name: str) -> None: ...

    def note(self, text: str) -> None: ...

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        self.total = total
        yield self

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self.seen.append(info)


@pytest.fixture
def replays(real_data: Path, tmp_path: Path) -> Path:
    """A folder with three short replays, one of them deeper."""
    folder = tmp_path / "replays"
    (folder / "deep").mkdir(parents=True)
    for name, place in zip(SMALL, (folder, folder / "deep", folder), strict=True):
        shutil.copyfile(real_data / "replays" / name, place / name)
    return folder


def rows_of(real_data: Path) -> dict[str, int]:
    with (real_data / "replays" / "MANIFEST.csv").open() as stream:
        return {row["file"]: int(row["rows"]) for row in csv.DictReader(stream)}


def test_a_folder_becomes_one_file_in_sorted_order(replays: Path, real_data: Path, tmp_path: Path) -> None:
    watched = RuleHistory()
    report = encode([replays], tmp_path / "games.pt", workers=2, progress=watched)
    order = ["1d97cccc.slp", "843697c1.slp", "181ba806.slp"]
    assert (watched.total, watched.seen) == (3, order)
    file = open_encoded(report.output)
    assert file.offsets.diff().tolist() == [rows_of(real_data)[name] for name in order]
    assert file.rules == EncoderRules(source="slp")
    assert (report.files, report.games, report.frames, report.skipped) == (3, 3, file.frames, ())


def test_a_broken_replay_among_good_ones_is_skipped_and_counted(replays: Path, tmp_path: Path) -> None:
    (replays / "broken.slp").write_bytes((replays / SMALL[0]).read_bytes()[:20_000])
    (replays / "text.SLP").write_text("not a replay")
    report = encode([replays], tmp_path / "games.pt", workers=1, progress=RuleHistory())
    assert (report.files, report.games) == (5, 3)
    assert [path.name for path, _ in report.skipped] == ["broken.slp", "text.SLP"]
    assert report.lines()[0].startswith(f"skipped {replays / 'broken.slp'}: it ")
    assert report.lines()[-1].endswith("; 2 of 5 replays skipped")


def test_dropping_rollback_is_counted_and_recorded(real_data: Path, tmp_path: Path) -> None:
    replay = real_data / "replays" / "e39ad3d6.slp"
    report = encode([replay], tmp_path / "games.pt", drop_rollback=True, progress=RuleHistory())
    assert (report.dropped_rows, report.frames) == (1494, 5023)
    assert open_encoded(report.output).rules == EncoderRules(source="slp", rollback="dropped")


def test_a_replay_that_kills_its_process_loses_no_other(
    replays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly_work.py").write_text(
        "import os\n"
        "from cardrunner.workloads.melee.encoding.encode import attempt\n"
        "def work(path, drop_rollback):\n"
        "    if path.name == '843697c1.slp':\n"
        "        os.abort()\n"
        "    return attempt(path, drop_rollback)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    work: Attempt = importlib.import_module("deadly_work").work
    report = encode([replays], tmp_path / "games.pt", workers=2, progress=RuleHistory(), work=work)
    assert report.games == 2
    assert report.skipped == ((replays / "843697c1.slp", "it crashed the process that decoded it"),)


def test_nothing_encoded_is_the_environment_and_leaves_no_file(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.slp").write_text("not a replay")
    with pytest.raises(EnvironmentFailed) as caught:
        encode([tmp_path], tmp_path / "games.pt", workers=1, progress=RuleHistory())
    assert str(caught.value).startswith("nothing was written: none of the 5 replays could be encoded (")
    assert str(caught.value).endswith("; and 2 more)")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.slp" for number in range(5)]


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "games.pt").write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already; give another name after -o"):
        encode([tmp_path], tmp_path / "games.pt", progress=RuleHistory())
    assert (tmp_path / "games.pt").read_bytes() == b"precious"


def test_an_output_that_cannot_be_written_is_the_environment(replays: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        encode([replays], tmp_path / "taken" / "games.pt", progress=RuleHistory())


def test_inputs_that_are_not_there_or_hold_nothing_are_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"absent: there is no such file or folder"):
        find_replays([tmp_path / "absent"])
    with pytest.raises(EnvironmentFailed, match=r"no \.slp file in "):
        find_replays([tmp_path])


def test_a_replay_given_twice_counts_once(tmp_path: Path) -> None:
    for name in ("b.slp", "a.slp"):
        (tmp_path / name).write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert find_replays([tmp_path / "b.slp", tmp_path, tmp_path]) == [tmp_path / "a.slp", tmp_path / "b.slp"]
