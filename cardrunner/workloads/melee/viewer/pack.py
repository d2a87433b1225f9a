"""A match as compact JSON for the viewer's page: one column for each thing known of a player, narrow and in base64.

A column is ``{"constant": value}`` (null: nothing known) or ``{"kind", "scale", "missing", "data"}`` with little-endian
numbers of kind u8, u16, i16 or f32; a value is number times scale, and ``missing`` stands for nothing known. The page's
``match.js`` undoes it.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np

from cardrunner.workloads.melee.layout import BUTTONS, STICK_STEP, STICKS, TRIGGER_STEP
from cardrunner.workloads.melee.match_columns import PLAYER_COLUMNS, Column, MatchColumns

_HUNDREDTH: Final = 0.01
_YES: Final = ("u8", 1.0)
_PLACE: Final = ("i16", _HUNDREDTH)
_AMOUNT: Final = ("u16", _HUNDREDTH)
_FORMS: Final = {
    **dict.fromkeys(("x", "y", "ghost_x", "ghost_y"), _PLACE),
    **dict.fromkeys(("percent", "speed", "position_error"), _AMOUNT),
    "shield": _AMOUNT,
    "entropy": ("u16", 0.001),
    **dict.fromkeys(("action", "likely_0", "likely_1", "likely_2"), ("u16", 1.0)),
    **dict.fromkeys(("chance_0", "chance_1", "chance_2"), ("u8", 1 / 200)),
    **dict.fromkeys(STICKS, ("u8", STICK_STEP)),
    "shoulder": ("u8", TRIGGER_STEP),
    **dict.fromkeys(BUTTONS, _YES),
}
"""Kind and scale of columns; the rest is whole numbers from 0 to 254."""
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "u8": np.dtype("u1"),
    "u16": np.dtype("<u2"),
    "i16": np.dtype("<i2"),
    "f32": np.dtype("<f4"),
}


def pack_match(match: MatchColumns, *, label: str, note: str = "") -> dict[str, Any]:
    """A match for the page.

    Args:
        match: the match.
        label: what the page calls it, such as ``agents``.
        note: a sentence about it.
    """
    return {
        "label": label,
        "note": note,
        "meta": match.meta,
        "stage_geometry": match.stage_geometry,
        "summary": match.summary,
        "length": len(match),
        "sources": match.sources,
        "source": pack_column(match.source),
        "columns": {
            name: [pack_column(player[name], *_FORMS.get(name, _YES)) for player in match.players]
            for name in PLAYER_COLUMNS
        },
    }


def pack_column(values: Column, kind: str = "u8", scale: float = 1.0) -> dict[str, Any]:
    """One column, float32 (N,); values that do not fit into the kind are kept as f32."""
    known = np.isfinite(values)
    if not known.any():
        return {"constant": None}
    if known.all() and (values == values[0]).all():
        return {"constant": float(values[0])}
    dtype = _TYPES[kind]
    limits = np.iinfo(dtype)
    missing = limits.max if limits.min == 0 else limits.min
    numbers = np.rint(np.where(known, values, 0) / np.float64(scale))
    if (numbers < limits.min).any() or (numbers > limits.max).any() or (numbers == missing).any():
        return {"kind": "f32", "scale": 1, "missing": None, "data": _base64(values.astype(_TYPES["f32"]))}
    data = np.where(known, numbers, missing).astype(dtype)
    return {"kind": kind, "scale": scale, "missing": int(missing), "data": _base64(data)}


def _base64(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
