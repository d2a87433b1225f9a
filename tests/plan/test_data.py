from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card, load_card_bytes
from cardrunner.contracts import WorkloadSpec
from cardrunner.main import main
from cardrunner.plan import plan_card
from cardrunner.plan.data import data_mode, expected_facts, planned_data
from cardrunner.workloads.melee.demo.section import MatchDemo
from cardrunner.workspace import Workspace

ROOT = Path(__file__).parents[2]
REAL = ROOT / "runcards" / "real-games.yaml"
POLICY = ROOT / "runcards" / "policy-22k.yaml"


@pytest.fixture
def with_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], Path]:
    """The card on real games, in a workspace with a data file of so many bytes, or without one."""
    monkeypatch.delenv("CARDRUNNER_DATA", raising=False)

    def make(size: int | None) -> Path:
        card = tmp_path / "runcards" / "real-games.yaml"
        card.parent.mkdir(exist_ok=True)
        card.write_bytes(REAL.read_bytes())
        if size is not None:
            data = tmp_path / "encoded-real-32.pt"
            data.touch()
            os.truncate(data, size)
        return card

    return make


def test_a_file_of_the_stated_size_agrees_so_far(with_file: Callable[[int | None], Path]) -> None:
    plan = plan_card(with_file(107_200_000)).plan
    (entry,) = plan.data
    assert (entry.bytes, entry.expected_bytes, entry.problem) == (107_200_000, 107_000_000, None)
    here = [(fact.name, fact.ok) for fact in plan.expected if fact.seen_by == "here"]
    assert here == [("data.source[0]", True), ("size of encoded-real-32.pt", True)]


def test_a_file_of_another_size_is_told_and_still_planned(
    with_file: Callable[[int | None], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    card = with_file(1000)
    assert main(["plan", str(card)]) == 0
    text = capsys.readouterr().out
    assert "has 1 kB (1000 bytes), the card says 107 MB" in " ".join(text.split())
    assert "disagrees: size of encoded-real-32.pt" in text


def test_a_file_that_is_nowhere_ends_with_7_after_the_plan(
    with_file: Callable[[int | None], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(with_file(None))]) == 7
    seen = capsys.readouterr()
    assert "encoded-real-32.pt was not found" in " ".join(seen.out.split())
    assert "worst case" in seen.out


def test_what_only_the_load_stage_can_tell_is_listed() -> None:
    loaded = load_card(POLICY, registry.workload_spec)
    data = tuple(planned_data(loaded.card, Workspace.around(POLICY)))
    facts = {(fact.name, fact.seen_by): fact for fact in expected_facts(loaded, data)}
    assert facts["data.games", "the load stage"].expected == "22000"
    assert facts["data.size", "the load stage"].expected == "74.4 GB"
    assert facts["data.frames", "the load stage"].ok is None
    sums = facts["data.train_examples", "the card's arithmetic"]
    assert sums.ok
    assert sums.actual is not None
    assert "206754081 frames" in sums.actual


def test_a_workload_may_say_how_it_will_read_the_data() -> None:
    loaded = load_card(POLICY, registry.workload_spec)
    assert data_mode(replace(loaded, spec=_Foreseeing(loaded.spec))) == "8 files in turn"
    plain = load_card_bytes(POLICY.read_bytes(), file="card.yaml", resolve=lambda name: _Silent(loaded.spec))
    assert data_mode(plain) is None


class _Silent:
    """A workload without the optional method."""

    def __init__(self, spec: WorkloadSpec) -> None:
        self.name = spec.name
        self.data_section = spec.data_section
        self.model_section = spec.model_section
        self.training_section = spec.training_section
        self.demo_section = MatchDemo
        self.metrics = spec.metrics
        self.trivial_baselines = spec.trivial_baselines
        self.derive, self.check, self.examples, self.describe = spec.derive, spec.check, spec.examples, spec.describe


class _Foreseeing(_Silent):
    def data_mode(self, card: object) -> str | None:
        return "8 files in turn"


def test_files_on_a_volume_are_not_looked_for(tmp_path: Path) -> None:
    loaded: LoadedCard = load_card(POLICY, registry.workload_spec)
    assert list(planned_data(loaded.card, Workspace(tmp_path))) == []
