"""Numbers of a card that follow from others. Torch-free.

Formulas: examples = frames - games x K; bytes = frames x bytes per frame; parameters = embeddings + trunk + heads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.specs import Derived
from cardrunner.workloads.melee.policy.sections import FrameModel, GamesData

# A file is more than its rows: archive directory and pickle per file; an offset (8 bytes) and a length per game.
_FILE_OVERHEAD = 16_384
_GAME_OVERHEAD = 16
# Games differ in length, so a split by game gives the stated share of the examples only roughly.
_SPLIT_TOLERANCE = 0.05


def total_examples(model: FrameModel, data: GamesData) -> int | None:
    """Training and validation examples together; None if games or frames are unknown."""
    if data.known_frames is None or data.known_games is None:
        return None
    return data.known_frames - data.known_games * model.context_len


def data_bytes(data: GamesData) -> int | None:
    """Size of all files: as stated, or from the frames; None if both are unknown."""
    if data.size is not None or data.known_frames is None:
        return data.size
    return data.known_frames * data.encoding.resolved().bytes_per_frame


def training_share(data: GamesData) -> float:
    """Share of the games that train: whole games, rounded down."""
    games = data.known_games
    return int(games * data.split.train) / games if games else data.split.train


def split_tolerance(data: GamesData) -> float:
    """The tolerance between the share of the examples and that of the games; wider for few games."""
    return _SPLIT_TOLERANCE + 0.5 / math.sqrt(data.known_games or 1)


def examples(model: FrameModel, data: GamesData) -> tuple[int, int] | None:
    """Training and validation examples: as stated, else derived from the total, else estimated from the split."""
    train, validation, total = data.train_examples, data.val_examples, total_examples(model, data)
    if train is not None and validation is not None:
        return train, validation
    if total is None or total <= 0:
        return None
    if train is None:
        train = total - validation if validation is not None else round(total * training_share(data))
    return (train, total - train) if 0 < train < total else None


def derive(model: FrameModel, data: GamesData, *, parameters: int | None, formula: str) -> Iterator[Derived]:
    """Every stated number of `data` and `model`, with the number derived from the others.

    Args:
        parameters: of the model that the card describes; None if its architecture is unknown.
        formula: how they are computed.
    """
    yield from _frames(data)
    yield from _examples(model, data)
    yield from _sizes(data)
    if model.parameters is not None and parameters is not None:
        yield Derived(
            loc=("model", "parameters"),
            stated=model.parameters,
            derived=parameters,
            formula=formula,
            unit="parameters",
        )


def linear(inputs: int, outputs: int) -> int:
    """Parameters of a linear layer."""
    return inputs * outputs + outputs


def _frames(data: GamesData) -> Iterator[Derived]:
    made = data.synthetic
    if made is None:
        return
    if data.games is not None:
        yield Derived(
            loc=("data", "games"), stated=data.games, derived=made.games, formula="data.synthetic.games", unit="games"
        )
    if data.frames is not None:
        formula = f"{made.games} games x {made.frames_per_game} frames"
        derived = made.games * made.frames_per_game
        yield Derived(loc=("data", "frames"), stated=data.frames, derived=derived, formula=formula, unit="frames")


def _examples(model: FrameModel, data: GamesData) -> Iterator[Derived]:
    total = total_examples(model, data)
    if total is None:
        return
    formula = f"{data.known_frames} frames - {data.known_games} games x {model.context_len}"
    train, validation = data.train_examples, data.val_examples
    if train is not None and validation is not None:
        yield Derived(
            loc=("data", "train_examples"),
            stated=train,
            derived=total - validation,
            formula=f"{formula} - {validation} val_examples",
            unit="examples",
        )
        return
    share = training_share(data)
    for name, stated, part in (("train_examples", train, share), ("val_examples", validation, 1 - share)):
        if stated is not None:
            yield Derived(
                loc=("data", name),
                stated=stated,
                derived=round(total * part),
                formula=f"about {part:.4g} x ({formula})",
                tolerance=total * split_tolerance(data),
                unit="examples",
            )


def _sizes(data: GamesData) -> Iterator[Derived]:
    per_frame = data.encoding.resolved().bytes_per_frame
    if data.size is not None and data.known_frames is not None:
        overhead = len(data.source) * _FILE_OVERHEAD + (data.known_games or 0) * _GAME_OVERHEAD
        yield Derived(
            loc=("data", "size"),
            stated=data.size,
            derived=data.known_frames * per_frame,
            formula=f"{data.known_frames} frames x {per_frame} bytes",
            tolerance=_rounding(data.size) + overhead,
            unit="bytes",
        )
    parts = [file.size for file in data.source if file.size is not None]
    if data.size is not None and len(parts) == len(data.source):
        rounding = sum(_rounding(size) for size in (*parts, data.size))
        yield Derived(
            loc=("data", "size"),
            stated=data.size,
            derived=sum(parts),
            formula="the sum of the files' sizes",
            tolerance=rounding,
            unit="bytes",
        )


def _rounding(size: int) -> float:
    """Half a unit of the last digit of a size as written, in bytes, KiB, MiB or GiB."""
    return max(units.rounding_of(size / unit) * unit for unit in (1, 2**10, 2**20, 2**30))


def foreseen_mode(card: Card, data: GamesData) -> str | None:
    """How the data will be read, for the plan; None if neither card nor machine gives the sizes."""
    from cardrunner.training.order import choose_shuffle, describe_shuffle, machine_memory  # needed only for plans

    size, memory = data_bytes(data), card.infra.memory
    if memory is None and platform_of(card.infra).storage(card.infra) is None:
        memory = machine_memory()
    if data.shuffle == "auto" and (size is None or memory is None):
        return None
    shuffle = choose_shuffle(data.shuffle, data_bytes=size or 0, memory_bytes=memory or 0)
    return describe_shuffle(shuffle, block_bytes=data.shuffle_block)
