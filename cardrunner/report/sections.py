"""The sections of the results card, in order. A new section is a facts function, a template and a row here.

Other packages add sections by the entry-point group ``cardrunner.results_sections``.

An entry point names an object with these attributes, such as a module::

    heading = "Slowest epochs"
    after = "Curves"                             # the section it stands after; "Events" by default

    def facts(run):                              # a `cardrunner.report.recorded.RecordedRun`; what the template shows
        return sorted(...)

    template = "{% for epoch in facts %}..."     # jinja below the heading, or the `Path` of a file that holds it

Values are escaped as in every other section, and ``macros.md.j2`` can be imported. A section that fails is named in its
place, and the rest of the page is made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from cardrunner.card.markdown import escape
from cardrunner.errors import CardrunnerError, PluginFailed
from cardrunner.plugins import Plugin, blamed, plugins
from cardrunner.report.checkpoints import checkpoint_facts
from cardrunner.report.curves import curve_facts
from cardrunner.report.delivery import data_match_facts, delivery_facts
from cardrunner.report.exhibits import exhibit_facts
from cardrunner.report.notes import event_facts, tracking_facts
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.reported import reported_facts
from cardrunner.report.scores import metric_facts
from cardrunner.report.signoff import sign_off_facts
from cardrunner.report.surroundings import environment_facts, provenance_facts
from cardrunner.report.table import expected_facts
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
    applies: Callable[[RecordedRun], bool] = lambda _: True
    """Whether the section means something for a run; one that does not is absent."""


def _asked(run: RecordedRun, asked: object) -> bool:
    """Whether a section stands: always in a run of the built-in loop, in one of a script if its card asks for it."""
    return bool(asked) or not run.reported


SECTIONS: tuple[ResultsSection, ...] = (
    ResultsSection("Verdict", verdict_facts, "verdict.md.j2"),
    ResultsSection("Targets", target_facts, "targets.md.j2"),
    ResultsSection("Metrics beside trivial baselines", metric_facts, "metrics.md.j2", lambda run: not run.reported),
    ResultsSection("Metrics, reported by the script", reported_facts, "reported.md.j2", lambda run: run.reported),
    ResultsSection("Prior baselines", prior_facts, "priors.md.j2", lambda run: _asked(run, run.card.baselines)),
    ResultsSection(
        "Distribution match", data_match_facts, "data_match.md.j2", lambda run: _asked(run, run.card.distribution_match)
    ),
    ResultsSection("Kill thresholds", threshold_facts, "thresholds.md.j2"),
    ResultsSection("Curves", curve_facts, "curves.md.j2"),
    ResultsSection(
        "What the demo shows", exhibit_facts, "exhibits.md.j2", lambda run: _asked(run, run.card.after_training.demo)
    ),
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


KIND = "results section"
LAST = "Events"
"""The section after which others stand by default."""
_NEEDED = {
    "heading": "what stands above it",
    "facts": "the function from a run to what the template shows",
    "template": "the text below the heading, or the path of its file",
}


@dataclass(frozen=True)
class AddedSection:
    """A rendered section."""

    name: str
    after: str
    text: str
    failure: str | None = None
    """Why it could not be made; None if it was."""


def added_sections(run: RecordedRun, environment: Environment, known: Collection[str]) -> Iterator[AddedSection]:
    """Render every plug-in section; one that fails shows the reason instead.

    Args:
        run: the run.
        environment: renders the templates of the sections.
        known: the sections after which they may stand.
    """
    for plugin in _installed():
        try:
            yield _made(plugin, run, environment, known)
        except CardrunnerError as error:
            why = str(error) if isinstance(error, PluginFailed) else f"{plugin} failed: {error}"
            yield AddedSection(plugin.name, LAST, f"## {escape(plugin.name)}\n\n⚠ Not shown: {escape(why)}", why)


@cache
def _installed() -> tuple[Plugin, ...]:
    return plugins(KIND)


def _made(plugin: Plugin, run: RecordedRun, environment: Environment, known: Collection[str]) -> AddedSection:
    section = plugin.load()
    plugin.check(section, _NEEDED)
    after = getattr(section, "after", LAST)
    if after not in known:
        raise PluginFailed(f"{plugin}: it stands after {after!r}, and there are {', '.join(known)}")
    with blamed(plugin, "cannot make its facts"):
        facts = section.facts(run)
    with blamed(plugin, "cannot render its template"):
        body = _rendered(plugin, section.template, facts, environment)
    return AddedSection(str(section.heading), after, f"## {escape(section.heading)}\n\n{body}")


def _rendered(plugin: Plugin, template: str | Path, facts: Any, environment: Environment) -> str:
    inline = isinstance(template, str)
    text = str(template) if inline else Path(template).read_text(encoding="utf-8")
    file = f"{sys.modules[plugin.target.partition(':')[0]].__file__}/template" if inline else template
    code = environment.compile(text, plugin.name, str(file))  # errors name this file
    made = environment.template_class.from_code(environment, code, environment.make_globals(None))
    return made.render(facts=facts)
