"""The sections of the results card, in order. A new section is a facts function, a template and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardrunner.report.checkpoints import checkpoint_facts
from cardrunner.report.curves import curve_facts
from cardrunner.report.delivery import data_match_facts, delivery_facts
from cardrunner.report.exhibits import exhibit_facts
from cardrunner.report.expected import expected_facts
from cardrunner.report.happenings import event_facts, tracking_facts
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.scores import metric_facts
from cardrunner.report.signoff import sign_off_facts
from cardrunner.report.surroundings import environment_facts, provenance_facts
from cardrunner.report.targets import judgement_facts, prior_facts, target_facts
from cardrunner.report.thresholds import threshold_facts
from cardrunner.report.timing import timing_facts
from cardrunner.report.verdict import verdict_facts


@dataclass(frozen=True)
class ResultsSection:
    """A heading, where its facts come from, and the template that shows them."""

    name: str
    facts: Callable[[RecordedRun], object]
    template: str


SECTIONS: tuple[ResultsSection, ...] = (
    ResultsSection("Verdict", verdict_facts, "verdict.md.j2"),
    ResultsSection("Targets", target_facts, "targets.md.j2"),
    ResultsSection("Metrics beside trivial baselines", metric_facts, "metrics.md.j2"),
    ResultsSection("Prior baselines", prior_facts, "priors.md.j2"),
    ResultsSection("Distribution match", data_match_facts, "data_match.md.j2"),
    ResultsSection("Kill thresholds", threshold_facts, "thresholds.md.j2"),
    ResultsSection("Curves", curve_facts, "curves.md.j2"),
    ResultsSection("What the demo shows", exhibit_facts, "exhibits.md.j2"),
    ResultsSection("Time and cost", timing_facts, "timing.md.j2"),
    ResultsSection("Expected against actual", expected_facts, "expected.md.j2"),
    ResultsSection("For people to judge", judgement_facts, "judgement.md.j2"),
    ResultsSection("Sign-off", sign_off_facts, "signoff.md.j2"),
    ResultsSection("Environment", environment_facts, "environment.md.j2"),
    ResultsSection("Checkpoints", checkpoint_facts, "checkpoints.md.j2"),
    ResultsSection("Download and demo", delivery_facts, "delivery.md.j2"),
    ResultsSection("Tracking", tracking_facts, "tracking.md.j2"),
    ResultsSection("Events", event_facts, "events.md.j2"),
    ResultsSection("How this page was made", provenance_facts, "provenance.md.j2"),
)
