"""What a card writes under `training.report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cardrunner.workloads.command.reports.table import Places, ReportSection, sources

PATTERN = r"iter (?P<step>\d+): loss (?P<loss>\S+), time"


def fault(**fields: Any) -> tuple[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as caught:
        ReportSection.model_validate(fields)
    (detail,) = caught.value.errors()
    return detail["loc"], str(detail.get("ctx", {}).get("error", detail["msg"]))


def test_every_kind_of_source_is_made_and_reads_nothing_yet(tmp_path: Path) -> None:
    report = ReportSection.model_validate(
        {
            "stdout": PATTERN,
            "tensorboard": "{out}/**",
            "csv": ("a.csv", {"at": "b.csv", "step": "iter"}),
            "jsonl": {"at": "c.jsonl"},
            "dvclive": "dvclive",
            "mlflow": "mlruns",
            "trainer_state": "{out}/checkpoint-*",
            "wandb": {"step": "iter"},
        }
    )
    places = Places(
        folder=tmp_path,
        log=tmp_path / "log",
        metrics=tmp_path / "metrics",
        expand=lambda text: text.replace("{out}", str(tmp_path / "out")),
    )
    found = sources(report, places)
    assert [source.name for source in found] == [
        "report()", "stdout", "tensorboard {out}/**", "dvclive dvclive", "mlflow mlruns",
        "trainer_state {out}/checkpoint-*", "csv a.csv", "csv b.csv", "jsonl c.jsonl",
    ]  # fmt: skip
    for source in found:
        source.begin()
        assert list(source.new()) == []
    (tmp_path / "a.csv").write_text("step,loss\n1,2\n")
    assert [reading.where for source in found for reading in source.new(ended=True)] == ["csv a.csv"]


def test_a_folder_whose_name_has_signs_of_patterns_is_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs[1]*"
    folder.mkdir()
    (folder / "a.csv").write_text("step,loss\n1,2\n")
    report = ReportSection.model_validate({"csv": "*.csv"})
    _, source = sources(report, Places(folder=folder, log=folder / "log", metrics=folder / "metrics"))
    assert [reading.values for reading in source.new()] == [{"loss": 2.0}]


def test_a_pattern_that_cannot_be_used_is_a_fault_at_its_place() -> None:
    where, said = fault(stdout=(PATTERN, r"loss (?P<loss>\S+"))
    assert where == ("stdout", 1)
    assert said == "is no regular expression: missing ), unterminated subpattern at character 6"


def test_a_source_named_twice_is_a_fault() -> None:
    _, said = fault(csv=("a.csv",), jsonl=("a.csv",))
    assert said == "is already a source, as csv.0; leave one of them out"


def test_a_path_that_leaves_the_code_folder_is_a_fault() -> None:
    where, said = fault(csv="../other/a.csv")
    assert where == ("csv", 0, "at")
    assert said.startswith("leaves the code folder")


def test_an_unknown_source_is_a_fault() -> None:
    assert fault(comet=True)[0] == ("comet",)


def test_a_name_that_no_pattern_gives_is_told_where_there_are_only_patterns() -> None:
    report = ReportSection.model_validate({"stdout": PATTERN})
    assert report.never_read("loss") is None
    assert report.never_read("los") == ('no pattern of training.report names it; they name loss; did you mean "loss"?')
    assert ReportSection.model_validate({"stdout": PATTERN, "csv": "a.csv"}).never_read("los") is None
    assert ReportSection().never_read("los") is None
