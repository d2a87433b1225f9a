"""A trial in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cardrunner.common.redaction import hide, visible
from cardrunner.common.text import listed, plural
from cardrunner.common.units import format_bytes, format_duration
from cardrunner.workloads.command.reports.base import shortened
from cardrunner.workloads.command.script_options import resume_like
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.trying.guessing import STDOUT
from cardrunner.workloads.command.trying.listing import Listing
from cardrunner.workloads.command.trying.observing import Observer
from cardrunner.workloads.command.trying.offering import seen_often, written
from cardrunner.workloads.command.trying.place import TrialPlace
from cardrunner.workloads.command.trying.running import Course, ResumeSeen, StopSeen, Trial

_MOST_NAMES: Final = 20
_MOST_FILES: Final = 10
_LAST_LINES: Final = 15


def rows(observer: Observer) -> Iterator[str]:
    """Which rows came."""
    came = list(observer.declared.values.values())
    missing = observer.missing()
    if observer.nothing_declared:
        yield "rows: the card names no place where metrics are read, so all kinds of files and printed lines were read"
    else:
        yield f"rows: {len(came)} of {plural(len(came) + len(missing), 'declared metric')} came"
        yield from (f"  {value.name}: {seen_often(value)}" for value in came)
        yield from (f"  {entry.metric}: {entry.sentence}" for entry in missing)
    others = observer.others()
    if others:
        yield "  seen and not declared:"
    yield from (f"    {value.name} ({value.where}): {seen_often(value)}" for value in others[:_MOST_NAMES])
    if len(others) > _MOST_NAMES:
        yield f"    and {len(others) - _MOST_NAMES} more"
    yield from _doubts(observer)


def _doubts(observer: Observer) -> Iterator[str]:
    """What cannot be read, or not as it is."""
    if observer.guesser.uncounted.count:
        number, example = observer.guesser.uncounted.count, observer.guesser.uncounted.example
        yield f"  {plural(number, 'line')} with values and without a whole step, such as: {visible(hide(example))}"
        yield "    a row needs a step: print one, use cardrunner_script.report(step=...), or a tracker's files"
    for shape in observer.guesser.best():
        if shape.went_back and STDOUT in {value.where for value in observer.others()}:
            yield f"  the steps of {listed(shape.names)} go back: they begin anew in each epoch; print one that goes on"
    if observer.guesser.left_out:
        yield f"  {plural(observer.guesser.left_out, 'line')} came too fast to be looked at for a pattern"
    for notice in observer.rows.notices:
        yield f"  {notice.sentence}"


def checkpoints(trial: Trial) -> Iterator[str]:
    """Which files the card's patterns match, and which look like checkpoints."""
    found = [series for series in trial.observer.checkpoints.series.values() if series.marks]
    declared = list(trial.declared_checkpoints.lines())
    if not found:
        yield "checkpoints: no file looked like one in this time"
        yield from declared
        return
    yield "checkpoints:"
    yield from declared
    for series in sorted(found, key=lambda one: -one.size)[:_MOST_FILES]:
        why = series.flaw()
        state = "whole" if why is None else f"not whole: {why}"
        kind = "folder" if series.folder else "file"
        yield f"  {series.at} ({kind}, {format_bytes(series.size)}): {written(series)}; the newest is {state}"
        if not series.inside:
            yield "    it lies in the code folder; training.checkpoints needs it in {out}: let the script write there"
    if len(found) > _MOST_FILES:
        yield f"  and {len(found) - _MOST_FILES} more, all smaller"


def stop(seen: StopSeen, training: CommandTraining) -> Iterator[str]:
    """What the request to end did."""
    code = seen.end.code
    how = "it could not be ended" if code is None else f"ended with {code}" if code >= 0 else f"ended by signal {-code}"
    yield f"{seen.signal}: {how} after {format_duration(round(seen.end.seconds, 1))}"
    if seen.moment is not None:
        yield f"  {seen.moment}"
    if seen.end.sentence is not None:
        less = f"; it had {format_duration(seen.grace)}, and has {format_duration(training.stop.grace)} in a run"
        yield f"  {seen.end.sentence}{less if seen.grace < training.stop.grace else ''}"
    if seen.newest is not None:
        yield f"  the newest checkpoint, {seen.newest}, {'is whole' if seen.flaw is None else 'is torn: ' + seen.flaw}"


def resume(seen: ResumeSeen, trial: Trial) -> Iterator[str]:
    """Whether a second start went on."""
    told = "" if seen.step is None else f" of step {seen.step:,}"
    told = "" if "step" in seen.checkpoint else told
    yield f"resume: {seen.how}, from {seen.checkpoint}{told}: {_outcome(seen)}"
    yield from (f"  {sentence}" for sentence in seen.sentences)
    if seen.died is not None:
        yield f"  {seen.died.sentence}"
        yield from (f"    | {line}" for line in _last_lines(seen.died.lines, trial.place))
    others = () if seen.went_on else resume_like(trial.options)
    if others:
        yield f"  options of the script that may be the one for training.resume: {', '.join(others)}"


def _outcome(seen: ResumeSeen) -> str:
    if seen.went_on:
        return f"it went on, its first row is of step {seen.first_step:,}"
    if seen.died is not None:
        return "it died before its first row"
    if seen.first_step is None:
        return "no new row came in the time that was left"
    return f"it began anew: its first row is of step {seen.first_step:,}"


def outside(before: Listing, after: Listing) -> Iterator[str]:
    """Which files outside changed, and what was looked at."""
    changed = before.changed(after)
    looked = listed(map(str, before.folders))
    bounds = "" if before.whole and after.whole else ", as far as the first 100,000 files"
    if not changed:
        yield f"outside: no file changed (looked at {looked}{bounds}; not at the rest of the disk, not at the network)"
        return
    yield f"outside: {plural(len(changed), 'file')} changed while it ran, by it or by something else:"
    yield from (f"  {what}: {path}" for what, path in changed[:_MOST_FILES])
    if len(changed) > _MOST_FILES:
        yield f"  and {len(changed) - _MOST_FILES} more"
    yield f"  looked at {looked}{bounds}; not at the rest of the disk, not at the network"


def isolation(trial: Trial) -> Iterator[str]:
    """What the script was not given."""
    names = trial.withheld
    shown = f": {listed([*names[:6], *([f'{len(names) - 6} more'] if len(names) > 6 else [])])}" if names else ""
    yield f"apart: trackers and hubs offline; {plural(len(names), 'variable')} withheld{shown}; HOME is yours"


def death(course: Course, place: TrialPlace) -> Iterator[str]:
    """How a script ended by itself, with its last lines."""
    assert course.ending is not None
    yield f"the script {course.ending.sentence.removeprefix('the script ')}"
    yield from (f"  | {line}" for line in _last_lines(course.tail, place))


def _last_lines(lines: Sequence[str], place: TrialPlace) -> Iterator[str]:
    """The last of them, with the code folder in place of its copy."""
    shown = (line.replace(str(place.code), place.origin.name) for line in lines[-_LAST_LINES:])
    return (shortened(line, 200) for line in shown)
