from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Data, Fact
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import save_encoded
from cardrunner.workloads.melee.policy.workload import WORKLOAD

MakeCard = Callable[[dict[str, Any]], Card]
MakeFile = Callable[..., Path]


class Quiet:
    """A progress that remembers how much was reported."""

    def __init__(self) -> None:
        self.reported: dict[str, int] = {}

    def stage(self, name: str) -> None: ...

    def note(self, text: str) -> None: ...

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Bar]:
        yield Bar(self.reported, label)


class Bar:
    def __init__(self, reported: dict[str, int], label: str) -> None:
        self.reported, self.label = reported, label

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self.reported[self.label] = self.reported.get(self.label, 0) + amount


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


def opened(card: Card, *files: Path, scratch: Path, progress: Quiet) -> Data:
    return WORKLOAD.open_data(card, files, scratch=scratch, progress=progress)


def wrong(data: Data) -> dict[str, Fact]:
    return {fact.name: fact for fact in data.facts() if not fact.ok}


def test_a_file_that_is_what_the_card_says_has_nothing_wrong(
    policy_card: MakeCard, make_file: MakeFile, tmp_path: Path, progress: Quiet
) -> None:
    card = policy_card(
        {"data.games": 2, "data.frames": 50, "data.encoding": {"hitstun": False, "rules": {"rollback": "kept"}}}
    )
    data = opened(card, make_file(30, 20), scratch=tmp_path, progress=progress)
    assert (len(data.train), len(data.validation)) == (26, 16)
    assert wrong(data) == {}
    assert progress.reported == {"reading games.pt": (tmp_path / "games.pt").stat().st_size}


@pytest.mark.parametrize(
    ("change", "name", "actual"),
    [
        ({"data.games": 3}, "games", "2"),
        ({"data.frames": 51, "data.games": None}, "frames", "50"),
        ({"data.encoding": {"rules": {"rollback": "dropped"}}}, "encoder rule: rollback", "kept"),
        (
            {"after_training.demo": {"seed_game": 1}},
            "demo.seed_game",
            "there are 1 validation games, counted from 0",
        ),
    ],
)
def test_a_file_that_is_something_else_fails_its_row(
    policy_card: MakeCard,
    make_file: MakeFile,
    tmp_path: Path,
    progress: Quiet,
    change: dict[str, Any],
    name: str,
    actual: str,
) -> None:
    data = opened(policy_card(change), make_file(30, 20), scratch=tmp_path, progress=progress)
    facts = wrong(data)
    assert list(facts) == [name]
    assert (facts[name].actual, facts[name].severity) == (actual, "error")


def spoilt_file(folder: Path, make_game: Callable[[int, int], Any]) -> Path:
    floats, ints = make_game(30, 0)
    floats[3, 1], floats[5, 19], floats[:, 13] = float("nan"), 3.8e22, 0.0
    ints[7, 0] = 400
    path = folder / "spoilt.pt"
    save_encoded(path, [(floats, ints), make_game(20, 1)], rules=EncoderRules(source="slp"))
    return path


def test_values_that_would_spoil_the_training_are_named(
    policy_card: MakeCard, make_game: Callable[[int, int], Any], tmp_path: Path, progress: Quiet
) -> None:
    data = opened(policy_card({}), spoilt_file(tmp_path, make_game), scratch=tmp_path, progress=progress)
    facts = wrong(data)
    assert [(name, fact.severity) for name, fact in facts.items()] == [
        ("non-finite values", "error"),
        ("categories outside their vocabulary", "error"),
        ("binary and controller values outside 0..1", "error"),
    ]
    assert "p0.x is nan in game 0, row 3" in facts["non-finite values"].actual
    assert "p0.shoulder is 3.8e+22" in facts["binary and controller values outside 0..1"].actual


@pytest.mark.parametrize(("rule", "severity"), [("warn", "warning"), ("fail", "error")])
def test_a_constant_column_is_what_the_card_makes_of_it(
    policy_card: MakeCard,
    make_game: Callable[[int, int], Any],
    tmp_path: Path,
    progress: Quiet,
    rule: str,
    severity: str,
) -> None:
    games = [make_game(30, 0), make_game(20, 1)]
    for _, ints in games:
        ints[:, 16] = 0
    path = save_encoded(tmp_path / "games.pt", games, rules=EncoderRules(source="slp")).path
    card = policy_card({"data.on_constant_columns": rule})
    fact = wrong(opened(card, path, scratch=tmp_path, progress=progress))["constant columns"]
    assert (fact.severity, fact.actual) == (severity, "stage (always 0)")


def test_games_that_are_too_short_and_empty_sides_are_told(
    policy_card: MakeCard, make_file: MakeFile, tmp_path: Path, progress: Quiet
) -> None:
    card = policy_card({"data.split.train": 0.3})
    facts = wrong(opened(card, make_file(30, 4), scratch=tmp_path, progress=progress))
    assert facts["games too short"].severity == "warning"
    assert facts["training games"].severity == "error"


def test_the_identity_is_json_and_tells_the_bytes(
    policy_card: MakeCard, make_file: MakeFile, tmp_path: Path, progress: Quiet
) -> None:
    path = make_file(30, 20)
    identity = opened(policy_card({}), path, scratch=tmp_path, progress=progress).identity()
    assert json.loads(json.dumps(identity))["games"] == 2
    assert identity["files"][0]["bytes"] == path.stat().st_size
    assert len(identity["files"][0]["sha256"]) == 64


def generated_card(make: MakeCard) -> Card:
    return make({"data.source": "synthetic", "data.synthetic": {"games": 2, "frames_per_game": 200, "seed": 3}})


def test_games_are_made_once_and_alike(policy_card: MakeCard, tmp_path: Path, progress: Quiet) -> None:
    card = generated_card(policy_card)
    first = opened(card, scratch=tmp_path / "a", progress=progress).identity()
    assert opened(card, scratch=tmp_path / "a", progress=progress).identity() == first
    assert progress.reported["making games"] == 2
    assert opened(card, scratch=tmp_path / "b", progress=progress).identity() == first


def test_a_few_steps_of_training_lower_the_loss(policy_card: MakeCard, tmp_path: Path, progress: Quiet) -> None:
    card = generated_card(policy_card)
    data, objective = opened(card, scratch=tmp_path, progress=progress), WORKLOAD.objective(card)
    torch.manual_seed(0)
    model = WORKLOAD.build_model(card)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = data.train.__getitems__(torch.arange(64))
    losses = []
    for _ in range(30):
        outcome = objective.score(objective.predict(model, batch), batch)
        optimizer.zero_grad()
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(outcome.loss.detach()))
    assert losses[-1] < losses[0] / 2
    scored = {name: objective.score(predict(batch), batch) for name, predict in WORKLOAD.baselines(card, data).items()}
    assert len(scored) == 3


@pytest.fixture
def finished(policy_card: MakeCard, tmp_path: Path, progress: Quiet) -> tuple[Card, Data, Path]:
    """A card with a demo, its data, and a checkpoint in the existing format."""
    card = policy_card(
        {
            "data.source": "synthetic",
            "data.synthetic": {"games": 2, "frames_per_game": 200},
            "after_training.demo": {"max_frames": 60},
        }
    )
    torch.manual_seed(0)
    weights = WORKLOAD.build_model(card).state_dict()
    config = dict(WORKLOAD.export_config(card))
    path = tmp_path / "best.pt"
    torch.save({"epoch": 0, "model_state_dict": weights, "val_loss": 0.5, "config": config}, path)
    return card, opened(card, scratch=tmp_path, progress=progress), path


def with_demo(card: Card, **changes: Any) -> Card:
    demo = card.after_training.demo
    assert demo is not None
    after = card.after_training.model_copy(update={"demo": demo.model_copy(update=changes)})
    return card.model_copy(update={"after_training": after})


def test_a_demo_leaves_a_match_that_repeats(finished: tuple[Card, Data, Path], tmp_path: Path, progress: Quiet) -> None:
    card, data, checkpoint = finished
    contents = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        result = WORKLOAD.demo(card, checkpoint, data, out=folder, progress=progress)
        assert result is not None
        assert [path.name for path in result.files] == ["match.json", "match.html", "recorded.json", "random.json"]
        assert result.summary["total_frames_predicted"] == 60
        contents.append(result.files[0].read_bytes())
    assert contents[0] == contents[1]
    assert json.loads(contents[0])["meta"]["seed_frames"] == 4


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"world_model": "models/none.pt"}, EnvironmentFailed, "models/none.pt was not found in"),
        ({"world_model": "best.pt"}, IntegrityError, "it is not a world model: these are a policy's weights"),
        ({"seed_game": 9}, IntegrityError, "9 is not one of the 1 validation games"),
        ({"p1": "policy:none.pt"}, EnvironmentFailed, "no such checkpoint"),
    ],
)
def test_a_demo_that_cannot_be_played_leaves_nothing(
    finished: tuple[Card, Data, Path],
    tmp_path: Path,
    progress: Quiet,
    changes: dict[str, Any],
    error: type[Exception],
    sentence: str,
) -> None:
    card, data, checkpoint = finished
    (tmp_path / "runcards").mkdir()
    out = tmp_path / "demo"
    out.mkdir()
    with pytest.raises(error, match=sentence):
        WORKLOAD.demo(with_demo(card, **changes), checkpoint, data, out=out, progress=progress)
    assert list(out.iterdir()) == []


def test_without_a_demo_in_the_card_there_is_none(
    finished: tuple[Card, Data, Path], policy_card: MakeCard, tmp_path: Path, progress: Quiet
) -> None:
    _, data, checkpoint = finished
    assert WORKLOAD.demo(policy_card({}), checkpoint, data, out=tmp_path, progress=progress) is None


def test_a_checkpoint_says_which_model_it_is(policy_card: MakeCard) -> None:
    assert WORKLOAD.export_config(policy_card({})) == {"context_len": 4, "model_type": "policy_mlp"}


def test_the_real_games_are_what_the_shipped_card_says(
    policy_card: MakeCard, real_data: Path, tmp_path: Path, progress: Quiet
) -> None:
    card = policy_card({"data.games": 32, "data.frames": 297628, "data.split.train": 0.9, "model.context_len": 10})
    path = tmp_path / "games.pt"
    path.symlink_to(real_data / "encoded-real-32.pt")  # what is remembered lies beside the link
    data = opened(card, path, scratch=tmp_path, progress=progress)
    assert {name for name, fact in wrong(data).items() if fact.severity == "error"} == set()
    assert (len(data.train), len(data.validation)) == (268536, 28772)


def test_a_truncated_file_is_refused(
    policy_card: MakeCard, make_file: MakeFile, tmp_path: Path, progress: Quiet
) -> None:
    path = tmp_path / "short.pt"
    shutil.copy(make_file(30, 20), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(IntegrityError, match="truncated or damaged"):
        opened(policy_card({}), path, scratch=tmp_path, progress=progress)
