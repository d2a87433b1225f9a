"""What only people can judge: tiers, readings, risks and fallbacks, as they were agreed before the run."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Code, Table
from cardrunner.report.targets import TargetResult, target_results


@dataclass(frozen=True, kw_only=True)
class JudgementFacts:
    """The section; tables that the card has nothing for are None."""

    tiers: Table | None
    readings: Table | None
    risks: Table | None
    fallbacks: Table | None
    free_metrics: Table | None

    @property
    def empty(self) -> bool:
        """True when the card leaves nothing to judge."""
        return not any((self.tiers, self.readings, self.risks, self.fallbacks, self.free_metrics))


def judgement_facts(run: Recorded) -> JudgementFacts:
    """The rows of the section."""
    card, results = run.card, target_results(run)
    return JudgementFacts(
        tiers=_table(
            ("Tier", "Means", "Its targets"),
            [(tier.tier, tier.means, _of_tier(tier.tier, results)) for tier in card.success],
        ),
        readings=_table(("If", "Then"), [(reading.when, reading.then) for reading in card.readings]),
        risks=_table(
            ("Risk", "Likelihood", "Mitigation"), [(risk.risk, risk.likelihood, risk.mitigation) for risk in card.risks]
        ),
        fallbacks=_table(("When", "Then"), [(fallback.when, fallback.then) for fallback in card.fallbacks]),
        free_metrics=_table(
            ("Metric", "Better", "Unit", "Horizon", "Meaning"),
            [
                (
                    Code(metric.name),
                    "lower" if metric.direction == "min" else "higher",
                    metric.unit,
                    metric.horizon,
                    metric.meaning,
                )
                for metric in card.metrics
            ],
        ),
    )


def _of_tier(tier: str, results: tuple[TargetResult, ...]) -> str | None:
    own = [result for result in results if result.target.tier == tier]
    return f"{sum(result.outcome == 'met' for result in own)} of {len(own)} met" if own else None


def _table(columns: tuple[str, ...], rows: list[tuple[str | Code | int | None, ...]]) -> Table | None:
    return Table(columns, "l" * len(columns), tuple(rows)) if rows else None
