"""One trial of a card, from the copy of its code to what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cardrunner.card.schema.card import Card
from cardrunner.common.redaction import hide_in
from cardrunner.common.units import format_duration
from cardrunner.contracts import Progress, TrialResult
from cardrunner.errors import EnvironmentFailed, IntegrityError, RunPaused
from cardrunner.runs.interrupts import StopRequest
from cardrunner.workloads.command.beginning import data_paths
from cardrunner.workloads.command.checks import is_here
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.substitution import shown_command
from cardrunner.workloads.command.trying import telling
from cardrunner.workloads.command.trying.durations import Durations
from cardrunner.workloads.command.trying.listing import Listing, list_files, watched_folders
from cardrunner.workloads.command.trying.offering import Seen, data_text, offer, quoted
from cardrunner.workloads.command.trying.place import TrialPlace, trial_place
from cardrunner.workloads.command.trying.remedies import missing_data, remedy
from cardrunner.workloads.command.trying.running import Course, Trial
from cardrunner.workloads.command.trying.tally import Value
from cardrunner.workspace import Workspace

Problem = tuple[int, str]
"""An exit code, and the sentence for it."""


def try_card(card: Card, workspace: Workspace, *, seconds: float, stop: StopRequest, progress: Progress) -> TrialResult:
    """Run a copy of the code of a card in a folder that is thrown away; see `cardrunner.contracts.OffersTrial`."""
    training = training_of(card)
    with trial_place(card, workspace) as place:
        folders = watched_folders(workspace.root, place.origin, Path.cwd())
        data = data_paths(card, workspace)
        before = list_files(folders, beside=(place.root, workspace.runs.resolve()), files=data)
        trial = Trial(card, workspace, place, seconds=seconds, stop=stop)
        argv = shown_command(Filling(training, place.folder).argv).replace(str(place.root), "...")
        progress.note(f"in a copy, for {format_duration(seconds)}: $ {argv}")
        course = trial.run()
        after = list_files(folders, beside=(place.root, workspace.runs.resolve()), files=data)
        return _result(card, trial, course, (before, after))


def _result(card: Card, trial: Trial, course: Course, listings: tuple[Listing, Listing]) -> TrialResult:
    place = trial.place
    died = course.ending is not None and course.ending.kind in ("failed", "out_of_memory")
    paste = _paste(card, trial, course) + (_data(card, course, place) if died else "")
    problem = _problem(trial, course)
    lines = [*_lines(trial, course), *telling.outside(*listings), *telling.isolation(trial)]
    return TrialResult(
        lines=tuple(hide_in(lines)),
        paste=paste,
        summary=hide_in(_summary(card, trial, course, listings)),
        complete=_is_complete(trial, course),
        exit_code=0 if problem is None else problem[0],
        problem=None if problem is None else str(hide_in(problem[1])),
    )


def _is_complete(trial: Trial, course: Course) -> bool:
    missing = not trial.observer.nothing_declared and trial.observer.missing()
    return course.stop is not None and not missing and (course.resume is None or course.resume.went_on)


def _lines(trial: Trial, course: Course) -> Iterator[str]:
    observer, place = trial.observer, trial.place
    if place.untracked:
        names = ", ".join(place.untracked[:5])
        yield f"copied though git does not track it, which closes the gate of a launch: {names}"
    if course.ending is not None and course.ending.kind in ("failed", "out_of_memory"):
        yield from telling.death(course, place)
        if not observer.tally.values:
            return
    elif course.ending is not None:
        again = "started once more, to be stopped" if course.stop else "too late to be started once more"
        yield f"the script was done after {format_duration(round(course.seconds, 1))}; {again}"
    yield from telling.rows(observer)
    yield f"progress: {observer.reach.sentence()}"
    if course.ending is None and (whole := observer.reach.whole_seconds) is not None:
        yield f"pace: {observer.reach.length} would take about {format_duration(round(whole, 1))}; see timing.total"
    yield from telling.checkpoints(trial)
    if course.stop is not None:
        yield from telling.stop(course.stop, trial.training)
    if course.resume is not None:
        yield from telling.resume(course.resume, trial)
    else:
        yield f"resume: not tried, {course.why_no_resume}"


def _paste(card: Card, trial: Trial, course: Course) -> str:
    observer, training = trial.observer, trial.training
    complete = not observer.nothing_declared and not observer.missing()
    seen = Seen(
        values=() if complete else tuple(observer.tally.values.values()),
        shapes=observer.guesser.best(),
        places=tuple(observer.files.places.values()),
        series=tuple(observer.checkpoints.series.values()),
        done=_is_done(course),
        durations=_durations(trial, course) if is_here(card) else None,
    )
    made = offer(seen, card, resume=_resume_text(trial, course))
    targets, rules = [target.metric for target in card.targets], [rule.watches for rule in card.kill_thresholds]
    return made.text(training, targets=targets, rules=rules)


def _is_done(course: Course) -> bool:
    return course.ending is not None and course.ending.kind == "completed"


def _durations(trial: Trial, course: Course) -> Durations:
    reach, done = trial.observer.reach, _is_done(course)
    return Durations(course.seconds if done else reach.whole_seconds, reach.first_at, measured=done)


def _resume_text(trial: Trial, course: Course) -> str | None:
    """What to write as `training.resume`, with what is known of it; None for what went wrong in the trial."""
    if course.resume is None:
        words = ", ".join(map(quoted, trial.known_resume or ()))
        return f"[{words}]   # not tried: an option that it seems to have" if words else None
    if not course.resume.went_on:
        return None
    text = "itself" if trial.known_resume is None else f"[{', '.join(map(quoted, trial.known_resume))}]"
    return f"{text}   # tried: it went on, its first row was of step {course.resume.first_step}"


def _data(card: Card, course: Course, place: TrialPlace) -> str:
    """The data that the script did not find, beside what the card names."""
    missing = missing_data(course.tail, place)
    named = [] if card.data.is_synthetic else [entry.path for entry in card.data.source]
    return data_text(list(dict.fromkeys([*named, *missing]))) if missing else ""


def _problem(trial: Trial, course: Course) -> Problem | None:
    """What is not well, the first of it."""
    observer, ending = trial.observer, course.ending
    if ending is not None and ending.kind in ("failed", "out_of_memory"):
        return EnvironmentFailed.exit_code, f"it died: {remedy(course.tail, trial.place)}"
    if course.stop is not None and course.stop.end.left:
        return EnvironmentFailed.exit_code, str(course.stop.end.sentence)
    if observer.nothing_declared:
        return RunPaused.exit_code, "the card names no place where metrics are read: paste training.report into it"
    if (missing := observer.missing()) and missing[0] is not None:
        names = ", ".join(entry.metric for entry in missing)
        return RunPaused.exit_code, f"declared and not seen: {names}; correct training.metrics or training.report"
    return _problem_of_resume(trial, course)


def _problem_of_resume(trial: Trial, course: Course) -> Problem | None:
    seen = course.resume
    if seen is None or not trial.training.resumes:
        lacks = trial.training.resumes and course.stop is not None
        why = f"it cannot be resumed: {course.why_no_resume}; see training.checkpoints, or try it for longer"
        return (IntegrityError.exit_code, why) if lacks else None
    if seen.died is not None:
        return EnvironmentFailed.exit_code, "it died when it was resumed; correct training.resume"
    if seen.first_step is None:
        return RunPaused.exit_code, "no row came after the resume; try it for longer: --for 5min"
    if not seen.went_on:
        return RunPaused.exit_code, "the resume began anew; correct training.resume"
    return None


def _summary(card: Card, trial: Trial, course: Course, listings: tuple[Listing, Listing]) -> dict[str, Any]:
    """The same as JSON."""
    observer, (before, after) = trial.observer, listings
    stop, resume = course.stop, course.resume
    return {
        "card": card.name,
        "seconds": round(course.seconds, 3),
        "ended_by_itself": None if course.ending is None else course.ending.sentence,
        "declared": [_value(value) for value in observer.declared.values.values()],
        "missing": [asdict(entry) for entry in observer.missing()],
        "seen": [_value(value) for value in observer.others()],
        "checkpoints": [
            {
                "at": series.at,
                "written": series.written,
                "overwritten": series.overwritten,
                "bytes": series.size,
                "flaw": series.flaw(),
            }
            for series in observer.checkpoints.series.values()
            if series.marks
        ],
        "stop": stop
        and {
            "signal": stop.signal,
            "code": stop.end.code,
            "seconds": round(stop.end.seconds, 3),
            "killed": [str(process) for process in stop.end.killed],
            "newest": stop.newest,
            "flaw": stop.flaw,
        },
        "resume": resume
        and {
            "how": resume.how,
            "checkpoint": resume.checkpoint,
            "step": resume.step,
            "first_step": resume.first_step,
            "went_on": resume.went_on,
        },
        "outside": [{"what": what, "path": str(path)} for what, path in before.changed(after)],
        "looked_at": [str(folder) for folder in before.folders],
        "withheld": list(trial.withheld),
    }


def _value(value: Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "from": value.where,
        "count": value.count,
        "steps": [value.first_step, value.last_step],
        "every_steps": value.every_steps,
        "every_seconds": value.every_seconds,
    }
