from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS
from cardrunner.workloads.melee.encoding.row_reader import RowRange, RowReader


@pytest.fixture
def data(make_file: Callable[..., Path]) -> EncodedData:
    """Two files of 60 and 50 rows."""
    return open_data([make_file(40, 20), make_file(50, name="b.pt", seed=7)])


def tables(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty(rows, FLOATS), torch.empty(rows, INTS, dtype=torch.int64)


@pytest.mark.parametrize("ranges", [[(0, 60)], [(100, 110), (5, 9), (60, 61), (59, 60)], []])
def test_ranges_come_one_after_the_other(data: EncodedData, ranges: list[RowRange]) -> None:
    found = tables(sum(beyond - first for first, beyond in ranges))
    RowReader(data).read(ranges, found)
    expected = [data.rows(first, beyond) for first, beyond in ranges] or [tables(0)]
    for table, parts in zip(found, zip(*expected, strict=True), strict=True):
        assert torch.equal(table, torch.cat(parts))


def test_a_hint_is_never_an_error(data: EncodedData) -> None:
    RowReader(data).foresee([(0, 30), (60, 110)])
    data.files[0].path.unlink()
    RowReader(data).foresee([(0, 30), (60, 110)])


def test_a_file_that_is_cut_or_gone_is_a_sentence(data: EncodedData) -> None:
    path = data.files[1].path
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(IntegrityError, match=r"b\.pt: ends at byte 5000; it was truncated while in use"):
        RowReader(data).read([(60, 110)], tables(50))
    path.unlink()
    with pytest.raises(EnvironmentFailed, match="cannot read"):
        RowReader(data).read([(60, 110)], tables(50))
