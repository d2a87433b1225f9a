"""TensorBoard's event files, read without protobuf: scalars, and numeric tensors of no dimension.

A file is a row of records: the length of the data as uint64, a CRC-32C of those eight bytes, the data, a CRC-32C of the
data. The first CRC is checked, so that neither a torn end nor garbage is ever taken for a length; the second is not: it
would cost more than everything else here, and appended bytes do not change.

Sources: the framing of TFRecord files (https://www.tensorflow.org/tutorials/load_data/tfrecord), and the fields of
event.proto, summary.proto and tensor.proto of TensorBoard.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from cardrunner.workloads.command.reports.base import MOST_NAMES, Garbage, Reading, Taking
from cardrunner.workloads.command.reports.files import Files
from cardrunner.workloads.command.reports.per_file import PerFile
from cardrunner.workloads.command.reports.tail import AT_ONCE, open_regular
from cardrunner.workloads.command.reports.values import LONGEST_NAME

LONGEST_RECORD = 2**20
"""Bytes of a record that is looked into; images and histograms have more and are passed over."""
_CHUNK = 2**20
_HEADER, _FOOTER = 12, 4
_UINT64, _UINT32 = struct.Struct("<Q"), struct.Struct("<I")
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")


def tensorboard(pattern: str, *, name: str, wanted: frozenset[str] = frozenset()) -> PerFile:
    """The event files of a pattern.

    Args:
        pattern: of the files or of folders with them, absolute: ``/run/out/**``.
        name: of the source.
        wanted: see `Taking`.
    """
    garbage = Garbage()
    taking = Taking(name, garbage, wanted)
    files = Files(pattern, garbage, suffixes=("*tfevents*",))
    return PerFile(name, files, lambda path: EventFile(path, taking), garbage)


class EventFile:
    """See `cardrunner.workloads.command.reports.per_file.FileReader`."""

    def __init__(self, path: Path, taking: Taking) -> None:
        self._path, self._taking = path, taking
        self._offset = 0
        self._head = b""
        self._damaged = False

    def begin(self, size: int) -> None:
        for _ in self._payloads(most=size, end=size):
            pass

    def new(self, *, ended: bool = False) -> Iterator[Reading]:  # noqa: ARG002 - a torn record is never a record
        """One reading for each step; writers give each value a record of its own."""
        where = self._taking.where
        for step, pairs in groupby(self._scalars(), itemgetter(0)):
            values: dict[str, float] = {}
            for _, tag, value in pairs:
                if tag in values:  # the same step once more
                    yield Reading(step, values, where, values.get("epoch"))
                    values = {}
                if len(values) < MOST_NAMES:
                    values[tag] = value
            yield Reading(step, values, where, values.get("epoch"))

    def _scalars(self) -> Iterator[tuple[int, str, float]]:
        for payload in self._payloads():
            try:
                yield from scalars(payload)
            except (ValueError, IndexError, struct.error):
                self._taking.garbage.add(f"a record of {len(payload)} bytes is no event", str(self._path))

    def _payloads(self, *, most: int = AT_ONCE, end: int = 2**62) -> Iterator[bytes]:
        """The data of each new whole record that is not too long."""
        stream = open_regular(self._path, self._taking.garbage)
        if stream is None:
            return
        with stream:
            try:
                yield from self._records(stream, most, end)
            except OSError as error:
                self._taking.garbage.add(f"cannot be read: {error.strerror}", str(self._path))

    def _records(self, stream: BinaryIO, most: int, end: int) -> Iterator[bytes]:
        size = min(os.fstat(stream.fileno()).st_size, end)
        if size < self._offset or os.pread(stream.fileno(), len(self._head), 0) != self._head:
            self._offset, self._damaged = 0, False
        while not self._damaged and most > 0 and size - self._offset > _HEADER + _FOOTER:
            data = os.pread(stream.fileno(), min(_CHUNK + _HEADER + _FOOTER, size - self._offset), self._offset)
            before = self._offset
            yield from self._whole(data, size)
            if self._offset == before:
                break
            most -= self._offset - before
        self._head = os.pread(stream.fileno(), min(self._offset, 64), 0)

    def _whole(self, data: bytes, size: int) -> Iterator[bytes]:
        """The whole records at the beginning of some bytes; a long one is passed over where the file holds it whole."""
        at, end, start = 0, len(data), self._offset
        while at + _HEADER <= end:
            header = data[at : at + _HEADER]
            length = _length(header)
            if length is None:
                self._damaged = True
                self._taking.garbage.add(f"damaged at byte {start + at:,}; the rest is left out", str(self._path))
                return
            after = at + _HEADER + length + _FOOTER
            if length > LONGEST_RECORD:
                if start + after <= size:
                    self._offset = start + after
                return
            if after > end:
                return
            self._offset = start + after
            yield data[at + _HEADER : after - _FOOTER]
            at = after


def scalars(event: bytes) -> list[tuple[int, str, float]]:
    """Step, tag and value of each scalar of an event (the data of one record).

    Raises:
        ValueError, IndexError, struct.error: it is no event.
    """
    step, found = 0, list[tuple[str, float]]()
    for field, wire, value in _fields(event):
        if field == 2 and wire == 0:
            step = int(value)
        elif field == 5 and wire == 2:
            for inner, _, summary in _fields(_bytes(value)):
                if inner == 1 and (scalar := _scalar(_bytes(summary))) is not None:
                    found.append(scalar)
    return [(step, tag, value) for tag, value in found] if 0 <= step < 2**53 else []


def _scalar(value: bytes) -> tuple[str, float] | None:
    """Tag and number of a Summary.Value; None for images, texts and the like."""
    tag, number = "", None
    for field, wire, inner in _fields(value):
        if field == 1 and wire == 2:
            tag = _bytes(inner).decode(errors="replace")
        elif field == 2 and wire == 5:
            number = float(_FLOAT.unpack(_bytes(inner))[0])
        elif field == 8 and wire == 2:
            number = _of_tensor(_bytes(inner))
    return None if number is None or not tag or len(tag) > LONGEST_NAME else (tag, number)


_KINDS: Mapping[int, tuple[int, struct.Struct]] = {1: (5, _FLOAT), 2: (6, _DOUBLE)}
"""The data type of a tensor (float32, float64): the field of its values, and how one is packed."""


def _of_tensor(tensor: bytes) -> float | None:
    """The number of a TensorProto that has no dimension and holds floats."""
    fields = {field: value for field, _, value in _fields(tensor)}
    kind = _KINDS.get(int(fields.get(1, 0)) if isinstance(fields.get(1, 0), int) else 0)
    if kind is None or any(field == 2 for field, _, _ in _fields(_bytes(fields.get(2, b"")))):
        return None
    field, packed = kind
    data = _bytes(fields.get(field, fields.get(4, b"")))
    return float(packed.unpack(data)[0]) if len(data) == packed.size else None


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of each field of a protobuf message."""
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key > 127:
            key, at = _varint(data, at - 1)
        wire = key & 7
        if wire == 2:
            length = data[at]
            at += 1
            if length > 127:
                length, at = _varint(data, at - 1)
            stop = at + length
        elif wire == 0:
            number, at = _varint(data, at)
            yield key >> 3, 0, number - 2**64 if number >= 2**63 else number
            continue
        elif wire in (1, 5):
            stop = at + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"wire type {wire}")
        if stop > end:
            raise ValueError("a field goes beyond its message")
        yield key >> 3, wire, data[at:stop]
        at = stop


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number of more than ten bytes")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number in place of bytes")
    return value


@lru_cache(maxsize=4096)
def _length(header: bytes) -> int | None:
    """The length of a record's data; None where its CRC says that it is no header. Lengths repeat, hence the cache."""
    crc = _crc32c(header[:8])
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return int(_UINT64.unpack(header[:8])[0]) if _UINT32.unpack(header[8:])[0] == masked else None


def _crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
