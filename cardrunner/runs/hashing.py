"""sha256 of files of any size, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from cardrunner.runs.files import explained

_BLOCK = 4 << 20


def sha256_file(path: Path, progress: Callable[[int], object] | None = None) -> str:
    """The sha256 of a file's bytes as 64 hexadecimal digits.

    Args:
        path: the file.
        progress: called with the number of bytes of each block that was read.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
    """
    digest = hashlib.sha256()
    with explained(path, "read"), path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            if progress is not None:
                progress(len(block))
    return digest.hexdigest()
