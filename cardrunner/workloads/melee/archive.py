"""Where the tensors of a torch file lie, and the file's own pages as tensors, at any size.

``torch.load(mmap=True)`` maps a whole file privately and writable, which Linux refuses for a file larger than memory
and swap. So the archive is read here: the zip directory says where each storage lies, the pickle which tensors there
are. The pickle may name storages, tensors, dicts, numbers and text; anything else is refused, and nothing in it is
ever called but the functions below, which only take notes.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

_DTYPES: Final = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
        "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
        "Bool": torch.bool,
    }.items()
}  # fmt: skip
_NO_RESERVE: Final = 0x4000  # MAP_NORESERVE, which not every Python names
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
_OTHER_TENSORS: Final = {"_rebuild_parameter": "Parameter", "_rebuild_sparse_tensor": "sparse tensor"}


class ForeignObject(pickle.UnpicklingError):
    """The pickle names something that is not data."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file."""

    dtype: torch.dtype
    position: int
    """Of its first byte in the file."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the pickle describes it; nothing of this has been checked.

    Attributes:
        kind: "Tensor" for a plain one.
    """

    kind: str
    storage: Storage | None = None
    offset: int = 0
    """Elements of the storage before the first of the tensor."""
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """How many numbers the shape asks for."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def position(self) -> int:
        """Of the first element's first byte in the file; only for a tensor that has passed the checks."""
        assert self.storage is not None
        return self.storage.position + self.offset * self.storage.dtype.itemsize

    @property
    def in_order(self) -> bool:
        """Whether all elements lie once and row after row within the storage."""
        if self.storage is None or len(self.shape) != len(self.strides) or min((*self.shape, self.offset)) < 0:
            return False
        expected, step = [], 1
        for size in reversed(self.shape):
            expected.append(step)
            step *= max(size, 1)
        rows = zip(self.shape, self.strides, reversed(expected), strict=True)
        inside = (self.offset + self.elements) * self.storage.dtype.itemsize <= self.storage.size
        return inside and all(size <= 1 or stride == wanted for size, stride, wanted in rows)


def read_archive(stream: BinaryIO) -> Any:
    """The object that a torch file holds, every tensor as a `StoredTensor`.

    Raises:
        ForeignObject: it holds something that is not data.
        Exception: anything else, for a damaged file.
    """
    archive = zipfile.ZipFile(stream)
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickled = next(name for name in entries if name.partition("/")[2] == "data.pkl")
    folder = pickled.removesuffix("data.pkl")
    if entries.get(f"{folder}byteorder") and archive.read(f"{folder}byteorder").strip() != b"little":
        raise ValueError("its numbers are stored with the high byte first")

    end = stream.seek(0, io.SEEK_END)

    def place(key: str) -> tuple[int, int]:
        entry = entries[f"{folder}data/{key}"]
        position = _data_position(stream, entry)
        if position + entry.file_size > end:
            raise ValueError("it ends before its numbers do")
        return position, entry.file_size

    return _Reader(archive.read(pickled), place).load()


def map_file(path: Path) -> mmap.mmap:
    """A file's pages, private to this process; takes no memory that is not given back under pressure."""
    with path.open("rb") as stream:
        if sys.platform != "linux":
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        return mmap.mmap(stream.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def view(pages: mmap.mmap, stored: StoredTensor) -> Tensor:
    """A checked tensor as a view of the mapped file."""
    assert stored.storage is not None
    if not stored.elements:
        return torch.empty(stored.shape, dtype=stored.storage.dtype)
    flat = torch.frombuffer(pages, dtype=stored.storage.dtype, count=stored.elements, offset=stored.position)
    return flat.view(stored.shape)


def _data_position(stream: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Behind the entry's local header, whose extra field is not the one of the directory."""
    stream.seek(entry.header_offset)
    name, extra = map(int, _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size)))
    return entry.header_offset + _LOCAL_HEADER.size + name + extra


@dataclass(frozen=True)
class _Kind:
    """Stands for a storage class that the pickle names."""

    dtype: torch.dtype


class _Reader(pickle.Unpickler):
    """An unpickler that knows no function but its own."""

    def __init__(self, data: bytes, place: Callable[[str], tuple[int, int]]) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._place = place

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what the pickle names."""
        if module == "torch" and name in _DTYPES:
            return _Kind(_DTYPES[name])
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch._utils" and name in _OTHER_TENSORS:
            return lambda *_: StoredTensor(_OTHER_TENSORS[name])
        if (module, name) == ("torch", "Size"):
            return tuple
        if (module, name) == ("torch.serialization", "_get_layout"):
            return str
        raise ForeignObject(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> Storage:
        """A storage; `identity` is ("storage", kind, key, device, elements)."""
        _, kind, key, _, _ = identity
        position, size = self._place(key)
        return Storage(kind.dtype, position, size)


def _tensor(storage: object, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> StoredTensor:
    if not isinstance(storage, Storage) or any(type(number) is not int for number in (offset, *shape, *strides)):
        raise ValueError("a tensor without a shape")
    return StoredTensor("Tensor", storage, offset, tuple(shape), tuple(strides))
