"""Which data a checkpoint says it was trained on, and what comes of holding two against each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.workloads.melee.demo.data_match import DataOrigin, DemoOrigins, compare, read_origin
from cardrunner.workloads.melee.demo.section import MatchDemo

ENCODING = {"xy_scale": 0.05, "hitstun": False}


def identity(**changes: Any) -> dict[str, Any]:
    files = [{"file": "games.pt", "bytes": 100, "sha256": "ab" * 32}]
    base = {"files": files, "games": 32, "frames": 297628, "encoding": ENCODING, "rules": [None]}
    return {**base, **changes}


def saved(path: Path, **changes: Any) -> Path:
    record = {"run": "real-games", "card_digest": "0" * 64, "data": identity(**changes), "step": 3}
    content = {"model_state_dict": {"x": torch.zeros(3)}, "epoch": 0, "cardrunner": record}
    torch.save(content, path)
    return path


def test_a_checkpoint_tells_its_data_without_torch(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt")
    origin = read_origin(path)
    assert str(origin) == "32 games, 297,628 frames, sha256 abababababab..., run real-games"
    probe = (
        "import sys; from pathlib import Path; from cardrunner.workloads.melee.demo.data_match import read_origin;"
        f" print(read_origin(Path({str(path)!r})).games, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "32 False"


def test_the_same_data_is_the_same_under_another_run(tmp_path: Path) -> None:
    one, other = read_origin(saved(tmp_path / "a.pt")), DataOrigin.of_data(identity(), run="world")
    found = compare("the policy", one, "the world model", other)
    assert found.verdict == "same"
    assert found.sentence.startswith("the policy and the world model were trained on the same data: 32 games")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"games": 22000, "frames": 206754081}, "32 against 22,000 games, 297,628 against 206,754,081 frames"),
        ({"files": [{"sha256": "cd" * 32}]}, "sha256 abababababab... against cdcdcdcdcdcd..."),
        ({"encoding": {"xy_scale": 0.1}}, "encoding.xy_scale 0.05 against 0.1"),
        ({"rules": [{"source": "slp"}]}, "different encoder rules"),
    ],
)
def test_every_difference_is_said(changes: dict[str, Any], words: str) -> None:
    found = compare(
        "the policy", DataOrigin.of_data(identity()), "the world model", DataOrigin.of_data(identity(**changes))
    )
    assert (found.verdict, found.sentence) == (
        "different",
        f"the policy and the world model were trained on DIFFERENT data: {words}",
    )


@pytest.mark.parametrize(
    "content",
    [
        {"model_state_dict": {}, "config": {"context_len": 10}},
        {"cardrunner": {"data": None}},
        {"cardrunner": {"data": {"files": [3], "games": "many"}}},
        {"cardrunner": "x"},
        [1, 2],
    ],
)
def test_an_old_or_odd_checkpoint_does_not_tell(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "old.pt")
    old = read_origin(tmp_path / "old.pt")
    assert str(old) == "unknown: its checkpoint does not record its data"
    found = compare("the policy", DataOrigin.of_data(identity()), "the world model", old)
    assert found.verdict == "unknown"
    assert found.sentence == (
        "unknown, because the checkpoint of the world model does not record its data; the policy: trained on 32 games,"
        " 297,628 frames, sha256 abababababab..."
    )


def test_a_damaged_or_absent_file_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04 not really")
    assert not read_origin(tmp_path / "bad.pt").recorded
    assert read_origin(tmp_path / "none.pt").silence == "was not found"


def test_what_a_file_claims_cannot_forge_a_line() -> None:
    forged = identity(files=[{"sha256": "ab\n| x | y |"}])
    assert DataOrigin.of_data(forged).digests == ()
    assert DataOrigin.of({"cardrunner": {"run": "x\n# Results", "data": identity()}}).run is None


OLD, THIS, OTHER = DataOrigin(), DataOrigin.of_data(identity()), DataOrigin.of_data(identity(games=50))


@pytest.mark.parametrize(
    ("demo", "agrees", "sentence"),
    [
        ({"world_model": "w.pt"}, True, "both policies and the world model were trained on the same data"),
        (
            {"world_model": "old.pt"},
            None,
            "unknown, because the checkpoint of the world model does not record its data",
        ),
        ({"world_model": "other.pt"}, False, "both policies and the world model were trained on DIFFERENT data"),
        (
            {"world_model": "w.pt", "p1": "policy:other.pt"},
            False,
            "the policy of p1 and the world model were trained on DIFFERENT",
        ),
        ({"world_model": "w.pt", "p0": "noop", "p1": "replay"}, None, "nothing to compare: no policy plays"),
        ({}, None, "nothing to compare: the built-in simulator is not trained on data"),
    ],
)
def test_the_models_of_a_demo_are_held_against_each_other(
    demo: dict[str, str], agrees: bool | None, sentence: str
) -> None:
    origins = {"best": THIS, "w.pt": THIS, "old.pt": OLD, "other.pt": OTHER}
    match = DemoOrigins.of(MatchDemo(**demo), origins.__getitem__).match()  # type: ignore[arg-type]
    assert match.agrees is agrees
    assert sentence in match.sentence
    assert next(iter(match.parts)) == "world model"
