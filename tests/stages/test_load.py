from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardrunner.card.schema.data import DataSection
from cardrunner.contracts import Fact, RunContext
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.file_memo import Memo, MemoPlace, marks_of
from cardrunner.runs.records import LoadRecord, read_record
from cardrunner.stages.load import STAGE

CONTENT = b"0123456789" * 100


class Opened:
    """Data of a made-up workload."""

    mode = "resident"
    train = range(90)
    validation = range(10)

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = facts

    def facts(self) -> Sequence[Fact]:
        return self._facts

    def identity(self) -> Mapping[str, Any]:
        return {"files": 1}


class Opener:
    def __init__(self, facts: Sequence[Fact] = (), error: Exception | None = None) -> None:
        self.facts, self.error, self.opened = facts, error, 0

    def open_data(self, card: object, files: Sequence[Path], **_: object) -> Opened:
        self.opened += 1
        if self.error is not None:
            raise self.error
        return Opened(self.facts)


@pytest.fixture
def load(toy_run: Callable[..., Any], tmp_path: Path) -> Callable[..., LoadRecord]:
    """Runs the stage on one file: ``load({"size": "1 kB"}, workload)``."""
    (tmp_path / "data.bin").write_bytes(CONTENT)
    names = iter(("toy-run", "second-run"))

    def run(section: Mapping[str, object], workload: Opener | None = None) -> LoadRecord:
        ctx: RunContext = toy_run(name=next(names)).context()
        fields = {"source": "data.bin", "split": {"train": 0.9, "by": "row"}, **section}
        card = ctx.card.model_copy(update={"data": DataSection.model_validate(fields)})
        ctx = replace(ctx, card=card, workload=workload or Opener())  # type: ignore[arg-type]
        STAGE.run(ctx)
        return read_record(ctx.folder.record("load"), LoadRecord)

    return run


def rows(record: LoadRecord) -> dict[str, bool]:
    return {fact.name: fact.ok for fact in record.facts}


def test_what_agrees_is_recorded(load: Callable[..., LoadRecord]) -> None:
    pin = hashlib.sha256(CONTENT).hexdigest()
    record = load({"size": "1 kB", "sha256": pin, "train_examples": 90, "val_examples": 10})
    assert rows(record) == {
        "size": True,
        "sha256 of data.bin": True,
        "train examples": True,
        "validation examples": True,
    }
    assert (record.mode, record.train_examples, record.val_examples, record.identity) == (
        "resident",
        90,
        10,
        {"files": 1},
    )


@pytest.mark.parametrize(
    ("stated", "agrees"), [("1 kB", True), ("0.998 kB", False), ("1.01 kB", False), ("1000 B", True), ("999 B", False)]
)
def test_a_size_agrees_within_its_own_rounding(load: Callable[..., LoadRecord], stated: str, agrees: bool) -> None:
    if agrees:
        load({"size": stated})
    else:
        with pytest.raises(IntegrityError, match="size is 1 kB"):
            load({"size": stated})


def test_other_bytes_are_not_even_parsed(load: Callable[..., LoadRecord], tmp_path: Path) -> None:
    workload = Opener()
    with pytest.raises(IntegrityError, match=r"sha256 of data\.bin is .*, expected 0000"):
        load({"sha256": "0" * 64}, workload)
    assert workload.opened == 0
    record = read_record(tmp_path / "runs" / "toy-run" / "stages" / "load.json", LoadRecord)
    assert (record.mode, rows(record)) == ("not opened", {"sha256 of data.bin": False})


def test_every_row_that_disagrees_is_named_at_once(load: Callable[..., LoadRecord], tmp_path: Path) -> None:
    wrong = Fact(name="rows", expected="5", actual="4", ok=False, note="the file is cut short")
    with pytest.raises(IntegrityError) as caught:
        load({"train_examples": 91, "val_examples": 11}, Opener([wrong]))
    assert str(caught.value) == (
        "the run does not match the card: train examples is 90, expected 91; "
        "validation examples is 10, expected 11; rows is 4, expected 5 (the file is cut short)"
    )
    assert (tmp_path / "runs" / "toy-run" / "stages" / "load.json").exists()


def test_an_odd_row_is_a_warning_and_the_run_goes_on(load: Callable[..., LoadRecord]) -> None:
    odd = Fact(name="constant columns", expected="none", actual="2", ok=False, severity="warning")
    assert rows(load({}, Opener([odd])))["constant columns"] is False


def test_the_workloads_own_row_replaces_the_general_one(load: Callable[..., LoadRecord]) -> None:
    own = Fact(name="train examples", expected="90", actual="90", ok=True, note="9 games")
    record = load({}, Opener([own]))
    assert [fact.note for fact in record.facts if fact.name == "train examples"] == ["9 games"]


def test_a_file_that_cannot_be_read_leaves_a_table_too(load: Callable[..., LoadRecord], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"data\.bin: is cut short"):
        load({"size": "1 kB"}, Opener(error=IntegrityError("data.bin: is cut short")))
    record = read_record(tmp_path / "runs" / "toy-run" / "stages" / "load.json", LoadRecord)
    assert rows(record) == {"size": True, "readable": False}


def test_a_file_that_is_nowhere_is_an_environment_failure(load: Callable[..., LoadRecord]) -> None:
    with pytest.raises(EnvironmentFailed, match=r"absent\.bin was not found"):
        load({"source": "absent.bin"})


def test_several_files_have_rows_of_their_own(load: Callable[..., LoadRecord], tmp_path: Path) -> None:
    (tmp_path / "more.bin").write_bytes(b"x" * 500)
    source = ({"path": "data.bin", "size": "1000 B"}, {"path": "more.bin", "size": "500 B"})
    record = load({"source": source, "size": "1.5 kB"})
    assert rows(record) | {"size": True} == rows(record)
    assert {"size of data.bin", "size of more.bin"} <= set(rows(record))


def forge(path: Path, sha256: str) -> None:
    """What anyone who may write beside the file can do: a memo that is sound in itself and names another digest."""
    assert MemoPlace(path, path.parent).remember(Memo(marks=marks_of(path), sha256=sha256)) is None


def test_other_bytes_do_not_pass_as_pinned_because_a_memo_says_so(
    load: Callable[..., LoadRecord], tmp_path: Path
) -> None:
    pin = hashlib.sha256(b"what the card was signed for").hexdigest()
    forge(tmp_path / "data.bin", pin)
    real = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(IntegrityError, match=rf"sha256 of data\.bin is {real}, expected {pin}"):
        load({"sha256": pin})


def test_a_pinned_digest_is_computed_by_every_attempt(load: Callable[..., LoadRecord], tmp_path: Path) -> None:
    pin = hashlib.sha256(CONTENT).hexdigest()
    assert load({"sha256": pin}).digests == {"data.bin": "computed"}
    assert MemoPlace(tmp_path / "data.bin", tmp_path).recall() is not None
    assert load({"sha256": pin}).digests == {"data.bin": "computed"}


def test_a_digest_that_the_card_does_not_pin_may_be_remembered_and_the_record_says_so(
    load: Callable[..., LoadRecord], tmp_path: Path
) -> None:
    assert load({}).digests == {}  # nothing took it
    forge(tmp_path / "data.bin", "f" * 64)
    assert load({}).digests == {"data.bin": "remembered"}
