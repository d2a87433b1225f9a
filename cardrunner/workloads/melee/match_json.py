"""A match as the JSON that viewers read. Both spellings are written where two are in use (facing and facing_right,
speeds flat and under velocity); what viewers do not know is extra (controller).

Strict JSON: no NaN, no Infinity. All lengths are game units, speeds game units per frame, entropies nats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cardrunner.runs.files import write_durably
from cardrunner.workloads.melee.game_units import PlayerState
from cardrunner.workloads.melee.match import Match, PlayedFrame
from cardrunner.workloads.melee.names import action_name, character_name
from cardrunner.workloads.melee.stages import Box, StageGeometry, stage_geometry, stage_name

NEAR_BLAST_ZONE = 30.0
_DIGITS = 4
_SLOTS = ("p0", "p1")


@dataclass(frozen=True, kw_only=True)
class MatchMeta:
    """What a viewer shows above the match."""

    model_name: str
    arch: str
    context_len: int
    p0_agent: str
    p1_agent: str


def write_match(path: Path, match: Match, meta: MatchMeta) -> dict[str, Any]:
    """Write a match file, whole or not at all.

    Returns:
        its summary.

    Raises:
        EnvironmentFailed: the disk refuses.
    """
    summary = summarise(match)
    write_durably(path, lambda stream: _write(stream, match, meta, summary))
    return summary


def summarise(match: Match) -> dict[str, Any]:
    """The figures of a match."""
    stage = stage_geometry(match.stage)
    played = [player for frame in match.played for player in frame.players]
    speeds = [player.speed for player in played]
    last = match.played[-1].players if match.played else match.seed[-1]
    return {
        "total_frames_predicted": len(match.played),
        "avg_speed": _rounded(sum(speeds) / max(len(speeds), 1)),
        "max_speed": _rounded(max(speeds, default=0.0)),
        "off_stage_frames": sum(_off_stage(player, stage) for player in played),
        "avg_action_entropy": 0.0,
        "ko_events": sum(sum(frame.ko) for frame in match.played),
        "stock_protections": 0,
        "final_p0_stocks": last[0].stocks,
        "final_p1_stocks": last[1].stocks,
        "ended": match.ended,
    }


def _write(stream: BinaryIO, match: Match, meta: MatchMeta, summary: dict[str, Any]) -> None:
    """One frame a line, so that a long match is never one object in memory."""
    head = {"meta": _meta(match, meta), "stage_geometry": _geometry(stage_geometry(match.stage))}
    for key, value in head.items():
        stream.write(f"{'{' if key == 'meta' else ''}{json.dumps(key)}: {_dumps(value)},\n".encode())
    stream.write(b'"frames": [\n')
    for number, frame in enumerate(_frames(match)):
        stream.write((",\n" if number else "").encode() + _dumps({"t": number, **frame}).encode())
    stream.write(f'\n],\n"summary": {_dumps(summary)}}}\n'.encode())


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _meta(match: Match, meta: MatchMeta) -> dict[str, Any]:
    characters = [player.character for player in match.seed[-1]]
    return {
        "mode": "agent-vs-agent",
        **asdict(meta),
        "total_frames": len(match.seed) + len(match.played),
        "seed_frames": len(match.seed),
        "stage": {"id": match.stage, "name": stage_name(match.stage)},
        "characters": {
            slot: {"id": character, "name": character_name(character)}
            for slot, character in zip(_SLOTS, characters, strict=True)
        },
    }


def _geometry(stage: StageGeometry) -> dict[str, Any]:
    return {
        "name": stage.name,
        "ground_y": 0.0,
        "ground_x_range": [-stage.half_width, stage.half_width],
        "platforms": [{"x_range": [each.left, each.right], "y": each.y} for each in stage.platforms],
        "blast_zones": _box(stage.blast),
        "camera_bounds": _box(stage.camera),
    }


def _box(box: Box) -> dict[str, float]:
    return asdict(box)


def _frames(match: Match) -> Iterator[dict[str, Any]]:
    stage = stage_geometry(match.stage)
    for players in match.seed:
        actual: dict[str, Any] = {slot: _player(player) for slot, player in zip(_SLOTS, players, strict=True)}
        yield {"source": "seed", "actual": {**actual, "stage": match.stage}, "predicted": None}
    for frame in match.played:
        predicted = {slot: _predicted(player, stage) for slot, player in zip(_SLOTS, frame.players, strict=True)}
        yield {"source": "agent", "actual": None, "predicted": predicted, "harness_events": _events(frame)}


def _player(player: PlayerState) -> dict[str, Any]:
    """What seed and agent frames both tell of a player."""
    numbers = {name: _rounded(value) for name, value in asdict(player).items() if type(value) is float}
    return {
        **numbers,
        "stocks": player.stocks,
        "facing": player.facing_right,
        "facing_right": player.facing_right,
        "invulnerable": player.invulnerable,
        "on_ground": player.on_ground,
        "action": player.action,
        "action_name": action_name(player.action),
        "jumps_left": player.jumps_left,
        "character": player.character,
        "controller": {name: _rounded(value) for name, value in player.controller.items()},
    }


def _predicted(player: PlayerState, stage: StageGeometry) -> dict[str, Any]:
    """An agent frame's player; a simulator is sure of its action, so the first of the three has all the probability."""
    blast, velocities = stage.blast, ("speed_air_x", "speed_y", "speed_ground_x")
    room = min(player.x - blast.left, blast.right - player.x, blast.top - player.y, player.y - blast.bottom)
    return {
        **_player(player),
        "top3_actions": [{"action": player.action, "name": action_name(player.action), "prob": 1.0}],
        "velocity": {name: _rounded(getattr(player, name)) for name in velocities},
        "action_entropy": 0.0,
        "speed_magnitude": _rounded(player.speed),
        "off_stage": _off_stage(player, stage),
        "near_blast_zone": room < NEAR_BLAST_ZONE,
    }


def _events(frame: PlayedFrame) -> dict[str, Any]:
    sides: Sequence[tuple[str, bool, bool]] = tuple(zip(_SLOTS, frame.ko, frame.velocity_clamped, strict=True))
    return {slot: {"ko": ko, "velocity_clamped": cut, "stock_protected": False} for slot, ko, cut in sides}


def _off_stage(player: PlayerState, stage: StageGeometry) -> bool:
    return abs(player.x) > stage.half_width


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
