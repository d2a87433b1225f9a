"""A match as the JSON that viewers read. Both spellings are written where two are in use (facing and facing_right,
speeds flat and under velocity); fields beyond what viewers read are extra (controller).

Strict JSON: no NaN, no Infinity. All lengths are game units, speeds game units per frame, entropies nats. Frames are
written in blocks as they come, one a line, so that memory use is independent of the match's length.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from cardrunner.runs.files import write_durably
from cardrunner.workloads.melee.arena.frame_lines import FrameLines
from cardrunner.workloads.melee.arena.match import MatchEnd
from cardrunner.workloads.melee.arena.match_columns import FORMAT_VERSION, SLOTS
from cardrunner.workloads.melee.arena.player_columns import PlayerColumns, Predicted
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS, PLAYERS, STAGE_COLUMN, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import character_name
from cardrunner.workloads.melee.game.rules import NOTHING, Events
from cardrunner.workloads.melee.game.stage_table import Bounds, StageGeometry, stage_geometry, stage_name
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints

_BLOCK: Final = 256
_LONGEST: Final = 12
"""Digits reserved at the beginning for the number of frames, which is known only at the end."""


@dataclass(frozen=True, kw_only=True)
class MatchMeta:
    """The heading of a match in a viewer."""

    model_name: str
    arch: str
    context_len: int
    p0_agent: str
    p1_agent: str
    mode: str = "agent-vs-agent"
    seed_players: str = "people"
    """Who played the seed frames."""
    distribution_match: str | None = None
    """Whether policies and world model were trained on the same data."""


def write_seed_only(path: Path, floats: Floats, ints: Ints, meta: MatchMeta, encoding: EncodingConfig) -> None:
    """Write a match file of recorded frames (n, 56), (n, 17), completely or not at all."""

    def write(stream: BinaryIO) -> None:
        recorder = MatchFile(stream, meta, encoding)
        recorder.begin(floats, ints)
        recorder.end(MatchEnd(len(floats), 0, "frames", 0, 0))

    write_durably(path, write)


class MatchFile:
    """A recorder that writes a match file.

    Args:
        stream: a seekable file to write to.
        meta: the heading of the match.
        encoding: of the frames.
    """

    def __init__(self, stream: BinaryIO, meta: MatchMeta, encoding: EncodingConfig) -> None:
        self._stream, self._meta, self._encoding = stream, meta, encoding
        self._floats = np.empty((_BLOCK, FLOATS), np.float32)
        self._ints = np.empty((_BLOCK, INTS), np.int64)
        self._logits = np.empty((_BLOCK, len(PLAYERS), encoding.action_vocab), np.float32)
        self._events = np.zeros((_BLOCK, len(Events._fields), len(PLAYERS)), np.bool_)
        self._waiting, self._has_logits = 0, False
        self._sums = _Sums()

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Write the heading, and the seed (K, 56), (K, 17)."""
        stage = int(ints[-1, STAGE_COLUMN])
        self._stage = stage_geometry(stage)
        self._lines = FrameLines(self._stage, stage)
        self._write_head(stage, [int(ints[-1, int_index("character", player)]) for player in PLAYERS], len(floats))
        columns = PlayerColumns.of(floats, ints, self._encoding)
        self._lines.write_seed(self._stream, columns)
        self._sums.final = columns.last_stocks

    def add(self, frame: Frame, events: Events, logits: Floats | None) -> None:
        """Add a played frame."""
        place = self._waiting
        self._floats[place], self._ints[place] = frame
        if events is not NOTHING:
            self._events[place] = events
        if logits is not None:
            self._logits[place] = logits
        self._has_logits = logits is not None
        self._waiting += 1
        if self._waiting == _BLOCK:
            self._flush()

    def end(self, end: MatchEnd) -> dict[str, Any]:
        """Write the rest of the file; returns the figures of the match."""
        self._flush()
        summary = self._sums.summary(end)
        self._stream.write(f'\n],\n"summary": {_dumps(summary)}}}\n'.encode())
        self._stream.seek(self._total_at)
        self._stream.write(f"{end.seed_frames + end.played:>{_LONGEST}d}".encode())
        self._stream.seek(0, 2)
        return summary

    def _flush(self) -> None:
        rows = self._waiting
        if rows:
            columns = PlayerColumns.of(self._floats[:rows], self._ints[:rows], self._encoding)
            logits = self._logits[:rows] if self._has_logits else None
            predicted = Predicted.of(columns, logits, self._stage)
            self._lines.write_played(self._stream, columns, predicted, self._events[:rows])
            self._sums.count(columns, predicted, self._events[:rows])
            self._events[:rows] = False
        self._waiting = 0

    def _write_head(self, stage: int, characters: list[int], seed_frames: int) -> None:
        meta = {
            "format_version": FORMAT_VERSION,
            **asdict(self._meta),
            "total_frames": None,
            "seed_frames": seed_frames,
            "stage": {"id": stage, "name": stage_name(stage)},
            "characters": {
                slot: {"id": character, "name": character_name(character)}
                for slot, character in zip(SLOTS, characters, strict=True)
            },
        }
        before, after = f'{{"meta": {_dumps(meta)}'.split('"total_frames":null')
        head = f'{before}"total_frames":'.encode()
        self._total_at = self._stream.tell() + len(head)
        geometry = _dumps(_geometry(self._stage))
        self._stream.write(head + f'{0:>{_LONGEST}d}{after},\n"stage_geometry": {geometry},\n"frames": [\n'.encode())


class _Sums:
    """The figures of a match, added up block by block."""

    def __init__(self) -> None:
        self.players = self.off_stage = self.kos = self.protections = 0
        self.speed = self.largest_speed = self.entropy = 0.0
        self.final = (0, 0)

    def count(self, columns: PlayerColumns, predicted: Predicted, events: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        """Add a block."""
        self.players += predicted.speed.size
        self.speed += float(predicted.speed.sum())
        self.largest_speed = max(self.largest_speed, float(predicted.speed.max()))
        self.entropy += float(predicted.entropy.sum())
        self.off_stage += int(predicted.off_stage.sum())
        ko, _, protected = events.sum((0, 2)).tolist()
        self.kos, self.protections = self.kos + ko, self.protections + protected
        self.final = columns.last_stocks

    def summary(self, end: MatchEnd) -> dict[str, Any]:
        """The figures that viewers show, and further ones."""
        players = max(self.players, 1)
        return {
            "total_frames_predicted": end.played,
            "avg_speed": round(self.speed / players, 4),
            "max_speed": round(self.largest_speed, 4),
            "off_stage_frames": self.off_stage,
            "avg_action_entropy": round(self.entropy / players, 4),
            "ko_events": self.kos,
            "stock_protections": self.protections,
            "final_p0_stocks": self.final[0],
            "final_p1_stocks": self.final[1],
            "ended": end.ended,
            "out_of_range_frames": end.out_of_range,
            "non_finite_frames": end.not_finite,
        }


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _geometry(stage: StageGeometry) -> dict[str, Any]:
    return {
        "name": stage.name,
        "ground_y": 0.0,
        "ground_x_range": [-stage.half_width, stage.half_width],
        "platforms": [{"x_range": [each.left, each.right], "y": each.y} for each in stage.platforms],
        "blast_zones": _box(stage.blast),
        "camera_bounds": _box(stage.camera),
    }


def _box(box: Bounds) -> dict[str, float]:
    return asdict(box)
