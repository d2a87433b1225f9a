"""Sections of the results card that other packages add, by the entry-point group ``cardrunner.results_sections``.

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
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from cardrunner.card.escaping import escape
from cardrunner.errors import CardrunnerError, PluginFailed
from cardrunner.plugins import Plugin, blamed, plugins
from cardrunner.report.recorded import RecordedRun

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
