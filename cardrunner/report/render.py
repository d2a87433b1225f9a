"""Run folder → results card."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cardrunner.card.load import SpecResolver
from cardrunner.card.markdown import code, escape
from cardrunner.common.redaction import hide
from cardrunner.report.curves import figures
from cardrunner.report.exhibits import sheets
from cardrunner.report.recorded import RecordedRun, StageFinder, read_run
from cardrunner.report.sections import SECTIONS, AddedSection, added_sections
from cardrunner.report.table import Code, Strong
from cardrunner.runs.files import write_bytes, write_text
from cardrunner.runs.folder import RunFolder


def render_report(
    folder: RunFolder, *, resolve: SpecResolver, stages: StageFinder, warn: Callable[[str], None] = lambda _: None
) -> Path:
    """Write ``results.md`` and its plots from what the run folder recorded; the same folder gives the same bytes.

    Works for any run, including one that broke off: the page names what was never recorded. Without matplotlib the
    page has no plots and says so.

    Args:
        folder: the run.
        resolve: finds the torch-free half of the card's workload.
        stages: finds the stages of the run; see `cardrunner.report.recorded.StageFinder`.
        warn: called with the reason for each plug-in section that could not be made.

    Returns:
        the path of the page.

    Raises:
        UsageError: there is no such run.
        IntegrityError: its card or its launch record is missing.
        EnvironmentFailed: the files cannot be written.
    """
    run = read_run(folder, resolve, stages)
    if importlib.util.find_spec("matplotlib") is not None:
        _draw(run)
    added = _added(run)
    write_text(folder.results, hide(_page(run, added)))
    for failure in _failures(added):
        warn(failure)
    return folder.results


def render_page(run: RecordedRun) -> str:
    """The page as markdown."""
    return _page(run, _added(run))


def _page(run: RecordedRun, added: Sequence[AddedSection]) -> str:
    run = replace(run, missing_sections=_failures(added))
    parts = []
    for section in SECTIONS:
        if not section.applies(run):
            continue
        template = environment().get_template(section.template)
        parts.append(template.render(heading=section.name, facts=section.facts(run)))
        parts += [extra.text for extra in added if extra.after == section.name]
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(part.strip() for part in parts)) + "\n"


def _added(run: RecordedRun) -> tuple[AddedSection, ...]:
    return tuple(added_sections(run, environment(), [section.name for section in SECTIONS]))


def _failures(added: Sequence[AddedSection]) -> tuple[str, ...]:
    return tuple(section.failure for section in added if section.failure is not None)


def _draw(run: RecordedRun) -> None:
    from cardrunner.report.plots import draw, draw_charts

    images = {figure.file: draw(figure) for figure in figures(run)}
    images |= {sheet.file: draw_charts(sheet.charts) for sheet in sheets(run)}
    for file, image in images.items():
        write_bytes(run.folder.results_folder / file, image)


ABSENT = "–"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The Jinja environment of the results card."""
    return Environment(
        loader=PackageLoader("cardrunner.report"),
        undefined=StrictUndefined,
        autoescape=True,  # `finalize` escapes first and marks its result; what bypasses it is still escaped
        finalize=to_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def to_markdown(value: object) -> Markup:
    """A value as markdown on one line: None is a dash, `Code` a code span, `Strong` bold, and other text is escaped."""
    if isinstance(value, Markup):  # the output of a macro, whose values were escaped here already
        return value
    if value is None:
        return Markup(ABSENT)
    if isinstance(value, Code):
        return Markup(code(value.text))
    if isinstance(value, Strong):
        return Markup(f"**{escape(value.text)}**")
    return Markup(escape(value))
