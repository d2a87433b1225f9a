from __future__ import annotations

import subprocess
import sys

import pytest

from cardrunner.workloads.melee.encoding import layout
from cardrunner.workloads.melee.game.names import ACTION_IDS, ACTION_NAMES, action_name, character_name
from cardrunner.workloads.melee.game.stage_table import STAGES, stage_geometry, stage_name


def test_a_frame_is_56_floats_and_17_ints_in_360_bytes() -> None:
    assert (layout.FLOATS, layout.INTS, layout.BYTES_PER_FRAME) == (56, 17, 360)
    assert (len(layout.FLOAT_NAMES), len(layout.INT_NAMES)) == (56, 17)


@pytest.mark.parametrize(
    ("name", "player", "column"),
    [
        *[("percent", 0, 0), ("shield", 1, 31), ("combo_count", 0, 11), ("facing", 0, 12), ("on_ground", 1, 42)],
        *[("main_x", 0, 15), ("shoulder", 1, 47), ("A", 0, 20), ("Z", 0, 24), ("D_UP", 1, 55)],
    ],
)
def test_float_columns_stand_where_the_format_has_them(name: str, player: layout.PlayerIndex, column: int) -> None:
    assert layout.float_index(name, player) == column
    assert layout.FLOAT_NAMES[column] == f"p{player}.{name}"


def test_int_columns_stand_where_the_format_has_them() -> None:
    assert layout.int_index("action") == 0
    assert layout.int_index("state_age", 1) == 15
    assert layout.INT_NAMES[layout.STAGE_COLUMN] == "stage"


def test_the_controller_of_a_player_is_one_slice() -> None:
    assert layout.controller_slice(0) == slice(15, 28)
    assert layout.controller_slice(1) == slice(43, 56)


def test_describing_a_frame_needs_neither_torch_nor_numpy() -> None:
    modules = "encoding.layout, cardrunner.workloads.melee.encoding.scheme, cardrunner.workloads.melee.game.names"
    code = f"import sys, cardrunner.workloads.melee.{modules}, cardrunner.workloads.melee.game.stage_table\n"
    code += "assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_action_has_a_name_of_its_own() -> None:
    assert len(set(ACTION_NAMES)) == 400
    known = {"DEAD_DOWN": 0, "WAIT": 14, "DASH": 20, "KNEE_BEND": 24, "LANDING": 42, "ATTACK_AIR_N": 65}
    known |= {"DAMAGE_FLY_TOP": 90, "GUARD": 179, "CATCH": 212, "ESCAPE_AIR": 236, "CLIFF_WAIT": 253, "ENTRY": 322}
    assert {name: ACTION_IDS[name] for name in known} == known
    assert (action_name(340), action_name(341), action_name(999)) == ("BARREL_CANNON_WAIT", "ACTION_341", "ACTION_999")


def test_names_of_characters_and_stages_answer_any_id() -> None:
    assert [character_name(number) for number in (7, 19, 22, 99)] == ["Sheik", "Zelda", "Falco", "Character 99"]
    assert [stage_name(number) for number in (8, 31, 77)] == ["Yoshi's Story", "Battlefield", "Stage 77"]
    assert stage_geometry(0) is STAGES[32]


def test_stages_are_drawn_to_scale() -> None:
    widths = {2: 63.35, 3: 87.75, 8: 56.0, 28: 77.27, 31: 68.4, 32: 85.57}
    assert {number: stage.half_width for number, stage in STAGES.items()} == widths
    for stage in STAGES.values():
        for platform in stage.platforms:
            assert stage.blast.left < platform.left < platform.right < stage.blast.right
            assert 0 < platform.y < stage.blast.top
