"""What an hour of a card's machine costs: the GPU by the card or the price table, CPU and memory by the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cardrunner.card.schema.infra import InfraBase, LocalInfra
from cardrunner.prices import CPU, MEMORY, Price, read_prices

GIB = 2**30


class Billed(NamedTuple):
    """One resource of the bill."""

    resource: str
    amount: float
    unit: str
    usd: float
    """For one unit."""
    as_of: str | None
    """The month of the table's price; None for the card's own."""


class Hour(NamedTuple):
    """The bill of one hour."""

    lines: tuple[Billed, ...]
    gpu_priced: bool
    """False: an hour without the GPU would look cheaper than it is."""
    not_included: tuple[str, ...]
    """What is billed too and has no known price or amount."""

    @property
    def usd(self) -> float | None:
        """All lines together; None where nobody knows the price of the GPU."""
        return sum(line.amount * line.usd for line in self.lines) if self.gpu_priced else None


def hour_of(infra: InfraBase, table: Mapping[str, Price] | None = None) -> Hour:
    """The bill of an hour. A machine of one's own costs what the card says, or nothing.

    Args:
        infra: the machine that the card asks for.
        table: prices by resource; those that ship when absent.
    """
    table = {} if isinstance(infra, LocalInfra) else read_prices() if table is None else table
    gpu, besides = tuple(_gpu(infra, table)), tuple(_besides(infra, table))
    missing = tuple(_not_included(infra, table, {line.resource for line in besides}))
    return Hour(lines=(*gpu, *besides), gpu_priced=bool(gpu), not_included=missing)


def dearest_hour(infra: InfraBase) -> float | None:
    """Dollars an hour for rules that a card must not talk itself out of: no price below the table's counts."""
    hour = hour_of(infra)
    listed = None if isinstance(infra, LocalInfra) else read_prices().get(infra.gpu or "")
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
            yield f"{name} ({'price not known' if table[name].usd is None else 'the card does not say how much'})"


def _asked_for(infra: InfraBase) -> dict[str, float | None]:
    """What is billed beside the GPU, in the table's units."""
    return {CPU: infra.cpu, MEMORY: None if infra.memory is None else infra.memory / GIB}
