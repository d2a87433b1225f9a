"""Which data the models of the demo learned from: what the card says, and what their checkpoints do."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.report.format import sentence
from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Strong, Table


@dataclass(frozen=True, kw_only=True)
class DataMatchFacts:
    """The section; a table is None when there is nothing for it."""

    stated: Table | None
    recorded: Table | None
    answer: Strong | None
    missing: str


def data_match_facts(run: Recorded) -> DataMatchFacts:
    """The rows of the section."""
    stated = tuple(
        (part.component, part.data_scale, "; ".join(part.notes) or None) for part in run.card.distribution_match
    )
    match = run.demo.data_match if run.demo else None
    return DataMatchFacts(
        stated=Table(("The card says", "Data scale", "Notes"), "lll", stated) if stated else None,
        recorded=Table(("Model of the demo", "Learned from"), "ll", tuple(match.parts.items())) if match else None,
        answer=Strong(f"{match.sentence[0].upper()}{match.sentence[1:]}.") if match else None,
        missing=_missing(run),
    )


def _missing(run: Recorded) -> str:
    if run.card.after_training.demo is None:
        return "The card asks for no demo, so no models meet."
    return sentence(run.absent("demo")) if run.demo is None else "The demo of this workload compares no data."
