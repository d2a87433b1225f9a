"""Calibration from past runs: how fast comparable runs of the workspace were."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cardrunner.card.load import LoadedCard
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.training import TrainingSection
from cardrunner.common.text import plural
from cardrunner.errors import CardrunnerError, IntegrityError
from cardrunner.plan.money import Learned, PastRun, Prices, cost_at, optimistic_epoch
from cardrunner.runs.environment import collect_environment
from cardrunner.runs.events import AttemptStarted, Restarted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History, HistoryRow
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import Environment, LoadRecord, find_record, read_json
from cardrunner.runs.status import derive_status

MOST_RUNS = 10
"""The most recent runs that are read in full."""
_BESIDE_THE_POINT = {"notes", "reason", "parameters"}

Effective = Mapping[str, Any]
"""An effective card as JSON."""


def learn(loaded: LoadedCard, runs: Path, prices: Prices, *, examples: int | None) -> Learned:
    """Estimate time and cost from past runs.

    A run counts if it has the card's workload, GPU and batch size (and precision) and timed at least one full epoch.
    Without a GPU in the card, it must have run on this machine. If any of them trained the same model, only those
    count.

    Args:
        loaded: the card.
        runs: the folder of run folders.
        prices: what an hour costs.
        examples: training examples per epoch; None if not known yet.
    """
    if not isinstance(loaded.card.training, TrainingSection):
        return Learned(
            note="nothing learned: the speed of a script is not measured in examples", runs=(), estimate=None
        )
    card, effective = loaded.card, loaded.card.model_dump(mode="json", by_alias=True)
    found = tuple(_past_runs(runs, effective, card))
    found = tuple(run for run in found if run.same_model) or found
    if not found:
        return Learned(note=_nothing(card, runs), runs=(), estimate=None)
    if not examples:
        note = "the number of training examples is not known yet, so their speed cannot be converted to a time"
        return Learned(note=note, runs=found, estimate=None)
    epoch = examples / statistics.median(run.examples_per_second for run in found)
    optimistic, load = optimistic_epoch(card), _load_seconds(card, found)
    factor = epoch / optimistic if optimistic > 0 else None
    column = cost_at(card, prices, factor=factor, epoch=epoch, load=load, examples=examples)
    return Learned(note=_note(found), runs=found, estimate=column)


def _past_runs(runs: Path, wanted: Effective, card: Card) -> Iterator[PastRun]:
    alike = [(folder, own) for folder in RunFolder.all(runs) if (own := _effective(folder)) and _alike(own, wanted)]
    newest = sorted(alike, key=lambda pair: pair[0].ledger.stat().st_mtime, reverse=True)[:MOST_RUNS]
    here = collect_environment(runs) if newest and card.infra.gpu is None else None
    for folder, own in newest:
        try:
            if (past := _past_run(folder, own, wanted, here)) is not None:
                yield past
        except (CardrunnerError, ValueError, LookupError, TypeError, AttributeError, OSError):
            continue  # a broken run folder must not stop a plan


def _past_run(folder: RunFolder, own: Effective, wanted: Effective, here: Environment | None) -> PastRun | None:
    ledger = Ledger(folder.ledger)
    if any("training.batch_size" in event.changes for event in ledger.events(Restarted)):
        return None
    starts = ledger.events(AttemptStarted)
    if not starts:
        return None
    there = starts[-1].environment
    if here is not None and (there is None or _machine(there) != _machine(here)):
        return None
    resumed = {start.resumed_from.step for start in starts if start.resumed_from}
    speeds = list(_epoch_speeds(History(folder.history).rows(), resumed))
    if not speeds:
        return None
    status, load = derive_status(folder), find_record(folder.record("load"), LoadRecord)
    return PastRun(
        run=folder.name,
        state=status.state,
        started=status.started,
        epochs=len(speeds),
        examples_per_second=statistics.median(speeds),
        slowest=min(speeds),
        fastest=max(speeds),
        load_seconds=load.seconds if load else None,
        same_model=_content(own["model"]) == _content(wanted["model"]),
        same_data=_content(own["data"]) == _content(wanted["data"]),
    )


def _epoch_speeds(rows: Sequence[HistoryRow], resumed: set[int]) -> Iterator[float]:
    """Examples per second of every epoch trained within one attempt, including its validation."""
    step = examples = 0
    for row in rows:
        if row.kind != "validation":
            continue
        seconds, trained = row.clock.epoch_seconds, row.examples - examples
        whole = not any(step < at < row.step for at in resumed)
        if seconds is not None and whole and trained > 0 and 0 < seconds < math.inf:
            yield trained / seconds
        step, examples = row.step, row.examples


def _effective(folder: RunFolder) -> Effective | None:
    try:
        read = read_json(folder.card_json)
    except IntegrityError:
        return None
    return read if isinstance(read, dict) else None


def _alike(own: Effective, wanted: Effective) -> bool:
    try:
        return _kind(own) == _kind(wanted)
    except (KeyError, TypeError):
        return False


def _kind(card: Effective) -> tuple[object, ...]:
    """What two runs must have in common for the speed of one to predict the other."""
    infra, training = card["infra"], card["training"]
    gpu: object = infra["gpu"]
    place = (gpu, infra["gpus"]) if gpu else (infra["platform"], training["device"], training["threads"])
    return card["workload"], training["batch_size"], training["precision"], *place


def _machine(environment: Environment) -> tuple[object, ...]:
    return environment.cpu, environment.cores, environment.device, environment.threads


def _content(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name not in _BESIDE_THE_POINT}


def _load_seconds(card: Card, found: Sequence[PastRun]) -> float:
    """Seconds of loading: from past runs of the same data, else as the card measured it, else as it estimates it."""
    measured = [run.load_seconds for run in found if run.same_data and run.load_seconds is not None]
    if measured:
        return statistics.median(measured)
    known = card.timing.data_load_measured
    return card.timing.data_load[0] if known is None else known


def _note(found: Sequence[PastRun]) -> str:
    told = "; ".join(_told(run) for run in found)
    other = "" if found[0].same_model else ", of another model"
    return f"learned from {plural(len(found), 'past run')}{other}: {told}"


def _told(run: PastRun) -> str:
    epochs = plural(run.epochs, "epoch")
    speed = f"{run.examples_per_second:,.0f} examples/s"
    if run.epochs > 1:
        speed += f" in the median, {run.slowest:,.0f} to {run.fastest:,.0f}"
    return f"{run.run} ({run.state}, {run.started[:10]}, {epochs} at {speed})"


def _nothing(card: Card, runs: Path) -> str:
    where = f"on {card.infra.gpu}" if card.infra.gpu else "on this machine"
    size = f"batch size {card.training.batch_size}"
    return f"nothing learned: no run in {runs} trained {card.workload} {where} with {size} for a full epoch"
