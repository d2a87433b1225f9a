"""A torch file's own pages as tensors, at any size.

``torch.load(mmap=True)`` maps a whole file privately and writable, which Linux refuses for a file larger than memory
and swap: https://github.com/pytorch/pytorch/issues/127001
"""

from __future__ import annotations

import errno
import mmap
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.files import explained
from cardrunner.workloads.melee.encoding.archive import ForeignObject, StoredTensor, read_archive
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig, guess_configuration

_NO_RESERVE: Final = 0x4000  # MAP_NORESERVE, which not every Python names


def map_file(path: Path) -> mmap.mmap:
    """A file's pages, private to this process; its memory can be reclaimed under pressure."""
    with path.open("rb") as stream:
        if sys.platform != "linux":
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        return mmap.mmap(stream.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def view(pages: mmap.mmap, stored: StoredTensor) -> Tensor:
    """A checked tensor as a view of the mapped file."""
    assert stored.storage is not None
    dtype: torch.dtype = getattr(torch, stored.storage.dtype)
    if not stored.elements:
        return torch.empty(stored.shape, dtype=dtype)
    flat = torch.frombuffer(pages, dtype=dtype, count=stored.elements, offset=stored.position)
    return flat.view(stored.shape)


REQUIRED_KEYS = ("floats", "ints", "game_offsets", "game_lengths", "num_games", "encoding_config")
RULES_KEY = "encoder_rules"
_TENSORS = (("floats", "float32", 2), ("ints", "int64", 2), ("game_offsets", "int64", 1))
_ZIP_START = b"PK\x03\x04"
_REPLACE = "get an intact copy, or encode the replays again"


@dataclass(frozen=True, eq=False)
class EncodedFile:
    """A checked encoded file.

    Attributes:
        size: bytes on disk.
        floats: float32 (N, 56), memory-mapped.
        ints: int64 (N, 17), memory-mapped.
        offsets: int64 (G + 1,); game ``g`` is rows ``offsets[g]`` to ``offsets[g + 1]``.
        stored_encoding: ``encoding_config`` as stored, possibly incomplete.
        encoding: the same with its gaps filled so that it fits the tensors.
        rules: the encoder rules that made the file; None if it does not record them.
        other_keys: keys of the file that are ignored.
        floats_at: byte of the file where the floats begin.
        ints_at: byte of the file where the ints begin.
    """

    path: Path
    size: int
    floats: Tensor
    ints: Tensor
    offsets: Tensor
    stored_encoding: Mapping[str, object]
    encoding: EncodingConfig
    rules: EncoderRules | None
    other_keys: tuple[str, ...] = ()
    floats_at: int = 0
    ints_at: int = 0

    @property
    def games(self) -> int:
        """G."""
        return len(self.offsets) - 1

    @property
    def frames(self) -> int:
        """N."""
        return len(self.floats)


def open_encoded(path: Path) -> EncodedFile:
    """Memory-map an encoded file and check its structure.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not an encoded file of the 56 + 17 layout; the sentence says what differs.
    """
    size = _check_container(path)
    payload = _load(path)
    _check_keys(path, payload)
    with explained(path, "map"):
        pages = map_file(path)
    places = {key: _stored(path, payload, key, dtype, dimensions) for key, dtype, dimensions in _TENSORS}
    floats, ints, offsets = (view(pages, place) for place in places.values())
    _check_widths(path, floats, ints)
    _check_rows(path, floats, ints)
    _check_counts(path, payload, offsets, frames=len(floats))
    encoding, rules = _descriptions(path, payload)
    return EncodedFile(
        path=path,
        size=size,
        floats=floats,
        ints=ints,
        offsets=offsets,
        stored_encoding=payload["encoding_config"],
        encoding=encoding,
        rules=rules,
        other_keys=tuple(str(key) for key in payload if key not in (*REQUIRED_KEYS, RULES_KEY)),
        floats_at=places["floats"].position,
        ints_at=places["ints"].position,
    )


def _check_container(path: Path) -> int:
    """Size in bytes of a file that is an uncompressed zip archive, which is what torch writes and can map."""
    if not path.exists():
        raise EnvironmentFailed(f"{path}: there is no such file; give the path of an encoded .pt file")
    if not path.is_file():
        raise EnvironmentFailed(f"{path}: not a file; give the path of an encoded .pt file")
    with explained(path, "read"), path.open("rb") as stream:
        start = stream.read(len(_ZIP_START))
        if start != _ZIP_START:
            raise IntegrityError(f"{path}: not a torch file ({_first_bytes(start)}); {_REPLACE}")
        try:
            entries = zipfile.ZipFile(stream).infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise IntegrityError(
                f"{path}: truncated or damaged: the archive's directory is missing; {_REPLACE}"
            ) from None
        size = stream.seek(0, 2)
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size for entry in entries):
        raise IntegrityError(f"{path}: a compressed archive, which cannot be memory-mapped; save it with torch.save")
    return size


def _first_bytes(start: bytes) -> str:
    return f"it begins with {start.hex(' ')}" if start else "it is empty"


def _load(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as stream:
            payload = read_archive(stream)
    except OSError as error:
        if error.errno == errno.EINVAL:  # the directory of a damaged archive points outside the file
            raise IntegrityError(
                f"{path}: truncated or damaged: its directory points outside the file; {_REPLACE}"
            ) from None
        raise EnvironmentFailed(f"{path}: cannot be read: {error.strerror or error}") from None
    except ForeignObject as error:
        raise IntegrityError(
            f"{path}: holds objects other than tensors, numbers and text ({error}), which are never loaded; {_REPLACE}"
        ) from None
    except Exception as error:  # damaged pickles and storages raise nearly anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise IntegrityError(f"{path}: truncated or damaged ({reason}); {_REPLACE}") from None
    if not isinstance(payload, dict):
        raise IntegrityError(f"{path}: holds a {type(payload).__name__}, not the dict of an encoded file; {_REPLACE}")
    return payload


def _check_keys(path: Path, payload: Mapping[Any, object]) -> None:
    missing = [key for key in REQUIRED_KEYS if key not in payload]
    if missing:
        found = ", ".join(sorted(str(key)[:40] for key in payload)[:12]) or "nothing"
        raise IntegrityError(f"{path}: lacks {', '.join(missing)} (it holds {found}); {_REPLACE}")


def _stored(path: Path, payload: Mapping[Any, object], key: str, dtype: str, dimensions: int) -> StoredTensor:
    """The tensor of a key, if its elements lie in row-major order in the file's own bytes."""
    value = payload[key]
    if not isinstance(value, StoredTensor) or value.storage is None:
        kind = value.kind if isinstance(value, StoredTensor) else type(value).__name__
        raise IntegrityError(f"{path}: {key} is a {kind}, not a plain tensor; {_REPLACE}")
    if value.storage.dtype != dtype:
        raise IntegrityError(f"{path}: {key} is {value.storage.dtype}, expected {dtype}; {_REPLACE}")
    if len(value.shape) != dimensions:
        raise IntegrityError(f"{path}: {key} has shape {value.shape}, expected {dimensions} dimensions; {_REPLACE}")
    if not value.in_order:
        raise IntegrityError(
            f"{path}: {key} claims shape {value.shape} with strides {value.strides}, which the {value.storage.size}"
            f" bytes stored for it do not hold row after row; {_REPLACE}"
        )
    return value


def _check_widths(path: Path, floats: Tensor, ints: Tensor) -> None:
    width, int_width = floats.shape[1], ints.shape[1]
    if (width, int_width) == (FLOATS, INTS):
        return
    guess = guess_configuration(width, int_width)
    reason = f"an encoder writes that with {guess}" if guess else "no known configuration of the encoder gives that"
    raise IntegrityError(
        f"{path}: {width} floats and {int_width} ints per frame, expected {FLOATS} and {INTS}; {reason}: encode the"
        " replays again with projectiles, state_flags and hitstun off and state_age as a category"
    )


def _check_rows(path: Path, floats: Tensor, ints: Tensor) -> None:
    if len(floats) != len(ints):
        raise IntegrityError(f"{path}: {len(floats)} rows of floats but {len(ints)} of ints; {_REPLACE}")


def _check_counts(path: Path, payload: Mapping[Any, object], offsets: Tensor, *, frames: int) -> None:
    """Check that offsets, lengths and the number of games agree."""
    if len(offsets) < 2 or frames == 0:
        raise IntegrityError(f"{path}: holds no game; encode at least one replay")
    _check_offsets(path, offsets, frames)
    games, lengths = payload["num_games"], payload["game_lengths"]
    if type(games) is not int or games != len(offsets) - 1:
        raise IntegrityError(
            f"{path}: num_games is {_brief(games)}, but game_offsets has {len(offsets) - 1} games; {_REPLACE}"
        )
    if not isinstance(lengths, list) or len(lengths) != games:
        count = f"{len(lengths)} entries" if isinstance(lengths, list) else f"a {type(lengths).__name__}"
        raise IntegrityError(f"{path}: game_lengths has {count}, expected a list of {games}; {_REPLACE}")
    for game, (stated, actual) in enumerate(zip(lengths, offsets.diff().tolist(), strict=True)):
        if type(stated) is not int or stated != actual:
            raise IntegrityError(
                f"{path}: game_lengths[{game}] is {_brief(stated)}, but game_offsets gives {actual} rows; {_REPLACE}"
            )


def _brief(value: object) -> str:
    """A stored value short enough for one sentence."""
    return repr(value)[:40] if isinstance(value, int | float | str) else f"a {type(value).__name__}"


def _check_offsets(path: Path, offsets: Tensor, frames: int) -> None:
    first, last = int(offsets[0]), int(offsets[-1])
    if first != 0:
        raise IntegrityError(f"{path}: game_offsets begins with {first}, expected 0; {_REPLACE}")
    wrong = torch.nonzero(offsets.diff() <= 0)
    if len(wrong):
        game = int(wrong[0])
        raise IntegrityError(
            f"{path}: game_offsets does not ascend at game {game} ({int(offsets[game])} then {int(offsets[game + 1])});"
            f" {_REPLACE}"
        )
    if last != frames:
        direction = "beyond" if last > frames else "before"
        raise IntegrityError(
            f"{path}: game_offsets ends at {last}, {direction} the {frames} rows of the tensors; {_REPLACE}"
        )


def _descriptions(path: Path, payload: Mapping[Any, object]) -> tuple[EncodingConfig, EncoderRules | None]:
    stored = payload["encoding_config"]
    if not isinstance(stored, dict) or not all(isinstance(key, str) for key in stored):
        raise IntegrityError(f"{path}: encoding_config is not a dict of named values; {_REPLACE}")
    try:
        encoding = EncodingConfig.from_file_dict(stored, floats=FLOATS, ints=INTS)
        rules = EncoderRules.from_file_dict(payload[RULES_KEY]) if RULES_KEY in payload else None
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}; {_REPLACE}") from None
    return encoding, rules
