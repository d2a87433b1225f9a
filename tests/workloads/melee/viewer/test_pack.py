from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from cardrunner.workloads.melee.arena.match_columns import PLAYER_COLUMNS, Column, read_match
from cardrunner.workloads.melee.viewer.page import pack_column, pack_match

TYPES = {"u8": "u1", "u16": "<u2", "i16": "<i2", "f32": "<f4"}


def unpacked(packed: dict[str, Any], length: int) -> Column:
    """What the page's ``match.js`` does."""
    if "constant" in packed:
        return np.full(length, np.nan if packed["constant"] is None else packed["constant"], np.float32)
    numbers = np.frombuffer(base64.b64decode(packed["data"]), TYPES[packed["kind"]])
    return np.where(numbers == packed["missing"], np.nan, numbers * packed["scale"]).astype(np.float32)


@pytest.mark.parametrize(("kind", "scale"), [("u8", 1.0), ("u8", 1 / 160), ("u16", 0.01), ("i16", 0.01)])
@given(values=arrays(np.float32, st.integers(1, 40), elements=st.floats(-400, 400, width=32) | st.just(np.nan)))
def test_a_column_comes_back_within_half_a_step(values: Column, kind: str, scale: float) -> None:
    packed = json.loads(json.dumps(pack_column(values, kind, scale), allow_nan=False))
    back = unpacked(packed, len(values))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    np.testing.assert_allclose(back, values, atol=scale / 2 + 1e-4, rtol=1e-6)


def test_values_that_do_not_fit_are_kept_whole() -> None:
    values = np.array([1e6, -0.001, np.nan], np.float32)
    packed = pack_column(values, "u8")
    assert packed["kind"] == "f32"
    np.testing.assert_array_equal(unpacked(packed, 3), values)


def test_a_column_of_one_value_takes_no_room() -> None:
    assert pack_column(np.full(1000, 2.5, np.float32)) == {"constant": 2.5}
    assert pack_column(np.full(1000, np.nan, np.float32)) == {"constant": None}


def test_a_packed_match_is_what_the_file_says_in_a_fraction_of_its_bytes(match_path: Callable[..., Path]) -> None:
    path = match_path()
    match = read_match(path)
    packed = pack_match(match, label="agents", note="a note")
    assert (packed["label"], packed["length"], packed["sources"]) == ("agents", 300, ("seed", "agent"))
    for name in PLAYER_COLUMNS:
        for player in (0, 1):
            back = unpacked(packed["columns"][name][player], 300)
            np.testing.assert_allclose(back, match.players[player][name], atol=0.0051)
    assert len(json.dumps(packed)) < path.stat().st_size / 10
