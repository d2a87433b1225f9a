from __future__ import annotations

import pytest

from cardrunner.report.table import LONGEST_TABLE, Table, table


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another length"):
        Table(("a", "b"), "ll", (("1",),))
    with pytest.raises(ValueError, match="another length"):
        Table(("a", "b"), "l", ())


def test_a_long_table_keeps_its_ends_and_says_how_much_is_left_out() -> None:
    rows = [(str(number),) for number in range(1000)]
    thinned = table(("n",), "r", rows)
    assert thinned.rows[0] == ("0",)
    assert thinned.rows[-1] == ("999",)
    assert len(set(thinned.rows)) == len(thinned.rows) == LONGEST_TABLE
    assert thinned.left_out == 1000 - LONGEST_TABLE


def test_a_short_table_is_whole() -> None:
    assert table(("n",), "r", [("1",), ("2",)]).left_out == 0
