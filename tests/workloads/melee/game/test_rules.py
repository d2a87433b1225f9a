from __future__ import annotations

import numpy as np
import pytest

from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS, PlayerIndex, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS
from cardrunner.workloads.melee.game.rules import Events, GameRules
from cardrunner.workloads.melee.game.stage_table import BATTLEFIELD, stage_geometry
from cardrunner.workloads.melee.game.world import Frame

ENCODING = EncodingConfig()
RULES = GameRules(stage_geometry(BATTLEFIELD), ENCODING)


def frame(player: PlayerIndex = 0, **values: float) -> Frame:
    """Both with 3 stocks at the centre; one player otherwise, in scaled units."""
    floats, ints = np.zeros(FLOATS, np.float32), np.full(INTS, 3, np.int64)
    for own in (0, 1):
        floats[float_index("stocks", own)] = 0.75
    for name, value in values.items():
        floats[float_index(name, player)] = value
    return Frame(floats, ints)


def test_nothing_happens_to_those_who_keep_the_rules() -> None:
    now = frame(x=1.0, y=0.5, speed_air_x=0.2, percent=0.4)
    before = Frame(now.floats.copy(), now.ints.copy())
    assert RULES.apply(now, before) == Events()
    assert np.array_equal(now.floats, before.floats)


@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize(("x", "y"), [(-11.3, 0), (11.3, 0), (0, 10.1), (0, -5.5)])
def test_a_stock_is_lost_at_every_blast_zone(player: PlayerIndex, x: float, y: float) -> None:
    now = frame(player, x=x, y=y, percent=1.2, speed_y=-0.1, speed_attack_x=0.1, shield=0.1, hitlag=0.3)
    events = RULES.apply(now, frame())
    assert events.ko == (player == 0, player == 1)
    assert events.stock_protected == (False, False)
    values = {name: float(now.floats[float_index(name, player)]) for name in ("percent", "x", "speed_y", "hitlag")}
    assert values == {"percent": 0, "x": 0, "speed_y": 0, "hitlag": 0}
    assert now.floats[float_index("stocks", player)] == 0.5
    assert now.floats[float_index("invulnerable", player)] == 1
    assert now.floats[float_index("shield", player)] == pytest.approx(0.6)
    assert 0 < now.floats[float_index("y", player)] < 10
    assert now.ints[int_index("action", player)] == ACTION_IDS["REBIRTH_WAIT"]
    assert now.floats[float_index("stocks", 0 if player else 1)] == 0.75


def test_the_last_stock_can_be_lost() -> None:
    before = frame(stocks=0.25)
    now = frame(stocks=0.25, y=-6.0)
    assert RULES.apply(now, before).ko == (True, False)
    assert now.floats[float_index("stocks", 0)] == 0


@pytest.mark.parametrize("told", [0.5, 0.0, 1.0])
def test_stocks_that_change_without_a_reason_change_back(told: float) -> None:
    now = frame(1, stocks=told)
    assert RULES.apply(now, frame()).stock_protected == (False, True)
    assert now.floats[float_index("stocks", 1)] == 0.75


def test_a_number_of_stocks_that_only_drifts_is_set_right_without_a_word() -> None:
    now = frame(stocks=0.7)
    assert RULES.apply(now, frame()) == Events()
    assert now.floats[float_index("stocks", 0)] == 0.75


def test_nobody_is_faster_than_five_units_a_frame() -> None:
    now = frame(1, speed_y=-0.4, speed_attack_x=0.2)
    assert RULES.apply(now, frame()).velocity_clamped == (False, True)
    assert now.floats[float_index("speed_y", 1)] == pytest.approx(-0.25)
    assert now.floats[float_index("speed_attack_x", 1)] == pytest.approx(0.2)
