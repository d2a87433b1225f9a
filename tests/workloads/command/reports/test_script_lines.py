"""The file of CARDRUNNER_METRICS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.script_lines import ScriptLines
from tests.workloads.command.reports.helpers import all_of, triples


def lines(path: Path, *entries: object) -> None:
    with path.open("a") as stream:
        stream.writelines(json.dumps(entry) + "\n" for entry in entries)


def test_reports_and_facts(tmp_path: Path) -> None:
    source = ScriptLines(tmp_path / "m", wanted=frozenset({"loss"}))
    lines(
        source_path := tmp_path / "m",
        {"step": 1, "epoch": 0.5, "values": {"loss": "0.5", "step": 9}},
        {"epoch": 2, "values": {"loss": 1}},
        {"fact": "parameters", "value": 10},
        {"fact": "parameters", "value": 11},
    )
    readings = all_of(source)
    assert triples(readings) == [(1, "loss", 0.5), (1, "epoch", 0.5), (2, "loss", 1.0)]
    assert [reading.epoch for reading in readings] == [0.5, 2.0]
    assert source.facts == {"parameters": 11}
    lines(source_path, {"values": {"loss": 1}}, {"dropped": 5000}, {"step": 3, "values": {"loss": True}})
    assert all_of(source) == []
    assert source.garbage.count == 3


def test_the_step_of_wandb_is_the_name_that_the_card_states(tmp_path: Path) -> None:
    source = ScriptLines(tmp_path / "m", wanted=frozenset({"val/loss"}), wandb_step="iter")
    lines(
        tmp_path / "m",
        {"wandb": {"loss": 0.5}, "step": 0},
        {"wandb": {"iter": 60, "val/loss": 0.25}, "step": 0},
        {"wandb": {"val/loss": 1}, "step": 1},
        {"wandb": {"iter": 90, "val": {"loss": 2}}, "step": 2},
    )
    assert triples(all_of(source)) == [(60, "loss", 0.5), (60, "val/loss", 0.25), (90, "val.loss", 2.0)]
    assert source.garbage.count == 1, "a call without iter is not that of another step"


def test_without_a_stated_name_wandbs_own_step_counts(tmp_path: Path) -> None:
    source = ScriptLines(tmp_path / "m")
    lines(tmp_path / "m", {"wandb": {"iter": 60, "loss": 0.25}, "step": 3})
    assert triples(all_of(source)) == [(3, "iter", 60.0), (3, "loss", 0.25)]


def test_earlier_attempts_are_left_out(tmp_path: Path) -> None:
    lines(tmp_path / "m", {"step": 1, "values": {"loss": 1}})
    source = ScriptLines(tmp_path / "m")
    source.begin()
    lines(tmp_path / "m", {"step": 2, "values": {"loss": 2}})
    assert triples(all_of(source)) == [(2, "loss", 2.0)]


KEYS = st.sampled_from(["step", "values", "wandb", "fact", "value", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(entries=st.lists(JSON, max_size=8))
@settings(deadline=None, max_examples=100)
def test_no_line_raises(tmp_path_factory: pytest.TempPathFactory, entries: list[object]) -> None:
    path = tmp_path_factory.mktemp("m") / "m"
    lines(path, *entries)
    all_of(ScriptLines(path, wanted=frozenset({"x"}), wandb_step="step"))
