"""Whether a checkpoint is whole, as far as its bytes can tell.

Every check answers None for a whole one, else what is wrong as the end of a sentence. A format without a length or an
end that could be checked counts as whole when it is not empty.
"""

from __future__ import annotations

import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from cardrunner.runs.copies import files_of

INCOMPLETE: Final = "checkpoint-is-incomplete"
"""Hugging Face's Trainer leaves a file of this name in a folder that it has not finished."""
_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = b"\x80"
_TORCH: Final = frozenset({".pt", ".pth", ".ckpt"})
_END_OF_ZIP: Final = 22
"""Bytes of a zip's last record without its comment; see APPNOTE.TXT 4.3.16."""
_LARGEST_HEADER: Final = 100_000_000
"""Of a safetensors file, in bytes: its own readers refuse larger ones."""
_LARGEST_JSON: Final = 64_000_000
"""A larger file is not read whole: its brackets are looked at."""


def flaw(path: Path, complete: Sequence[str] = ()) -> str | None:
    """What is wrong with a checkpoint; None for a whole one.

    Args:
        path: a file, or a folder.
        complete: patterns of files that a whole folder has.
    """
    try:
        return _flaw_of_folder(path, complete) if path.is_dir() else _flaw_of_file(path)
    except FileNotFoundError:
        return "it was removed meanwhile"
    except OSError as error:
        return f"it cannot be read: {os.strerror(error.errno or 0)}"


def _flaw_of_folder(folder: Path, complete: Sequence[str]) -> str | None:
    files = list(files_of(folder))
    if not files:
        return "it is empty"
    marked = next((path.name for path in files if path.name.startswith(INCOMPLETE)), None)
    if marked is not None:
        return f"{marked} in it says that it is not complete"
    for pattern in complete:
        if not any(folder.glob(pattern)):
            return f"{pattern} is missing"
    marks = {path for pattern in complete for path in folder.glob(pattern)}
    for path in files:
        if path in marks and path.stat().st_size == 0:
            continue  # an empty file that says: all is written
        if (why := _flaw_of_file(path)) is not None:
            return f"{path.relative_to(folder)}: {why}"
    return None


def _flaw_of_file(path: Path) -> str | None:
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        return "it is not a file"
    if state.st_size == 0:
        return "it has 0 bytes"
    with path.open("rb") as stream:
        magic = stream.read(4)
    return _check(path, magic)(path)


def _check(path: Path, magic: bytes) -> Callable[[Path], str | None]:
    if magic == _ZIP:
        return _flaw_of_zip
    if path.suffix in _TORCH and not magic.startswith(_PICKLE):
        return _flaw_of_no_torch_file
    return _CHECKS.get(path.suffix, _flaw_of_other)


def _flaw_of_no_torch_file(_: Path) -> str:
    return "it is neither a zip nor a pickle"


def _flaw_of_other(_: Path) -> None:
    return None


def _flaw_of_zip(path: Path) -> str | None:
    """The directory is written last; a zip inside a torn one has a directory too, but does not begin the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members, comment = archive.infolist(), archive.comment
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError):
        return "it is a zip without its directory"
    if not members or min(member.header_offset for member in members) != 0:
        return "it is a zip without its directory"
    with path.open("rb") as stream:
        stream.seek(-_END_OF_ZIP - len(comment), os.SEEK_END)
        end = stream.read(_END_OF_ZIP)
    stated = struct.unpack("<H", end[-2:])[0]
    return None if end.startswith(b"PK\x05\x06") and stated == len(comment) else "it is a zip without its end"


def _flaw_of_safetensors(path: Path) -> str | None:
    """See https://github.com/huggingface/safetensors#format."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= min(_LARGEST_HEADER, path.stat().st_size - 8):
            return "it is a safetensors file without its header"
        header = _parsed(stream.read(length))
    try:
        ends = [int(value["data_offsets"][1]) for name, value in header.items() if name != "__metadata__"]
    except (AttributeError, TypeError, KeyError, IndexError, ValueError):
        return "it is a safetensors file without its header"
    expected, size = 8 + length + max(ends, default=0), path.stat().st_size
    return None if size == expected else f"it has {size:,} bytes, and its header says {expected:,}"


def _flaw_of_json(path: Path) -> str | None:
    if path.stat().st_size > _LARGEST_JSON:
        return None if _brackets_match(path) else "it is JSON without its end"
    value = _parsed(path.read_bytes())
    if not isinstance(value, dict | list):
        return "it is not a JSON object"
    shards = value.get("weight_map") if isinstance(value, dict) and path.name.endswith(".index.json") else None
    for name in sorted({*shards.values()} if isinstance(shards, dict) else ()):
        if not (path.parent / str(name)).exists():
            return f"it names {name}, which is missing"
    return None


def _brackets_match(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.read(1)
        stream.seek(-64, os.SEEK_END)
        return first + stream.read().rstrip()[-1:] in (b"{}", b"[]")


def _parsed(data: bytes) -> Any:
    """The JSON value; None if it is not one."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _flaw_of_pickle(path: Path) -> str | None:
    with path.open("rb") as stream:
        first = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        whole = first != _PICKLE or stream.read(1) == pickle.STOP
    return None if whole else "it is a pickle without its end"


_CHECKS: Final[dict[str, Callable[[Path], str | None]]] = {
    ".safetensors": _flaw_of_safetensors,
    ".json": _flaw_of_json,
    ".pkl": _flaw_of_pickle,
    ".pickle": _flaw_of_pickle,
}
