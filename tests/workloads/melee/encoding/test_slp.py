from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.workloads.melee.encoding.layout import PlayerIndex, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.slp import (
    ReplayRejected,
    combo_column,
    encode_game,
    encode_replay,
    last_of_each,
)
from tests.examples import examples

pa = pytest.importorskip("pyarrow", reason="peppi-py is not installed")
ROWS = 130


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "replays" / "MANIFEST.csv").open() as stream:
        return list(csv.DictReader(stream))


# ------------------------------------------------------------ real replays


def test_every_replay_of_the_manifest_matches_bit_for_bit(real_data: Path) -> None:
    rows = manifest(real_data)
    assert len(rows) == 10
    for row in rows:
        game = encode_replay(real_data / "replays" / row["file"])
        assert len(game.floats) == int(row["rows"])
        assert hashlib.sha256(game.floats.tobytes()).hexdigest() == row["encoded_floats_sha256"], row["file"]
        assert hashlib.sha256(game.ints.tobytes()).hexdigest() == row["encoded_ints_sha256"], row["file"]


def test_replays_that_are_games_of_the_existing_file_match_it(real_data: Path) -> None:
    stored = torch.load(real_data / "encoded-real-32.pt", weights_only=True, mmap=True)
    offsets = stored["game_offsets"].tolist()
    with (real_data / "encoded-real-32.csv").open() as stream:
        number = {row["sha256"]: int(row["game"]) for row in csv.DictReader(stream)}
    shared = [row for row in manifest(real_data) if row["sha256"] in number]
    assert len(shared) == 4
    for row in shared:
        rows = slice(offsets[number[row["sha256"]]], offsets[number[row["sha256"]] + 1])
        game = encode_replay(real_data / "replays" / row["file"])
        assert game.floats.tobytes() == stored["floats"][rows].numpy().tobytes()
        assert game.ints.tobytes() == stored["ints"][rows].numpy().tobytes()


def test_dropping_rollback_keeps_the_last_row_of_each_frame(real_data: Path) -> None:
    path = real_data / "replays" / "e39ad3d6.slp"
    kept, dropped = encode_replay(path), encode_replay(path, drop_rollback=True)
    assert (dropped.dropped_rows, len(dropped.floats)) == (1494, 6517 - 1494)
    assert kept.dropped_rows == 0
    assert np.array_equal(dropped.floats[-1], kept.floats[-1])


def test_a_transforming_fighter_changes_its_character_inside_a_game(real_data: Path) -> None:
    game = encode_replay(real_data / "replays" / "a35c9eb2.slp")
    assert set(game.ints[:, int_index("character", 1)].tolist()) <= {7, 19}


@pytest.mark.parametrize("length", [0, 10, 5000, 60_000])
def test_a_broken_replay_is_rejected_whatever_the_parser_does(real_data: Path, tmp_path: Path, length: int) -> None:
    broken = tmp_path / "broken.slp"
    broken.write_bytes((real_data / "replays" / "1d97cccc.slp").read_bytes()[:length])
    with pytest.raises(ReplayRejected):
        encode_replay(broken)


# ------------------------------------------------------------ made-up replays


@dataclass
class MadeUp:
    """What peppi-py gives for a replay; `post` fields can be taken away as in old versions."""

    rows: int = ROWS
    players: int = 2
    stage: int | None = 31
    post: dict[str, Any] = field(default_factory=dict)
    pre: dict[str, Any] = field(default_factory=dict)
    ids: list[int] | None = None

    def floats(self, value: float = 0.0) -> Any:
        return pa.array(np.full(self.rows, value, np.float32))

    def whole(self, value: int = 0, kind: type = np.uint8) -> Any:
        return pa.array(np.full(self.rows, value, kind))

    def leader(self) -> SimpleNamespace:
        nothing = dict.fromkeys(
            ("state_age", "airborne", "ground", "jumps", "l_cancel", "hurtbox_state", "velocities", "hitlag")
        )
        post = {
            "character": self.whole(1),
            "state": self.whole(14, np.uint16),
            "position": SimpleNamespace(x=self.floats(), y=self.floats()),
            "direction": self.floats(-1.0),
            "percent": self.floats(),
            "shield": self.floats(60.0),
            "last_attack_landed": self.whole(),
            "combo_count": self.whole(),
            "stocks": self.whole(4),
        }
        pre = {
            "joystick": SimpleNamespace(x=self.floats(), y=self.floats()),
            "cstick": SimpleNamespace(x=self.floats(), y=self.floats()),
            "triggers_physical": SimpleNamespace(l=self.floats(), r=self.floats()),
            "buttons_physical": self.whole(0, np.uint16),
        }
        return SimpleNamespace(
            post=SimpleNamespace(**{**nothing, **post, **self.post}), pre=SimpleNamespace(**{**pre, **self.pre})
        )

    def game(self) -> SimpleNamespace:
        ids = pa.array(np.array(self.ids if self.ids is not None else range(self.rows), np.int32))
        ports = [SimpleNamespace(leader=self.leader(), follower=None) for _ in range(self.players)]
        return SimpleNamespace(start=SimpleNamespace(stage=self.stage), frames=SimpleNamespace(id=ids, ports=ports))

    def encode(self, *, drop_rollback: bool = False) -> tuple[Any, Any]:
        encoded = encode_game(self.game(), drop_rollback=drop_rollback, encoding=EncodingConfig())
        return encoded.floats, encoded.ints


def float_column(made: MadeUp, name: str, player: PlayerIndex = 0) -> list[float]:
    return sorted(set(made.encode()[0][:, float_index(name, player)].tolist()))


def int_column(made: MadeUp, name: str) -> list[int]:
    return sorted(set(made.encode()[1][:, int_index(name)].tolist()))


def test_an_old_replay_gets_the_documented_defaults() -> None:
    floats, ints = MadeUp(stage=None).encode()
    state = dict(zip(("facing", "invulnerable", "on_ground"), floats[0, 12:15].tolist(), strict=True))
    assert state == {"facing": 0.0, "invulnerable": 0.0, "on_ground": 1.0}
    assert floats[0, 4:10].tolist() == [0.0] * 6
    assert ints[0].tolist() == [14, 0, 1, 0, 0, 0, 0, 0] * 2 + [0]


def test_the_stage_clips_to_its_vocabulary() -> None:
    assert MadeUp(stage=80).encode()[1][0, -1] == 32


@examples(50)
@given(percent=st.floats(0, 999, width=32))
def test_percent_is_truncated_before_it_is_scaled(percent: float) -> None:
    made = MadeUp()
    made.post["percent"] = made.floats(percent)
    assert float_column(made, "percent") == [float(np.float32(int(percent)) * np.float32(0.01))]


@given(counts=st.lists(st.integers(0, 255), min_size=1, max_size=40))
def test_combo_counts_are_scaled_in_float64(counts: list[int]) -> None:
    column = combo_column(np.array(counts, np.uint8), EncodingConfig())
    assert column.tolist() == [float(np.float32(count * 0.1)) for count in counts]


def test_scaling_combo_counts_in_float32_would_differ() -> None:
    counts = np.arange(256, dtype=np.uint8)
    assert not np.array_equal(combo_column(counts, EncodingConfig()), counts.astype(np.float32) * np.float32(0.1))


@pytest.mark.parametrize(("ground", "column"), [(65535, 0), (0, 1), (5, 6), (30, 31), (31, 31), (4000, 31)])
def test_ground_ids_move_up_by_one_and_clip(ground: int, column: int) -> None:
    made = MadeUp()
    made.post["ground"] = made.whole(ground, np.uint16)
    assert int_column(made, "ground") == [column]


@pytest.mark.parametrize(("age", "column"), [(-1.0, 0), (-0.5, 0), (0.9, 0), (7.99, 7), (149.5, 149), (9000.0, 149)])
def test_state_age_is_cut_toward_zero_and_clipped(age: float, column: int) -> None:
    made = MadeUp()
    made.post["state_age"] = made.floats(age)
    assert int_column(made, "state_age") == [column]


def test_buttons_come_from_their_physical_bits() -> None:
    made = MadeUp()
    made.pre["buttons_physical"] = made.whole(0x0100 | 0x0400 | 0x0010 | 0x1000 | 0x0001, np.uint16)
    assert made.encode()[0][0, 20:28].tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def test_sticks_become_0_to_1_and_the_harder_trigger_counts() -> None:
    made = MadeUp()
    made.pre["joystick"] = SimpleNamespace(x=made.floats(-1.0), y=made.floats(0.9875))
    made.pre["triggers_physical"] = SimpleNamespace(l=made.floats(0.25), r=made.floats(0.75))
    assert made.encode()[0][0, 15:20].tolist() == pytest.approx([0.0, 0.99375, 0.5, 0.5, 0.75])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (MadeUp(rows=0), "it has no frames"),
        (MadeUp(players=1), "it has 1 players, expected 2"),
        (MadeUp(players=4), "it has 4 players, expected 2"),
        (MadeUp(rows=119), "it has 119 rows, expected at least 120"),
    ],
)
def test_what_is_not_a_game_is_rejected(made: MadeUp, reason: str) -> None:
    with pytest.raises(ReplayRejected) as caught:
        made.encode()
    assert str(caught.value) == reason


def test_garbage_triggers_are_rejected() -> None:
    made = MadeUp()
    made.pre["triggers_physical"] = SimpleNamespace(l=made.floats(), r=made.floats(3.779e22))
    with pytest.raises(ReplayRejected, match=r"garbage trigger: p0.shoulder is 3.779e\+22 in row 0, outside \[0, 1\]"):
        made.encode()


@pytest.mark.parametrize(("name", "value"), [("percent", float("nan")), ("percent", -3.0), ("state_age", float("inf"))])
def test_values_that_no_game_shows_are_rejected(name: str, value: float) -> None:
    made = MadeUp()
    made.post[name] = made.floats(value)
    with pytest.raises(ReplayRejected, match=name):
        made.encode()


def test_non_finite_positions_and_gaps_are_rejected() -> None:
    made = MadeUp()
    made.post["position"] = SimpleNamespace(x=made.floats(float("nan")), y=made.floats())
    with pytest.raises(ReplayRejected, match=r"p0\.x is nan in row 0"):
        made.encode()
    made = MadeUp()
    made.post["stocks"] = pa.array([None] * ROWS, pa.uint8())
    with pytest.raises(ReplayRejected, match="stocks has gaps"):
        made.encode()


@given(ids=st.lists(st.integers(-123, -100), min_size=1, max_size=60))
def test_the_last_row_of_each_id_is_kept_in_order(ids: list[int]) -> None:
    kept = last_of_each(np.array(ids)).tolist()
    assert kept == sorted({value: row for row, value in enumerate(ids)}.values())


def test_dropping_rows_happens_before_the_length_is_judged() -> None:
    with pytest.raises(ReplayRejected, match="it has 65 rows"):
        MadeUp(ids=[row // 2 for row in range(ROWS)]).encode(drop_rollback=True)
