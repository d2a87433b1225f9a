"""Action states of the built-in simulator, grouped by the actions they allow."""

from __future__ import annotations

from typing import Final

from cardrunner.workloads.melee.game.names import ACTION_IDS as ID
from cardrunner.workloads.melee.simulator.moves import AERIAL_LANDINGS, LOCKED, MOVES, NEUTRAL_SPECIAL_AIR, UP_SPECIAL

WAIT: Final = ID["WAIT"]
LANDING: Final = ID["LANDING"]
FALL, FALL_AERIAL, FALL_SPECIAL, DAMAGE_FALL = ID["FALL"], ID["FALL_AERIAL"], ID["FALL_SPECIAL"], ID["DAMAGE_FALL"]
WALK_SLOW, WALK_MIDDLE, WALK_FAST = ID["WALK_SLOW"], ID["WALK_MIDDLE"], ID["WALK_FAST"]
DASH, RUN, RUN_BRAKE, TURN, KNEE_BEND = ID["DASH"], ID["RUN"], ID["RUN_BRAKE"], ID["TURN"], ID["KNEE_BEND"]
SQUAT_WAIT, SQUAT_RV, PASS = ID["SQUAT_WAIT"], ID["SQUAT_RV"], ID["PASS"]
GUARD_ON, GUARD, GUARD_OFF, GUARD_SET_OFF = ID["GUARD_ON"], ID["GUARD"], ID["GUARD_OFF"], ID["GUARD_SET_OFF"]
ESCAPE, ESCAPE_F, ESCAPE_B, ESCAPE_AIR = ID["ESCAPE"], ID["ESCAPE_F"], ID["ESCAPE_B"], ID["ESCAPE_AIR"]
DOWN_BOUND, DOWN_WAIT, DOWN_STAND, PASSIVE = ID["DOWN_BOUND_U"], ID["DOWN_WAIT_U"], ID["DOWN_STAND_U"], ID["PASSIVE"]
CLIFF_CATCH, CLIFF_WAIT, CLIFF_CLIMB = ID["CLIFF_CATCH"], ID["CLIFF_WAIT"], ID["CLIFF_CLIMB_QUICK"]
REBIRTH, REBIRTH_WAIT, SLEEP = ID["REBIRTH"], ID["REBIRTH_WAIT"], ID["SLEEP"]
LANDING_SPECIAL = ID["LANDING_FALL_SPECIAL"]

DEAD: Final = frozenset(range(ID["DEAD_DOWN"], SLEEP + 1))
SHIELDS: Final = frozenset((GUARD_ON, GUARD, GUARD_SET_OFF))
ON_LEDGE: Final = frozenset((CLIFF_CATCH, CLIFF_WAIT, CLIFF_CLIMB))
DAMAGE: Final = frozenset(range(ID["DAMAGE_HI_1"], ID["DAMAGE_FLY_ROLL"] + 1))
TUMBLES: Final = frozenset((*range(ID["DAMAGE_FLY_HI"], ID["DAMAGE_FLY_ROLL"] + 1), DAMAGE_FALL))
WALKS: Final = frozenset((WALK_SLOW, WALK_MIDDLE, WALK_FAST))
STANDING: Final = frozenset((WAIT, *WALKS, DASH, RUN, RUN_BRAKE, TURN, SQUAT_WAIT, SQUAT_RV))
JUMPING: Final = frozenset(range(ID["JUMP_F"], ID["JUMP_AERIAL_B"] + 1))
FALLING: Final = frozenset((*range(FALL, ID["FALL_AERIAL_B"] + 1), DAMAGE_FALL, PASS))
FREE_IN_AIR: Final = frozenset((*JUMPING, *FALLING))
HELPLESS: Final = frozenset(range(FALL_SPECIAL, ID["FALL_SPECIAL_B"] + 1))

IN_THE_AIR: Final = frozenset(
    (
        *(*DEAD, *ON_LEDGE, *FREE_IN_AIR, *HELPLESS, *AERIAL_LANDINGS),
        *(ESCAPE_AIR, UP_SPECIAL, NEUTRAL_SPECIAL_AIR, REBIRTH, REBIRTH_WAIT),
    )
)
"""Actions that never happen on the ground (damage happens in both places)."""
ON_THE_GROUND: Final = (
    frozenset((*SHIELDS, *STANDING, *AERIAL_LANDINGS.values(), *LOCKED, *MOVES, KNEE_BEND, DOWN_WAIT)) - IN_THE_AIR
)
