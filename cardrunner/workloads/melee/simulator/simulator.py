"""A small two-fighter physics simulator in the encoded frame layout, independent of the game and of any model.

It is plausible, not exact: one hitbox per move, no projectiles, no throws beyond the hit of a grab. The rules are in
`ground` and `acting` (actions), `motion` (movement) and `hits` (attacks).

`generate` makes games with it in the real layout, for a first run without external data: everything follows from the
seed, in any process and on any machine with the same Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cardrunner.errors import UsageError
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile
from cardrunner.workloads.melee.encoding.layout import (
    FLOATS,
    FLOATS_PER_PLAYER,
    INTS,
    INTS_PER_PLAYER,
    MINIMUM_ROWS,
    NEUTRAL_CONTROL,
    PLAYER_FLOATS as FLOAT_FIELDS,
    PLAYER_INTS as INT_FIELDS,
    STAGE_COLUMN,
)
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import Game, save_encoded
from cardrunner.workloads.melee.game.stage_table import STAGES, Platform, stage_geometry
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints, possible_controls
from cardrunner.workloads.melee.simulator.acting import act
from cardrunner.workloads.melee.simulator.fighter import FULL_SHIELD, STOCKS, Fighter, Pad
from cardrunner.workloads.melee.simulator.hits import MAX_PERCENT, ROOM, check_blast_zones, exchange_hits
from cardrunner.workloads.melee.simulator.motion import move
from cardrunner.workloads.melee.simulator.scripted import ScriptedPlayer
from cardrunner.workloads.melee.simulator.states import DAMAGE, FALL, IN_THE_AIR, ON_THE_GROUND, SLEEP, WAIT

_CONFIG: Final = EncodingConfig()
_OLDEST_AGE: Final = _CONFIG.state_age_embed_vocab - 1


class Simulator:
    """Two fighters on a stage; satisfies ``World``.

    Args:
        stage: Slippi external id; a stage without geometry plays on Final Destination's.
        characters: internal ids of player 0 and player 1.
        seed: decides the exact starting positions; everything else follows from the controls.
    """

    action_logits: None = None

    def __init__(self, stage: int, characters: tuple[int, int], seed: int = 0) -> None:
        self.stage_id, self.stage = stage, stage_geometry(stage)
        self._pads = [Pad(), Pad()]
        dice = random.Random(seed)
        far = self.stage.half_width * 0.6
        places = ((-far * dice.uniform(0.5, 1.0), 1), (far * dice.uniform(0.5, 1.0), -1))
        self.fighters = tuple(
            Fighter(character, self.stage, x=x, facing=facing)
            for character, (x, facing) in zip(characters, places, strict=True)
        )

    @classmethod
    def from_frame(cls, floats: Floats, ints: Ints) -> Simulator:
        """A simulator that continues from a frame (56,), (17,), including a real one.

        Unknown actions, such as a character's own specials, continue as standing or falling.
        """
        stage = int(ints[STAGE_COLUMN])
        halves = [_fields(floats, ints, player) for player in (0, 1)]
        simulator = cls(stage, (int(halves[0]["character"]), int(halves[1]["character"])))
        for fighter, fields in zip(simulator.fighters, halves, strict=True):
            _restore(fighter, fields)
        values = floats.reshape(2, FLOATS_PER_PLAYER)[:, -13:].tolist()
        simulator._pads = [Pad.read(value, Pad()) for value in values]
        return simulator

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Continue from the newest of K frames (K, 56), (K, 17)."""
        other = Simulator.from_frame(floats[-1], ints[-1])
        self.stage_id, self.stage, self.fighters, self._pads = other.stage_id, other.stage, other.fighters, other._pads

    def accept(self, frame: Frame) -> None:
        """Ignored: the simulator's own state is authoritative."""

    @property
    def over(self) -> bool:
        """Whether a player has no stock left."""
        return any(fighter.stocks == 0 for fighter in self.fighters)

    def step(self, controls: Floats) -> Frame:
        """Advance one frame.

        Args:
            controls: (2, 13) in file units; impossible values are corrected.

        Returns:
            the new frame, with these controls in it.
        """
        possible = possible_controls(controls).tolist()
        for player, fighter in enumerate(self.fighters):
            pad = Pad.read(possible[player], self._pads[player])
            self._pads[player] = pad
            if fighter.hitlag > 0:
                fighter.hitlag -= 1
            else:
                act(fighter, pad)
                move(fighter)
        exchange_hits(*self.fighters)
        for fighter in self.fighters:
            check_blast_zones(fighter, self.stage)
        return self.frame(possible)

    def frame(self, controls: Sequence[Sequence[float]]) -> Frame:
        """The present state as a frame, with these controls (2 x 13, possible values)."""
        floats: list[float] = []
        ints: list[int] = []
        for fighter, pad in zip(self.fighters, controls, strict=True):
            floats += _float_fields(fighter)
            floats += pad
            ints += _int_fields(fighter)
        ints.append(min(max(self.stage_id, 0), _CONFIG.stage_vocab - 1))
        return Frame(np.array(floats, np.float32), np.array(ints, np.int64))


# ---------------------------------------------------------------- frames


def _float_fields(fighter: Fighter) -> tuple[float, ...]:
    """The 15 state columns of a player, scaled."""
    xy, speed = _CONFIG.xy_scale, _CONFIG.velocity_scale
    return (
        int(fighter.percent) * _CONFIG.percent_scale,
        fighter.x * xy,
        fighter.y * xy,
        fighter.shield * _CONFIG.shield_scale,
        fighter.vx * speed,
        fighter.vy * speed,
        fighter.vx * speed if fighter.grounded else 0.0,
        fighter.knock_x * speed,
        fighter.knock_y * speed,
        fighter.hitlag * _CONFIG.hitlag_scale,
        fighter.stocks * _CONFIG.stocks_scale,
        fighter.combo * _CONFIG.combo_count_scale,
        float(fighter.facing > 0),
        float(fighter.hurtbox != 0),
        float(fighter.grounded),
    )


def _int_fields(fighter: Fighter) -> tuple[int, ...]:
    """The 8 int columns of a player."""
    age = min(fighter.age, _OLDEST_AGE)
    return (
        fighter.action,
        fighter.jumps,
        fighter.character,
        fighter.l_cancel,
        fighter.hurtbox,
        fighter.touched,
        fighter.last_attack,
        age,
    )


def _fields(floats: Floats, ints: Ints, player: int) -> dict[str, float]:
    """A player's columns of one frame (56,), (17,) by name, still scaled."""
    if floats.shape != (FLOATS,) or ints.shape != (INTS,):
        raise ValueError(f"a frame of shapes {floats.shape} and {ints.shape}")
    mine = floats[player * FLOATS_PER_PLAYER :][:FLOATS_PER_PLAYER].tolist()
    whole = ints[player * INTS_PER_PLAYER :][:INTS_PER_PLAYER].tolist()
    return {**dict(zip(FLOAT_FIELDS, mine, strict=True)), **dict(zip(INT_FIELDS, whole, strict=True))}


def _restore(fighter: Fighter, fields: dict[str, float]) -> None:
    """Put a fighter into the state of a frame; state that a frame lacks (hitstun) counts as over."""
    xy, speed, stage = _CONFIG.xy_scale, _CONFIG.velocity_scale, fighter.stage
    fighter.percent = min(max(fields["percent"] / _CONFIG.percent_scale, 0.0), MAX_PERCENT)
    fighter.x = min(max(fields["x"] / xy, stage.blast.left - ROOM), stage.blast.right + ROOM)
    fighter.y = min(max(fields["y"] / xy, stage.blast.bottom - ROOM), stage.blast.top + ROOM)
    fighter.shield = min(max(fields["shield"] / _CONFIG.shield_scale, 0.0), FULL_SHIELD)
    fighter.vx, fighter.vy = fields["speed_air_x"] / speed, fields["speed_y"] / speed
    fighter.knock_x, fighter.knock_y = fields["speed_attack_x"] / speed, fields["speed_attack_y"] / speed
    fighter.hitlag = max(round(fields["hitlag"] / _CONFIG.hitlag_scale), 0)
    fighter.stocks = min(max(round(fields["stocks"] / _CONFIG.stocks_scale), 0), STOCKS)
    fighter.combo = max(round(fields["combo_count"] / _CONFIG.combo_count_scale), 0)
    fighter.facing = 1 if fields["facing"] > 0.5 else -1
    fighter.jumps, fighter.last_attack = int(fields["jumps_left"]), int(fields["last_attack_landed"])
    fighter.touched = int(fields["ground"])
    _restore_action(fighter, int(fields["action"]), int(fields["state_age"]), on_ground=fields["on_ground"] > 0.5)


def _restore_action(fighter: Fighter, action: int, age: int, *, on_ground: bool) -> None:
    surface = _surface_under(fighter) if on_ground and action not in IN_THE_AIR else None
    fighter.grounded = surface is not None
    if surface is not None:
        fighter.surface, fighter.y = surface, surface.y
    possible = action in DAMAGE or action in (ON_THE_GROUND if fighter.grounded else IN_THE_AIR)
    if fighter.stocks == 0:
        fighter.enter(SLEEP)
    else:
        fighter.enter(action if possible else WAIT if fighter.grounded else FALL)
        fighter.age = age if possible else 0


def _surface_under(fighter: Fighter) -> Platform | None:
    stage = fighter.stage
    near = [each for each in (stage.main, *stage.platforms) if each.left <= fighter.x <= each.right]
    return min(near, key=lambda each: abs(each.y - fighter.y), default=None)


CAST: Final = (1, 2, 7, 9, 18, 22)
"""Characters (internal ids) that the generator chooses from: those with their own attributes."""


def generate(
    path: Path, *, games: int, frames_per_game: int, seed: int = 0, progress: Callable[[int], object] | None = None
) -> EncodedFile:
    """Write an encoded file of made-up games.

    Args:
        path: the file to write or replace.
        games: how many.
        frames_per_game: rows of each.
        seed: the same seed gives the same tensors.
        progress: called with 1 after each game.

    Raises:
        UsageError: no games, or too few frames for a game.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    if games < 1 or frames_per_game < MINIMUM_ROWS:
        raise UsageError(
            f"cannot make {games} games of {frames_per_game} frames; ask for at least one game of {MINIMUM_ROWS} frames"
        )

    def made() -> Iterator[Game]:
        for number in range(games):
            yield play_scripted(frames_per_game, seed=f"{seed}/{number}")
            if progress is not None:
                progress(1)

    return save_encoded(path, made(), rules=EncoderRules(source="generator"))


def play_scripted(frames: int, *, seed: str) -> Game:
    """One made-up game.

    Args:
        frames: its rows.
        seed: decides stage, characters, positions and every choice of the players.

    Returns:
        floats float32 (frames, 56) and ints int64 (frames, 17).
    """
    dice = random.Random(seed)
    characters = (dice.choice(CAST), dice.choice(CAST))
    simulator = Simulator(dice.choice(sorted(STAGES)), characters, seed=dice.getrandbits(32))
    players = (ScriptedPlayer(0, seed), ScriptedPlayer(1, seed))
    floats, ints = np.empty((frames, FLOATS), np.float32), np.empty((frames, INTS), np.int64)
    frame = simulator.frame((NEUTRAL_CONTROL, NEUTRAL_CONTROL))
    for row in range(frames):
        controls = np.array([player.controls(frame) for player in players], np.float32)
        frame = simulator.step(controls)
        floats[row], ints[row] = frame
    return floats, ints
