"""Modal's prices per hour: the dated table `prices.csv` that ships, one row per resource.

The table is also the list of GPU names that Modal accepts; a resource of unknown price has an empty `usd`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.infra import InfraBase

TABLE = Path(__file__).with_name("prices.csv")
CPU = "CPU"
"""Priced per core and hour."""
MEMORY = "memory"
"""Priced per GiB and hour."""
_GPU_UNIT = "GPU hour"


@dataclass(frozen=True, kw_only=True)
class Price:
    """One resource. `usd` is for one `unit`; None if the price is unknown."""

    resource: str
    unit: str
    usd: float | None
    as_of: str
    """The month it was read, such as 2026-05; empty without a price."""
    source: str

    @property
    def is_gpu(self) -> bool:
        """True for a GPU, whose `resource` is the name that Modal accepts."""
        return self.unit == _GPU_UNIT


@lru_cache(maxsize=8)
def read_prices(table: Path = TABLE) -> Mapping[str, Price]:
    """The prices by resource, in the table's order.

    Args:
        table: a CSV file with the columns resource, unit, usd, as_of, source.
    """
    import csv  # only cards for Modal need prices

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


GIB = 2**30


class Billed(NamedTuple):
    """One resource of the bill."""

    resource: str
    amount: float
    unit: str
    usd: float
    """US dollars for one unit."""
    as_of: str | None
    """The month in which the table's price was read; None for the card's own price."""


class Hour(NamedTuple):
    """The bill of one hour."""

    lines: tuple[Billed, ...]
    gpu_priced: bool
    """Whether the price of the GPU is known; without it the sum would be too low."""
    not_included: tuple[str, ...]
    """Resources that are billed as well, with an unknown price or amount."""

    @property
    def usd(self) -> float | None:
        """The sum of all lines; None if the price of the GPU is unknown."""
        return sum(line.amount * line.usd for line in self.lines) if self.gpu_priced else None


def hour_of(infra: InfraBase, table: Mapping[str, Price] | None = None) -> Hour:
    """The bill of an hour. Your own machine costs what the card says, or nothing.

    Args:
        infra: the machine that the card asks for.
        table: prices by resource; the platform's by default.
    """
    table = platform_of(infra).prices() if table is None else table
    gpu, besides = tuple(_gpu(infra, table)), tuple(_besides(infra, table))
    missing = tuple(_not_included(infra, table, {line.resource for line in besides}))
    return Hour(lines=(*gpu, *besides), gpu_priced=bool(gpu), not_included=missing)


def dearest_hour(infra: InfraBase) -> float | None:
    """Dollars per hour for sign-off rules: at least the table's price, so that a low stated price cannot evade them."""
    hour = hour_of(infra)
    listed = platform_of(infra).prices().get(infra.gpu or "")
    if hour.usd is None or infra.price is None or listed is None or listed.usd is None:
        return hour.usd
    return hour.usd + max(0.0, listed.usd - infra.price) * infra.gpus


def _gpu(infra: InfraBase, table: Mapping[str, Price]) -> Iterator[Billed]:
    listed = table.get(infra.gpu or "")
    if infra.price is not None:
        unit = "GPU hour" if infra.gpu else "hour"
        yield Billed(infra.gpu or "this machine", infra.gpus, unit, infra.price, None)
    elif listed is not None and listed.usd is not None:
        yield Billed(listed.resource, infra.gpus, listed.unit, listed.usd, listed.as_of)


def _besides(infra: InfraBase, table: Mapping[str, Price]) -> Iterator[Billed]:
    for name, amount in _asked_for(infra).items():
        known = table.get(name)
        if amount is not None and known is not None and known.usd is not None:
            yield Billed(name, amount, known.unit, known.usd, known.as_of)


def _not_included(infra: InfraBase, table: Mapping[str, Price], lines: set[str]) -> Iterator[str]:
    for name in _asked_for(infra):
        if name in table and name not in lines:
            yield f"{name} ({'price not known' if table[name].usd is None else 'the card states no amount'})"


def _asked_for(infra: InfraBase) -> dict[str, float | None]:
    """Resources billed in addition to the GPU, in the table's units."""
    return {CPU: infra.cpu, MEMORY: None if infra.memory is None else infra.memory / GIB}
