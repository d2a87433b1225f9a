"""Faults of the sections of `proof_sections`, each with its place in the card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cardrunner.card.platforms import platform_of
from cardrunner.common.text import did_you_mean
from cardrunner.specs import Location, Remark
from cardrunner.workloads.command.proof_sections import CommandDemo
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.stated import PARAMETERS

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card

Text = tuple[Location, str]
WITH_CHECKPOINT = ("resume", "evaluate", "demo")
"""The fields in which ``{checkpoint}`` stands for something, by the second step of their place."""


def proof_texts(card: Card, training: CommandTraining) -> Iterator[Text]:
    """Every argument of a command line beside the training, and its place."""
    if training.preflight is not None:
        yield from _arguments(("training", "preflight", "command"), training.preflight.command)
    if training.evaluate is not None:
        yield from _arguments(("training", "evaluate", "command"), training.evaluate.command)
    demo = card.after_training.demo
    if isinstance(demo, CommandDemo):
        yield from _arguments(("after_training", "demo", "command"), demo.command)


def _arguments(place: Location, words: tuple[str, ...]) -> Iterator[Text]:
    yield from (((*place, index), text) for index, text in enumerate(words))


def proof_remarks(card: Card, training: CommandTraining) -> Iterator[Remark]:
    """Every fault of what proves the script's word."""
    yield from _programs(card, training)
    yield from _evaluate(training)
    stated = (training.facts or {}).get(PARAMETERS)
    if stated is not None and card.model.parameters is not None and not stated.holds(card.model.parameters):
        message = f"is {stated}, and model.parameters is {card.model.parameters}; leave one of them out"
        yield Remark(loc=("training", "facts", PARAMETERS), message=message)
    yield from _patterns(card)
    if card.after_training.demo is not None and training.select is None:
        message = "needs training.select: there is no best checkpoint to show"
        yield Remark(loc=("after_training", "demo"), message=message)


def _patterns(card: Card) -> Iterator[Remark]:
    """A pattern is looked up where the run runs, and this machine cannot look at a volume."""
    if platform_of(card.infra).storage(card.infra) is None:
        several = len(card.data.source) > 1
        if card.data.sha256 is not None and any(entry.is_pattern for entry in card.data.source):
            message = "is for a single file; write that of a pattern beside its path, as `cardrunner data` does"
            yield Remark(loc=("data", "sha256"), message=message)
        for index, entry in enumerate(card.data.source):
            if entry.is_pattern and entry.sha256 is None:
                message = f"{entry.path} is not pinned: `cardrunner data CARD --write` writes count, size and sha256"
                at = (index,) if several else ()
                yield Remark(loc=("data", "source", *at), message=message, severity="warning")
        return
    for index, entry in enumerate(card.data.source):
        if entry.is_pattern:
            message = f"{entry.path} is a pattern, which is for runs on this machine; name each file of the volume"
            yield Remark(loc=("data", "source", index), message=message)


def _programs(card: Card, training: CommandTraining) -> Iterator[Remark]:
    for loc, text in proof_texts(card, training):
        if loc[-1] == 0 and "{" in text:
            yield Remark(loc=loc, message="is the program; write its name without {}")


def _evaluate(training: CommandTraining) -> Iterator[Remark]:
    evaluate = training.evaluate
    if evaluate is None:
        return
    loc: Location = ("training", "evaluate")
    if training.select is None:
        yield Remark(loc=loc, message="needs training.select: there is no best checkpoint to measure")
    if not any("{checkpoint}" in text for text in evaluate.command):
        message = "does not name {checkpoint}, so that it measures something else than the kept checkpoint"
        yield Remark(loc=(*loc, "command"), message=message)
    validated = {name for metric in training.metrics if metric.at == "validation" for name in (metric.name, metric.key)}
    for index, name in enumerate(evaluate.metrics):
        if name not in validated:
            known = sorted(metric.name for metric in training.metrics if metric.at == "validation")
            message = f"{name} is no validation metric of training.metrics{did_you_mean(name, known)}"
            yield Remark(loc=(*loc, "metrics", index), message=message)
