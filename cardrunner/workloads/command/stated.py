"""What the script says of itself, held against what the card states of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cardrunner.card.schema.card import Card
from cardrunner.common.redaction import hide, visible
from cardrunner.errors import IntegrityError
from cardrunner.runs.records import FactRow
from cardrunner.workloads.command.proof_sections import StatedFact
from cardrunner.workloads.command.spec import training_of

PARAMETERS: Final = "parameters"
"""The fact that `model.parameters` of a card is compared with."""
_PATIENCE: Final = 60.0
"""Seconds after the first row in which a fact may still come."""
_SAID: Final = "said by the script"
_MOST_SHOWN: Final = 50
_LONGEST: Final = 200


@dataclass
class StatedFacts:
    """The facts that a card states.

    Args:
        stated: by name.
        needed: those whose absence is worth a warning.
    """

    stated: Mapping[str, StatedFact]
    needed: frozenset[str]
    _since: float | None = field(default=None, init=False)

    @classmethod
    def of(cls, card: Card) -> StatedFacts:
        """Those of a card, its number of parameters among them."""
        own = training_of(card).facts or {}
        model = card.model.parameters
        implied = {} if model is None or PARAMETERS in own else {PARAMETERS: StatedFact(value=model)}
        return cls({**own, **implied}, frozenset(own))

    def rows(self, said: Mapping[str, Any]) -> tuple[FactRow, ...]:
        """Every stated fact against what was said of it, then the others that were said."""
        others = [(name, value) for name, value in said.items() if name not in self.stated][:_MOST_SHOWN]
        return (
            *self._compared(said),
            *(FactRow(name=_name(name), expected=None, actual=_text(it), ok=True, note=_SAID) for name, it in others),
        )

    def _compared(self, said: Mapping[str, Any]) -> Iterator[FactRow]:
        for name, stated in self.stated.items():
            if name in said:
                agrees = stated.holds(said[name])
                yield FactRow(name=_name(name), expected=str(stated), actual=_text(said[name]), ok=agrees, note=_SAID)
            elif name in self.needed:
                yield FactRow(
                    name=_name(name), expected=str(stated), actual="not said", ok=False, severity="warning",
                    note=_advice(name),
                )  # fmt: skip

    def fault(self, said: Mapping[str, Any]) -> IntegrityError | None:
        """What ends the run: every fact that is not as the card states it."""
        wrong = [row for row in self._compared(said) if not row.ok and row.severity == "error"]
        if not wrong:
            return None
        told = "; ".join(f"{row.name} is {row.actual}, expected {row.expected}" for row in wrong)
        return IntegrityError(f"the script does not match the card: {told}")

    def missing(self, said: Mapping[str, Any], *, trains: bool, ended: bool = False) -> str | None:
        """A sentence about the facts that have not come, once they are due.

        Args:
            said: what the script has said.
            trains: whether its first row has come.
            ended: whether it has ended.
        """
        if trains and self._since is None:
            self._since = time.monotonic()
        due = ended or (self._since is not None and time.monotonic() - self._since >= _PATIENCE)
        left = [name for name in self.stated if name in self.needed and name not in said]
        if not left or not due:
            return None
        return f"the script has not said {', '.join(left)}, which training.facts states: {_advice(left[0])}"


def _name(name: str) -> str:
    return f"fact {visible(hide(name))[:_LONGEST]}"


def _text(value: object) -> str:
    return visible(hide(str(value).lower() if isinstance(value, bool) else str(value)))[:_LONGEST]


def _advice(name: str) -> str:
    return f'it says it by cardrunner_script.fact("{name}", value)'
