"""What Modal asks for an hour: the dated table `prices.csv` that ships, one row a resource.

The table is also the list of GPU names that Modal takes; a resource whose price nobody here knows has an empty `usd`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_name("prices.csv")
CPU = "CPU"
"""Priced per core and hour."""
MEMORY = "memory"
"""Priced per GiB and hour."""
_GPU_UNIT = "GPU hour"


@dataclass(frozen=True, kw_only=True)
class Price:
    """One resource. `usd` is for one `unit`; None where the price is not known."""

    resource: str
    unit: str
    usd: float | None
    as_of: str
    """The month it was read, such as 2026-05; empty where there is no price."""
    source: str

    @property
    def is_gpu(self) -> bool:
        """True for a GPU, whose `resource` is the name that Modal takes."""
        return self.unit == _GPU_UNIT


@lru_cache(maxsize=8)
def read_prices(table: Path = TABLE) -> Mapping[str, Price]:
    """The prices by resource, in the table's order.

    Args:
        table: a CSV file with the columns resource, unit, usd, as_of, source.
    """
    import csv  # only cards for Modal look at prices

    with table.open(encoding="utf-8", newline="") as stream:
        rows = [_price(row) for row in csv.DictReader(stream)]
    return {row.resource: row for row in rows}


def gpu_names() -> tuple[str, ...]:
    """Every GPU that Modal offers, as Modal spells it."""
    return tuple(name for name, price in read_prices().items() if price.is_gpu)


def _price(row: Mapping[str, str]) -> Price:
    return Price(
        resource=row["resource"],
        unit=row["unit"],
        usd=float(row["usd"]) if row["usd"] else None,
        as_of=row["as_of"],
        source=row["source"],
    )
