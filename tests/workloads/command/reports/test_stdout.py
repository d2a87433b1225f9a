"""Metrics in what a script prints, and the patterns that find them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.patterns import pattern_fault, searched_length, value_names
from cardrunner.workloads.command.reports.stdout import MOST_BEHIND, Stdout
from tests.workloads.command.reports.helpers import all_of, triples

GPT = (
    r"step (?P<step>\d+): train loss (?P<train_loss>\S+), val loss (?P<val_loss>\S+)",
    r"iter (?P<step>\d+): loss (?P<loss>\S+), time",
)
XGBOOST = r"\[(?P<step>\d+)\].*train-mlogloss:(?P<loss>\S+).*val-merror:(?P<val_merror>\S+)"
HUGGING_FACE = r"'loss': (?P<loss>'[^']+').*'epoch': (?P<epoch>'[^']+')"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "script.log"


def test_the_lines_of_a_usual_trainer(log: Path) -> None:
    log.write_text(
        "step 0: train loss 4.2, val loss 4.3\niter 0: loss 4.25, time 12ms\r\nsaving\niter 1: loss nan, time 9"
    )
    source = Stdout(log, GPT)
    assert triples(all_of(source)) == [
        (0, "train_loss", 4.2), (0, "val_loss", 4.3), (0, "loss", 4.25), (1, "loss", "nan"),
    ]  # fmt: skip


def test_the_lines_of_xgboost_and_of_hugging_face(log: Path) -> None:
    log.write_text("[5]\ttrain-mlogloss:0.51\tval-merror:0.1\n{'loss': '0.6941', 'epoch': '2'}\n")
    assert triples(all_of(Stdout(log, [XGBOOST, HUGGING_FACE]))) == [
        (5, "loss", 0.51), (5, "val_merror", 0.1), (2, "loss", 0.6941),
    ]  # fmt: skip


def test_earlier_attempts_and_progress_bars(log: Path) -> None:
    log.write_text("iter 1: loss 1, time\n")
    source = Stdout(log, GPT)
    source.begin()
    with log.open("a") as stream:
        stream.write("iter 2: loss 2, time 1 s\r 10 %\r 20 %\n\x1b[2Kiter 3: loss 3, time\n")
    assert triples(all_of(source)) == [(2, "loss", 2.0), (3, "loss", 3.0)]


def test_a_match_that_is_no_number_is_garbage(log: Path) -> None:
    log.write_text("iter 1: loss high, time\niter 2: loss 97%, time\n")
    source = Stdout(log, GPT)
    assert all_of(source) == []
    assert source.garbage.told("stdout") == (
        "stdout: 2 entries so far cannot be read; the first: stdout: loss = 'high' in iter 1: loss high, time"
    )


@settings(deadline=None, max_examples=50)
@given(output=st.binary(max_size=400))
def test_no_output_raises(tmp_path_factory: pytest.TempPathFactory, output: bytes) -> None:
    log = tmp_path_factory.mktemp("out") / "log"
    log.write_bytes(output)
    all_of(Stdout(log, [*GPT, XGBOOST]))


def test_a_flood_is_left_out_but_for_its_end(log: Path) -> None:
    source = Stdout(log, GPT)
    with log.open("wb") as stream:
        os.truncate(stream.fileno(), MOST_BEHIND + 10**6)  # a hole, which costs no disk
    assert all_of(source) == []
    with log.open("ab") as stream:
        stream.write(b"\niter 9: loss 9, time\n")
    assert triples(all_of(source)) == [(9, "loss", 9.0)]
    assert "68 MB were printed faster than they are read" in source.garbage.first


def test_a_pattern_that_is_slow_is_left_out(log: Path) -> None:
    ticks: Iterator[int] = iter(range(0, 10_000, 3))
    source = Stdout(log, GPT[1:], clock=lambda: next(ticks))
    log.write_text("iter 1: loss 1, time\n")
    assert triples(all_of(source, ended=False)) == [(1, "loss", 1.0)]
    with log.open("a") as stream:
        stream.write("iter 2: loss 1, time\n" * 3)
    all_of(source)
    assert "is left out from here on" in source.garbage.first


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(?P<step>\d+", "is no regular expression: missing ), unterminated subpattern at character 1"),
        (r"step \d+ loss \S+", "has no named group"),
        (r"step (?P<step>\d+)", "names no value beside the step"),
        (r"loss (?P<loss>\S+)", "names no step"),
        (r"(?P<step>\d*)(?P<loss>\S*)", "matches an empty line"),
        (r"(?P<step>(\d+)+) (?P<loss>x)", "repeats what itself repeats"),
        (r"(?P<step>\d+) (?P<loss>(a|aa)*)b", "repeats what itself repeats or has alternatives"),
        (r"(?P<step>\d+)(?P<loss>(a?){30})a{30}", "repeats what itself repeats"),
        (r".*(?P<step>\d+).*(?P<loss>\S+).*(?P<val>\S+).*x", "has 7 repeats such as .* that can end in many places"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_why(pattern: str, said: str) -> None:
    fault = pattern_fault(pattern)
    assert fault is not None
    assert fault.startswith(said)


@pytest.mark.parametrize("pattern", [*GPT, XGBOOST, HUGGING_FACE])
def test_usual_patterns_are_fast_on_the_worst_lines(pattern: str) -> None:
    assert pattern_fault(pattern) is None
    began = time.perf_counter()
    for part in ("1", " ", "[1]train-mlogloss:x", "step 1: train loss x,", "'loss': 'x' ", "iter 1: loss ,"):
        re.search(pattern, (part * 2000)[: searched_length(pattern)])
    assert time.perf_counter() - began < 2


def test_the_names_of_a_pattern_are_those_of_its_values() -> None:
    assert value_names(GPT[0]) == ("train_loss", "val_loss")


def test_the_end_is_read_though_megabytes_without_a_row_stand_before_it(tmp_path: Path) -> None:
    log = tmp_path / "script.log"
    log.write_text("words of no use\n" * 400_000 + "step 5: loss 0.5\n")
    source = Stdout(log, [r"step (?P<step>\d+): loss (?P<loss>\S+)"])
    assert [reading.step for reading in all_of(source)] == [5]
