"""The content of a torch file and the positions of its tensors, without reading them. Torch-free.

The zip directory gives the position of each storage, the pickle lists the tensors. The pickle may name storages,
tensors, dicts, numbers and text; anything else is refused, and it can call only the functions below, which just record
what they are given.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

_DTYPES: Final = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": ("float32", 4), "Double": ("float64", 8), "Half": ("float16", 2), "BFloat16": ("bfloat16", 2),
        "Long": ("int64", 8), "Int": ("int32", 4), "Short": ("int16", 2), "Char": ("int8", 1), "Byte": ("uint8", 1),
        "Bool": ("bool", 1),
    }.items()
}  # fmt: skip
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
_OTHER_TENSORS: Final = {"_rebuild_parameter": "Parameter", "_rebuild_sparse_tensor": "sparse tensor"}


class ForeignObject(pickle.UnpicklingError):
    """The pickle names something that is not data."""


@dataclass(frozen=True)
class TensorStorage:
    """A run of numbers in the file."""

    dtype: str
    """The dtype, as torch names it."""
    itemsize: int
    """Bytes of a number."""
    position: int
    """Position of its first byte in the file."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the pickle describes it, not yet checked.

    Attributes:
        kind: "Tensor" for a plain one.
    """

    kind: str
    storage: TensorStorage | None = None
    offset: int = 0
    """Elements of the storage before the first of the tensor."""
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """The number of elements of the shape."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def position(self) -> int:
        """Position of the first element's first byte in the file; only for a tensor that has passed the checks."""
        assert self.storage is not None
        return self.storage.position + self.offset * self.storage.itemsize

    @property
    def in_order(self) -> bool:
        """Whether the elements lie within the storage in row-major order, without overlap."""
        if self.storage is None or len(self.shape) != len(self.strides) or min((*self.shape, self.offset)) < 0:
            return False
        expected, step = [], 1
        for size in reversed(self.shape):
            expected.append(step)
            step *= max(size, 1)
        rows = zip(self.shape, self.strides, reversed(expected), strict=True)
        inside = (self.offset + self.elements) * self.storage.itemsize <= self.storage.size
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


def _data_position(stream: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """The position after the entry's local header, whose extra field may differ from the directory's."""
    stream.seek(entry.header_offset)
    name, extra = map(int, _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size)))
    return entry.header_offset + _LOCAL_HEADER.size + name + extra


@dataclass(frozen=True)
class _Kind:
    """Stands for a storage class that the pickle names."""

    dtype: str
    itemsize: int


class _Reader(pickle.Unpickler):
    """An unpickler that knows only its own functions."""

    def __init__(self, data: bytes, place: Callable[[str], tuple[int, int]]) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._place = place

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what the pickle names."""
        if module == "torch" and name in _DTYPES:
            return _Kind(*_DTYPES[name])
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

    def persistent_load(self, identity: Any) -> TensorStorage:
        """A storage; `identity` is ("storage", kind, key, device, elements)."""
        _, kind, key, _, _ = identity
        position, size = self._place(key)
        return TensorStorage(kind.dtype, kind.itemsize, position, size)


def _tensor(storage: object, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> StoredTensor:
    if not isinstance(storage, TensorStorage) or any(type(number) is not int for number in (offset, *shape, *strides)):
        raise ValueError("a tensor without a shape")
    return StoredTensor("Tensor", storage, offset, tuple(shape), tuple(strides))
