from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.arena.agents import NoopAgent, RandomAgent
from cardrunner.workloads.melee.arena.match_columns import PLAYER_COLUMNS, read_match
from cardrunner.workloads.melee.encoding.layout import NEUTRAL_CONTROL, controller_slice, float_index, int_index
from cardrunner.workloads.melee.game.stage_table import BATTLEFIELD
from cardrunner.workloads.melee.game.world import Frame
from cardrunner.workloads.melee.simulator.simulator import Simulator

WritePlayed = Callable[..., list[Frame]]


@pytest.fixture
def written(write_played: WritePlayed, tmp_path: Path) -> Path:
    """A match of three seed frames and forty played ones; the frames lie beside it."""
    simulator = Simulator(BATTLEFIELD, (1, 22), seed=0)
    made = [simulator.step(np.array([NEUTRAL_CONTROL] * 2, np.float32)) for _ in range(3)]
    floats, ints = np.stack([frame.floats for frame in made]), np.stack([frame.ints for frame in made])
    frames = write_played(tmp_path / "match.json", (RandomAgent(0), NoopAgent()), floats, ints, 40)
    for name in ("floats", "ints"):
        np.save(tmp_path / name, np.stack([getattr(frame, name) for frame in frames]))
    return tmp_path / "match.json"


def test_what_was_written_is_read_back(written: Path) -> None:
    found = read_match(written)
    floats, ints = (np.load(written.with_name(f"{name}.npy")) for name in ("floats", "ints"))
    assert len(found) == 43
    assert (found.sources, found.source.tolist()) == (("seed", "agent"), [0.0] * 3 + [1.0] * 40)
    assert found.meta["format_version"] == 1
    for player in (0, 1):
        columns = found.players[player]
        assert set(columns) == set(PLAYER_COLUMNS)
        assert columns["x"] == pytest.approx(floats[:, float_index("x", player)] * 20, abs=1e-3)
        assert columns["facing"].tolist() == floats[:, float_index("facing", player)].tolist()
        assert columns["action"].tolist() == ints[:, int_index("action", player)].tolist()
        assert columns["main_x"] == pytest.approx(floats[:, controller_slice(player)][:, 0], abs=1e-3)
        assert np.isnan(columns["entropy"][:3]).all()
        assert columns["chance_0"][3:].tolist() == [1.0] * 40
        assert np.isnan(columns["ghost_x"]).all()


def test_the_layout_of_the_lines_does_not_matter(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(written.read_text()), indent=1))
    one, two = read_match(written), read_match(other)
    assert one.meta == two.meta
    assert one.summary == two.summary
    for first, second in zip(one.players, two.players, strict=True):
        for name in PLAYER_COLUMNS:
            np.testing.assert_array_equal(first[name], second[name])


def test_frames_with_a_truth_beside_the_prediction_keep_both(written: Path) -> None:
    content = json.loads(written.read_text())
    frame = content["frames"][10]
    frame["actual"] = {"p0": {"x": -3.5, "y": 7, "facing": False}, "p1": None}
    written.write_text(json.dumps(content))
    first, second = read_match(written).players
    assert (first["ghost_x"][10], first["ghost_y"][10], first["ghost_facing"][10]) == (-3.5, 7, 0)
    assert np.isnan(second["ghost_x"][10])
    assert np.isnan(first["ghost_x"][9])


def spoilt(spoil: Callable[[dict[str, Any]], object], content: dict[str, Any]) -> str:
    spoil(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda text: text[:-30], "is not complete, strict JSON; make the demo again"),
        (lambda text: text[:9000], "is not complete, strict JSON; make the demo again"),
        (lambda text: "[" * 100_000, "is not complete, strict JSON; make the demo again"),
        (lambda text: "[]", "is not a match file: it has no list of frames; make the demo again"),
        (lambda text: '{"frames": {}}', "is not a match file: it has no list of frames; make the demo again"),
        (lambda text: '{"frames": []}', "has no frames; make the demo again"),
        (lambda text: '{"frames": [3]}', "frame 0 lacks the position of p0; make the demo again"),
        (
            lambda text: text.replace('"format_version":1', '"format_version":2'),
            "is of format version 2; this version reads 1",
        ),
    ],
)
def test_what_is_no_match_file_gets_a_sentence(written: Path, spoil: Callable[[str], str], sentence: str) -> None:
    written.write_text(spoil(written.read_text()))
    with pytest.raises(IntegrityError) as caught:
        read_match(written)
    assert sentence in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IntegrityError, match="is not complete, strict JSON"):
        read_match(tmp_path / "bytes.json")
    with pytest.raises(EnvironmentFailed, match="cannot read"):
        read_match(tmp_path / "none.json")
