"""Stages: ids, names and the geometry that the simulator and the viewer need. All lengths are game units.

Blast zones and ground widths are those of the match format; platform heights and widths agree with where fighters stand
in recorded games. ``surfaces`` are the values of the ``ground`` column that recorded games show on each platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final


@dataclass(frozen=True)
class Platform:
    """A flat surface that can be passed from below; ``ground`` is its value in the ``ground`` column."""

    left: float
    right: float
    y: float
    ground: int


@dataclass(frozen=True)
class Bounds:
    """An axis-parallel rectangle."""

    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True)
class StageGeometry:
    """The geometry of a stage, for physics and drawing.

    Attributes:
        half_width: the main ground reaches from ``-half_width`` to ``half_width`` at ``y = 0``.
        ground: the main ground's value in the ``ground`` column.
    """

    id: int
    name: str
    half_width: float
    ground: int
    platforms: tuple[Platform, ...]
    blast: Bounds
    camera: Bounds

    @cached_property
    def main(self) -> Platform:
        """The main ground as a surface, the same object every time."""
        return Platform(-self.half_width, self.half_width, 0.0, self.ground)


FOUNTAIN_OF_DREAMS: Final = 2
POKEMON_STADIUM: Final = 3
YOSHIS_STORY: Final = 8
DREAM_LAND: Final = 28
BATTLEFIELD: Final = 31
FINAL_DESTINATION: Final = 32

STAGES: Final = {
    stage.id: stage
    for stage in (
        StageGeometry(
            FOUNTAIN_OF_DREAMS,
            "Fountain of Dreams",
            63.35,
            6,
            (Platform(-49.5, -21.0, 20.0, 1), Platform(21.0, 49.5, 20.0, 2), Platform(-14.25, 14.25, 42.75, 3)),
            Bounds(-198.75, 198.75, 202.5, -146.25),
            Bounds(-150.0, 150.0, 150.0, -90.0),
        ),
        StageGeometry(
            POKEMON_STADIUM,
            "Pokémon Stadium",
            87.75,
            31,
            (Platform(-55.0, -25.0, 25.0, 31), Platform(25.0, 55.0, 25.0, 31)),
            Bounds(-230.0, 230.0, 200.0, -111.0),
            Bounds(-170.0, 170.0, 140.0, -70.0),
        ),
        StageGeometry(
            YOSHIS_STORY,
            "Yoshi's Story",
            56.0,
            4,
            (Platform(-59.5, -28.0, 23.45, 2), Platform(28.0, 59.5, 23.45, 6), Platform(-15.75, 15.75, 42.0, 5)),
            Bounds(-175.7, 173.6, 168.0, -91.0),
            Bounds(-130.0, 130.0, 120.0, -55.0),
        ),
        StageGeometry(
            DREAM_LAND,
            "Dream Land N64",
            77.27,
            5,
            (Platform(-61.39, -31.73, 30.14, 1), Platform(31.7, 63.08, 30.24, 2), Platform(-19.02, 19.02, 51.43, 3)),
            Bounds(-255.0, 250.0, 250.0, -123.0),
            Bounds(-165.0, 165.0, 160.0, -80.0),
        ),
        StageGeometry(
            BATTLEFIELD,
            "Battlefield",
            68.4,
            2,
            (Platform(-57.6, -20.0, 27.2, 3), Platform(20.0, 57.6, 27.2, 5), Platform(-18.8, 18.8, 54.4, 4)),
            Bounds(-224.0, 224.0, 200.0, -108.8),
            Bounds(-160.0, 160.0, 136.0, -47.2),
        ),
        StageGeometry(
            FINAL_DESTINATION,
            "Final Destination",
            85.57,
            2,
            (),
            Bounds(-246.0, 246.0, 188.0, -140.0),
            Bounds(-170.0, 170.0, 120.0, -60.0),
        ),
    )
}
"""Geometry of the six tournament stages by Slippi external id."""

STAGE_NAMES: Final = {
    0: "unknown",
    4: "Princess Peach's Castle",
    5: "Kongo Jungle",
    6: "Brinstar",
    7: "Corneria",
    9: "Onett",
    10: "Mute City",
    11: "Rainbow Cruise",
    12: "Jungle Japes",
    13: "Great Bay",
    14: "Hyrule Temple",
    15: "Brinstar Depths",
    16: "Yoshi's Island",
    17: "Green Greens",
    18: "Fourside",
    19: "Mushroom Kingdom I",
    20: "Mushroom Kingdom II",
    22: "Venom",
    23: "Poké Floats",
    24: "Big Blue",
    25: "Icicle Mountain",
    27: "Flat Zone",
    29: "Yoshi's Island N64",
    30: "Kongo Jungle N64",
    **{number: stage.name for number, stage in STAGES.items()},
}


def stage_name(stage: int) -> str:
    """The name of a stage id; ``Stage <id>`` for one that is not in the table."""
    return STAGE_NAMES.get(stage, f"Stage {stage}")


def stage_geometry(stage: int) -> StageGeometry:
    """Geometry of a stage; Final Destination stands in for those without one (id 0 in some files, rarities)."""
    return STAGES.get(stage, STAGES[FINAL_DESTINATION])
