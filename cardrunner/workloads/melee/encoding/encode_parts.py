"""Encoding an archive of replays part by part on any machines, and joining the parts: the basis of remote encoding.

The parts are whole encoded files. Joined in their order they give what `encode` makes of all the replays at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from cardrunner.contracts import Progress
from cardrunner.errors import EnvironmentFailed
from cardrunner.workloads.melee.encoding.encode import encode, find_replays
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import EncodedWriter, Floats, Ints


class Parts:
    """The `PartwiseEncoder` of replays."""

    def find(self, places: Sequence[Path]) -> list[Path]:
        """Every replay below some places, in the order in which they are encoded.

        Raises:
            EnvironmentFailed: no replay was found.
        """
        return find_replays(places)

    def encode(
        self, files: Sequence[Path], output: Path, *, drop_rollback: bool, workers: int, progress: Progress
    ) -> dict[str, Any]:
        """Encode one part. A part in which no replay can be encoded has no file.

        Returns:
            the result: ``games``, ``frames``, ``dropped_rows``, and ``skipped``, pairs of path and reason.
        """
        try:
            report = encode(files, output, drop_rollback=drop_rollback, workers=workers, progress=progress)
        except EnvironmentFailed as error:
            if output.exists():
                raise
            return {"games": 0, "frames": 0, "dropped_rows": 0, "skipped": [[str(file), str(error)] for file in files]}
        skipped = [[str(path), reason] for path, reason in report.skipped]
        counts = {"games": report.games, "frames": report.frames, "dropped_rows": report.dropped_rows}
        return {**counts, "skipped": skipped}

    def join(self, parts: Sequence[Path], output: Path, *, drop_rollback: bool) -> dict[str, Any]:
        """Join parts in their order.

        Returns:
            ``games``, ``frames`` and ``bytes`` of the file.

        Raises:
            IntegrityError: a part is not an encoded file.
            EnvironmentFailed: there is no part, or the disk fails.
        """
        rules = EncoderRules(source="slp", rollback="dropped" if drop_rollback else "kept")
        with EncodedWriter(output) as writer:
            for part in parts:
                for floats, ints in _games(part):
                    writer.add(floats, ints)
            file = writer.commit(rules=rules)
        return {"games": file.games, "frames": file.frames, "bytes": file.size}


def _games(part: Path) -> Iterator[tuple[Floats, Ints]]:
    file = open_encoded(part)
    for start, stop in pairwise(file.offsets.tolist()):
        yield file.floats[start:stop].numpy(), file.ints[start:stop].numpy()


PARTS = Parts()
