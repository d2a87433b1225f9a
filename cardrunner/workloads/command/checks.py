"""Faults of a card whose run is a command line, each with its place in the card."""

from __future__ import annotations

import fnmatch
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cardrunner.common.redaction import found_in
from cardrunner.common.text import listed
from cardrunner.specs import Location, Remark
from cardrunner.workloads.command import carrying
from cardrunner.workloads.command.proof_checks import WITH_CHECKPOINT, proof_remarks, proof_texts
from cardrunner.workloads.command.reports.patterns import EPOCH
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.substitution import (
    FILE,
    OWN,
    BadTextError,
    names_in,
    substituted,
    text_of,
    texts_in,
    unknown_name,
)

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card

_SECRET_FLAGS = ("password", "passwd", "secret", "token", "api-key", "api_key", "apikey")
Text = tuple[Location, str]


def remarks(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Every fault and warning."""
    yield from _names(card, training)
    yield from _paths(card, training)
    yield from _program(card, training)
    yield from _secrets(card, training)
    yield from proof_remarks(card, training)
    yield from _metrics(training)
    yield from _isolated(training)
    yield from _resume(card, training)
    yield from _checkpoints(card, training)
    yield from _length(card, training)
    yield from _restarts(card)
    yield from carrying.platform_remarks(card, training)
    if card.code is None or card.code.folder is None:
        message = "is missing: name the folder of the script, such as code: {folder: .}, so that signatures cover it"
        yield Remark(loc=("code",), message=message)
    elif card.code.sha256 is None:
        message = "has no sha256 yet: the gate opens once `cardrunner code CARD --write` has written it"
        yield Remark(loc=("code",), message=message, severity="warning")


def _names(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Names that nothing defines, and parameters that occur nowhere."""
    used: set[str] = set()
    for loc, text in _texts(card, training):
        try:
            found = list(names_in(text))
        except BadTextError as error:
            yield Remark(loc=loc, message=str(error))
            continue
        used.update(found)
        for name in found:
            if (why := _unknown(name, training, loc)) is not None:
                yield Remark(loc=loc, message=why)
    for name in training.parameters:
        if name in OWN:
            message = f"{name} is a name that every run has; call the parameter otherwise"
            yield Remark(loc=("training", "parameters", name), message=message)
        elif name not in used:
            message = f"would control nothing: {{{name}}} occurs neither in the command nor in files or environment"
            yield Remark(loc=("training", "parameters", name), message=message)
    for name in training.files:
        if f"{FILE}{name}" not in used:
            message = f"would control nothing: {{{FILE}{name}}} occurs neither in the command nor in resume"
            yield Remark(loc=("training", "files", name), message=message)


def _unknown(name: str, training: CommandTraining, loc: Location) -> str | None:
    if name.startswith(FILE):
        known = [f"{FILE}{file}" for file in training.files]
        there = f"; there are {listed(known)}" if known else ""
        return None if name in known else f"{{{name}}} is a file that training.files does not have{there}"
    if name == "checkpoint" and loc[1] not in WITH_CHECKPOINT:
        return "{checkpoint} stands for something only in resume, evaluate and demo, where there is one"
    if name == "seed" and training.seed is None:
        return "{seed} stands for training.seed, which is missing"
    if name in training.parameters or name in OWN:
        return None
    return unknown_name(name, (*training.parameters, *OWN))


def _texts(card: Card, training: CommandTraining) -> Iterator[Text]:
    """Every text with names, and its place."""
    yield from ((("training", "command", index), text) for index, text in enumerate(training.command))
    if isinstance(training.resume, tuple):
        yield from ((("training", "resume", index), text) for index, text in enumerate(training.resume))
    yield from ((("training", "environment", name), text) for name, text in training.environment.items())
    for name, content in training.files.items():
        yield from ((("training", "files", name), text) for text in texts_in(content))
    if training.length is not None:
        for key in ("steps", "epochs"):
            if isinstance(written := getattr(training.length, key), str):
                yield ("training", "length", key), written
    yield from _globs(training)
    yield from proof_texts(card, training)


def _globs(training: CommandTraining) -> Iterator[Text]:
    for index, glob in enumerate(training.checkpoints.at if training.checkpoints else ()):
        yield ("training", "checkpoints", "at", index), glob
    for kind in ("tensorboard", "dvclive", "mlflow", "trainer_state", "csv", "jsonl"):
        for index, entry in enumerate(getattr(training.report, kind)):
            yield ("training", "report", kind, index), getattr(entry, "at", entry)


def _paths(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Relative paths that leave the code folder."""
    places = [*_globs(training), *([(("training", "workdir"), training.workdir)] if training.workdir else [])]
    commands = ("command", "resume")
    places += [
        (loc, text)
        for loc, text in _texts(card, training)
        if (loc[-2] in commands or loc[1] in commands) and "/" in text
    ]
    places += [(("training", "parameters", n), v) for n, v in training.parameters.items() if isinstance(v, str)]
    for loc, text in places:
        if ".." in PurePosixPath(text.partition("=")[2] or text).parts:
            message = "leaves the code folder, of which the run has its own copy; write a path in it, or one with {out}"
            yield Remark(loc=loc, message=message)


def _program(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """A program that PATH does not have; paths are looked at by the launch."""
    first = training.command[0]
    if "{" in first:
        yield Remark(loc=("training", "command", 0), message="is the program; write its name without {}")
    elif "/" not in first and is_here(card) and shutil.which(first) is None:
        message = f"{first} is not installed here: no folder of PATH has it; install it, or write its path"
        yield Remark(loc=("training", "command", 0), message=message, severity="warning")


def _isolated(training: CommandTraining) -> Iterator[Remark]:
    """A Python that is told not to look at the path on which a module or the hook stands."""
    flags = itertools.takewhile(lambda argument: argument.startswith("-"), training.command[1:])
    asks = "training.script_module" if training.script_module else "training.report.wandb"
    for index, flag in enumerate(flags, start=1):
        isolates = re.fullmatch("-[bBdiOqsSuvx]*[EI].*", flag) is not None
        if isolates and (training.script_module or training.report.wandb):
            message = f"{flag} makes Python leave out PYTHONPATH, by which {asks} works; take one of them out"
            yield Remark(loc=("training", "command", index), message=message)


def is_here(card: Card) -> bool:
    """Whether it runs on a machine that shares the files of this one."""
    from cardrunner.card.platforms import platform_of  # only one check needs it

    return platform_of(card.infra).storage(card.infra) is None


def _secrets(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Values of secret variables, and arguments that are called secrets."""
    values: list[Text] = [(("training", "parameters", name), str(it)) for name, it in training.parameters.items()]
    texts = [*_texts(card, training), *values]
    for loc, text in texts:
        if (variable := found_in(text)) is not None:
            message = f"holds the value of {variable}; a card never holds a secret: let the script read the variable"
            yield Remark(loc=loc, message=message)
    arguments = [(loc, text) for loc, text in texts if loc[-2] in ("command", "resume")]
    for number, (loc, text) in enumerate(arguments):
        flag, equals, value = text.lstrip("-").partition("=")
        after = arguments[number + 1][1] if number + 1 < len(arguments) and not equals else value
        if text.startswith("-") and flag.lower().endswith(_SECRET_FLAGS) and after and not after.startswith("-"):
            message = f"{text.partition('=')[0]} hands over a secret, which everybody sees in the list of processes"
            yield Remark(loc=loc, message=f"{message}; let the script read it from a variable of the environment")
    yield from _named_secrets(training)


def _named_secrets(training: CommandTraining) -> Iterator[Remark]:
    """Values that are called secrets, which would stand in the card."""
    named: dict[Location, object] = {("training", "parameters", n): value for n, value in training.parameters.items()}
    named |= {("training", "environment", n): value for n, value in training.environment.items()}
    for loc, value in named.items():
        if isinstance(value, str) and value and str(loc[-1]).lower().endswith(_SECRET_FLAGS):
            message = "is called a secret, which a card never holds; set it in the environment of the launch"
            yield Remark(loc=loc, message=message)


def _metrics(training: CommandTraining) -> Iterator[Remark]:
    """Names that are taken, and sources that can never give a metric."""
    seen: dict[str, int] = {}
    for index, metric in enumerate(training.metrics):
        loc: Location = ("training", "metrics", index)
        if metric.name in seen or metric.key in {training.metrics[at].key for at in seen.values()}:
            yield Remark(loc=(*loc, "name"), message=f"{metric.name} is declared twice")
        seen[metric.name] = index
        if metric.at == "log" and metric.name.startswith("val_"):
            message = "is logged in training, and val_ stands before the names of validation metrics; call it otherwise"
            yield Remark(loc=(*loc, "name"), message=message)
        for name in metric.read or (metric.name,):
            if (why := training.report.never_read(name)) is not None:
                yield Remark(loc=(*loc, "read") if metric.read else (*loc, "name"), message=f"{name}: {why}")
    by_name = {metric.bare: metric for metric in training.metrics if metric.at == "validation"}
    for index, metric in enumerate(training.metrics):
        if metric.at == "log" and (other := by_name.get(metric.bare)) and other.direction != metric.direction:
            message = f"is {metric.direction}, and that of {other.name} is {other.direction}"
            yield Remark(loc=("training", "metrics", index, "direction"), message=message)


def _resume(card: Card, training: CommandTraining) -> Iterator[Remark]:
    if training.resume is None and card.infra.retries:
        message = (
            f"{card.infra.retries} retries would begin anew each time: training.resume is missing, a stop loses the run"
        )
        yield Remark(loc=("infra", "retries"), message=message)
    if isinstance(training.resume, tuple) and training.checkpoints is None:
        message = "needs training.checkpoints: where the script writes what it resumes from"
        yield Remark(loc=("training", "resume"), message=message)
    if training.select is not None and training.checkpoints is None:
        message = "needs training.checkpoints: there is no checkpoint to choose"
        yield Remark(loc=("training", "select"), message=message)


def _checkpoints(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Globs that match the card's data, or that lie outside of what the script may write."""
    for index, glob in enumerate(training.checkpoints.at if training.checkpoints else ()):
        loc: Location = ("training", "checkpoints", "at", index)
        if glob.startswith("{out}/"):
            continue
        pattern = substituted(glob, lambda name: text_of(training.parameters.get(name, "*")))
        data = next((entry.path for entry in card.data.source if fnmatch.fnmatch(entry.path, pattern)), None)
        matches = "" if data is None else f"matches {data}, which is data of the card, and "
        message = f"{matches}does not lie in {{out}}, which each run has for itself; let the script write there"
        yield Remark(loc=loc, message=message)


def _length(card: Card, training: CommandTraining) -> Iterator[Remark]:
    length = training.length
    for key in ("steps", "epochs"):
        written = getattr(length, key) if length is not None else None
        if isinstance(written, str) and written.strip("{}") in training.parameters and training.number(written) is None:
            yield Remark(loc=("training", "length", key), message=f"{written} is no whole number above 0")
    counted = length is not None and length.epochs is not None
    for index, rule in enumerate(card.kill_thresholds):
        for key in ("after", "not_before", "within"):
            span = getattr(rule, key)
            if span is not None and span.unit == "epoch" and not counted:
                message = "is in epochs, which training.length does not count; write steps or a time"
                yield Remark(loc=("kill_thresholds", index, key), message=message)
    yield from _epochs(training)
    if length is None:
        message = "is missing: there is no progress and no projection of time and cost"
        yield Remark(loc=("training", "length"), message=message, severity="warning")
    if card.timing.total is None and not counted:
        yield Remark(loc=("timing", "epoch"), message="needs epochs, which training.length does not count; write total")


def _epochs(training: CommandTraining) -> Iterator[Remark]:
    """Epochs that no source can report, so that the run would have no progress."""
    length, report = training.length, training.report
    if length is None or length.epochs is None or training.script_module:
        return
    patterns = report.only_patterns
    if not patterns or any(EPOCH in re.compile(pattern).groupindex for pattern in patterns):
        return
    if length.read is None:
        message = (
            r"counts epochs, and no pattern of training.report.stdout has a group (?P<epoch>\d+), so there would be no"
            r" progress; call the number that counts epochs so, in place of (?P<step>\d+) if it is that one, or count"
            " steps in training.length"
        )
        yield Remark(loc=("training", "length", "epochs"), message=message)
    elif (why := report.never_read(length.read)) is not None:
        yield Remark(loc=("training", "length", "from"), message=f"{length.read}: {why}")


def _restarts(card: Card) -> Iterator[Remark]:
    """What a restart may set of the training: parameters alone."""
    for index, rule in enumerate(card.kill_thresholds):
        for path in rule.set or {}:
            if path.startswith("training.") and not path.startswith("training.parameters."):
                message = "a restart may set training.parameters.NAME; the rest of the command is as it was signed"
                yield Remark(loc=("kill_thresholds", index, "set", path), message=message)
