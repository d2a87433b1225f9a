"""Writing encoded files: games are buffered on disk as they come, then the complete file appears at once.

Memory stays bounded by one game; the disk needs twice the file's size for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import explained, write_durably
from cardrunner.workloads.melee.encoding.encoded_file import RULES_KEY, EncodedFile, open_encoded
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Game = tuple[Floats, Ints]


def save_encoded(
    path: Path, games: Iterable[Game], *, rules: EncoderRules, encoding: EncodingConfig | None = None
) -> EncodedFile:
    """Write games to an encoded file, replacing it whole or not at all.

    Args:
        path: the file to write.
        games: float32 (n, 56) and int64 (n, 17) per game; consumed one by one.
        rules: which encoder made them.
        encoding: default: the 56 + 17 layout.

    Returns:
        the file, opened and checked.

    Raises:
        EnvironmentFailed: there is no game, or the disk fails.
    """
    with EncodedWriter(path) as writer:
        for floats, ints in games:
            writer.add(floats, ints)
        return writer.commit(rules=rules, encoding=encoding)


class EncodedWriter:
    """Collects games on disk beside the output; leaving the ``with`` block removes the buffer.

    Raises:
        EnvironmentFailed: from any method, if the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets = [0]
        self._buffers = tuple(path.with_name(f".{path.name}.{part}.buffer") for part in ("floats", "ints"))

    def __enter__(self) -> Self:
        with explained(self.path, "write"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._floats, self._ints = (buffer.open("wb") for buffer in self._buffers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream, buffer in zip((self._floats, self._ints), self._buffers, strict=True):
            _close_quietly(stream)
            buffer.unlink(missing_ok=True)

    @property
    def games(self) -> int:
        """Games added so far."""
        return len(self.offsets) - 1

    @property
    def frames(self) -> int:
        """Rows added so far."""
        return self.offsets[-1]

    def add(self, floats: Floats, ints: Ints) -> None:
        """Append one game: float32 (n, 56) and int64 (n, 17) with n >= 1; ValueError for anything else."""
        rows = len(floats)
        if floats.shape != (rows, FLOATS) or ints.shape != (rows, INTS) or rows == 0:
            raise ValueError(f"a game of shapes {floats.shape} and {ints.shape}")
        with explained(self.path, "write the buffer of"):
            self._floats.write(np.ascontiguousarray(floats, dtype="<f4").data)
            self._ints.write(np.ascontiguousarray(ints, dtype="<i8").data)
        self.offsets.append(self.offsets[-1] + rows)

    def commit(self, *, rules: EncoderRules, encoding: EncodingConfig | None = None) -> EncodedFile:
        """Write the file from the buffer, open it and check it."""
        if not self.games:
            raise EnvironmentFailed(f"{self.path}: not written, because there is no game to put in it")
        with explained(self.path, "write the buffer of"):
            self._floats.flush()
            self._ints.flush()
        payload = self._payload(rules, encoding or EncodingConfig())
        write_durably(self.path, lambda stream: _save(payload, stream))
        return open_encoded(self.path)

    def _payload(self, rules: EncoderRules, encoding: EncodingConfig) -> dict[str, Any]:
        floats = np.memmap(self._buffers[0], dtype="<f4", mode="r+", shape=(self.frames, FLOATS))
        ints = np.memmap(self._buffers[1], dtype="<i8", mode="r+", shape=(self.frames, INTS))
        return {
            "floats": torch.from_numpy(floats),
            "ints": torch.from_numpy(ints),
            "game_offsets": torch.tensor(self.offsets, dtype=torch.int64),
            "game_lengths": [stop - start for start, stop in pairwise(self.offsets)],
            "num_games": self.games,
            "encoding_config": encoding.model_dump(),
            RULES_KEY: rules.model_dump(),
        }


class _Sink:
    """A stream that remembers why writing failed: torch's archive writer replaces the OSError with its own error."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def write(self, block: Any) -> int:
        try:
            return self.stream.write(block)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self.stream.flush()


def _save(payload: dict[str, Any], stream: BinaryIO) -> None:
    sink = _Sink(stream)
    try:
        torch.save(payload, cast("BinaryIO", sink))
    except RuntimeError:
        if sink.failure is not None:
            raise sink.failure from None
        raise


def _close_quietly(stream: BinaryIO) -> None:
    """Close a buffer that is thrown away; ignore what it could not flush."""
    try:
        stream.close()
    except OSError:
        return
