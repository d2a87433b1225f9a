"""The records against each other: launch, history, training, manifest, checkpoint, download and results card."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardrunner.contracts import ProvesWord
from cardrunner.errors import IntegrityError
from cardrunner.runs.agreement import largest_difference
from cardrunner.runs.events import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    Created,
    DataOpened,
    Finished,
    StageEnded,
    StageStarted,
)
from cardrunner.runs.files import read_regular
from cardrunner.runs.records import (
    BEST,
    LATEST,
    STATE,
    BestRecord,
    CheckpointRecord,
    ChecksRecord,
    DemoRecord,
    DownloadRecord,
    LaunchRecord,
    LoadRecord,
    Manifest,
    ManifestEntry,
    Record,
    TrainRecord,
    find_record,
)
from cardrunner.stages.load import identity_digest
from cardrunner.verifying.evidence import Evidence, json_of, seconds_of
from cardrunner.verifying.findings import Finding, Unchecked, difference
from cardrunner.verifying.ledger import TOLERANCE

LAUNCH, TRAIN, CHECKPOINT = "launch.json", "stages/train.json", "stages/checkpoint.json"
LOAD, DOWNLOAD, MANIFEST = "stages/load.json", "stages/download.json", "checkpoints/manifest.json"
RESULTS = "results.md"


def readable(run: Evidence) -> Iterator[Finding]:
    """Every record that is there can be read; those of the launch are there."""
    folder = run.folder
    kinds: dict[Path, type[Record]] = {
        folder.launch: LaunchRecord,
        folder.manifest: Manifest,
        folder.checks: ChecksRecord,
        folder.record("load"): LoadRecord,
        folder.record("train"): TrainRecord,
        folder.record("checkpoint"): CheckpointRecord,
        folder.record("download"): DownloadRecord,
        folder.record("demo"): DemoRecord,
    }
    for path in (folder.launch, folder.card_yaml, folder.card_json, folder.approvals, folder.plan, folder.ledger):
        if not path.is_file():
            yield difference(_name(run, path), "is missing; every launch writes it", kind="missing")
    for path, kind in kinds.items():
        try:
            find_record(path, kind)
        except IntegrityError as error:
            yield difference(_name(run, path), str(error).replace(str(path), "it"))
    for path in (folder.card_json, folder.approvals, folder.plan):
        try:
            json.loads(read_regular(path)) if path.is_file() else None
        except (OSError, ValueError) as error:
            yield difference(_name(run, path), f"is not readable JSON: {error}")


def _name(run: Evidence, path: Path) -> str:
    return path.relative_to(run.folder.root).as_posix()


def launch_and_ledger(run: Evidence) -> Iterator[Finding]:
    """``launch.json``, the ledger's first event and the plan tell of the same launch."""
    created = run.of(Created)
    if not created:
        yield Unchecked("the ledger does not begin with 'created'")
        return
    number, event = created[0]
    for name in ("run", "workload", "card_digest", "executor", "signed_by"):
        said, recorded = getattr(run.launch, name), getattr(event, name)
        if said != recorded:
            yield difference(LAUNCH, f"{name} is {said!r}, and line {number} of ledger.jsonl has {recorded!r}")
    began, launched = seconds_of(event.at), seconds_of(run.launch.created)
    if launched is None or (began is not None and abs(began - launched) > TOLERANCE):
        yield difference(
            LAUNCH, f"created is {run.launch.created!r}, and line {number} of ledger.jsonl has {event.at!r}"
        )
    planned = json_of(run.folder.plan)
    if isinstance(planned, dict) and planned.get("run", run.launch.run) != run.launch.run:
        yield difference("plan.json", f"run is {planned['run']!r}, and launch.json has {run.launch.run!r}")


def named_as_launched(run: Evidence) -> Iterator[Finding]:
    """The folder has the name of the run that was launched: an approval is for one run."""
    if run.launch.run == run.folder.name:
        return
    what = f"run is {run.launch.run!r}, and the folder is called {run.folder.name!r}"
    if run.workspace is not None and run.folder.root.parent.resolve() == run.workspace.runs.resolve():
        yield difference(LAUNCH, f"{what}: an approval is for one run")
    else:
        yield Unchecked(f"{what}: this is a copy, which is not where the run was launched")


def cards_agree(run: Evidence) -> Iterator[Finding]:
    """``card.json`` has the values of the frozen card."""
    read = run.loaded.card.model_dump(mode="json", by_alias=True)
    for place, said, frozen in _differing(json_of(run.folder.card_json), json.loads(json.dumps(read)), ""):
        yield difference("card.json", f"{place} is {_short(said)}, and the card has {_short(frozen)}")


def _differing(said: Any, read: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Values that both have and that differ; a later version may add fields with their defaults."""
    if isinstance(said, dict) and isinstance(read, dict):
        for key in said.keys() & read.keys():
            yield from _differing(said[key], read[key], f"{place}.{key}" if place else key)
    elif isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        for number, (one, other) in enumerate(zip(said, read, strict=True)):
            yield from _differing(one, other, f"{place}[{number}]")
    elif said != read:
        yield place, said, read


def data_as_opened(run: Evidence) -> Iterator[Finding]:
    """The data of ``stages/load.json`` is the data that the newest attempt opened."""
    newest = max((event.attempt for _, event in run.of(AttemptStarted)), default=0)
    opened = [line for line in run.of(DataOpened) if line.said.attempt == newest]
    if run.load is None or not opened:
        yield Unchecked("the newest attempt has recorded no data")
        return
    number, event = opened[-1]
    if (found := identity_digest(run.load.identity)) != event.digest:
        what = f"the digest of its identity is {found}, and line {number} of ledger.jsonl has {event.digest}"
        yield difference(LOAD, what)
    if event.mode and event.mode != run.load.mode:
        yield difference(LOAD, f"mode is {run.load.mode!r}, and line {number} of ledger.jsonl has {event.mode!r}")


def facts_passed(run: Evidence) -> Iterator[Finding]:
    """A run that trained had data as the card says: every fact agrees, and pinned digests are the card's."""
    if run.load is None:
        yield Unchecked("there is no stages/load.json")
        return
    trained = any(event.stage == "train" for _, event in run.of(StageStarted))
    facts = {fact.name: fact for fact in run.load.facts}
    for fact in run.load.facts:
        if not fact.ok and fact.severity == "error" and trained and run.settled:
            yield difference(LOAD, f"{fact.name} is {fact.actual!r}, expected {fact.expected!r}, and the run trained")
    for path, pin in pins(run):
        pinned = facts.get(f"sha256 of {path}")
        if pinned is None and run.load.identity:
            yield difference(LOAD, f"has no sha256 of {path}, which the card pins", kind="missing")
        elif pinned is not None and (pinned.expected != pin or (pinned.ok and pinned.actual != pin)):
            what = f"sha256 of {path}: expected {pinned.expected}, found {pinned.actual}; the card pins {pin}"
            yield difference(LOAD, what)
    yield from _said_as_stated(run)


def _said_as_stated(run: Evidence) -> Iterator[Finding]:
    """What a script said of itself is what the card states, and the record compares it with that."""
    train, spec = run.train, run.loaded.spec
    if train is None or not isinstance(spec, ProvesWord):
        return
    said = {row.name: row for row in train.facts}
    for name, expected in spec.stated_facts(run.loaded.card).items():
        row = said.get(name)
        if row is None or row.expected != expected:
            found = "no such row" if row is None else f"expected {row.expected!r}"
            yield difference(TRAIN, f"{name}: {found}, and the card states {expected!r}")
        elif row.ok and "±" not in expected and row.actual != expected and not _same_number(row.actual, expected):
            yield difference(TRAIN, f"{name} is {row.actual!r}, and the record says that it is {expected!r}")
    for row in train.facts:
        if not row.ok and row.severity == "error" and run.completed:
            yield difference(TRAIN, f"{row.name} is {row.actual!r}, expected {row.expected!r}, and the run completed")


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def pins(run: Evidence) -> Iterator[tuple[str, str]]:
    """The data files whose sha256 the card pins."""
    data = run.card.data
    if not data.is_synthetic:
        for entry in data.source:
            if (pin := entry.sha256 or data.sha256) is not None:
                yield entry.path, pin


def completed_with_records(run: Evidence) -> Iterator[Finding]:
    """A completed run has trained every epoch, validated its best weights again, and says so in its records."""
    if not run.completed:
        return
    if run.train is None:
        yield difference(TRAIN, "is missing, and the ledger says that the run was completed", kind="missing")
    elif not run.card.training.measured:
        if not run.train.done:
            yield difference(TRAIN, "says that the script did not end by itself, and the run was completed")
    elif (
        run.train.epochs_done != run.train.epochs_planned
        or run.train.epochs_planned != run.card.training.planned_epochs
    ):
        what = f"epochs_done is {run.train.epochs_done} of {run.train.epochs_planned}, and the card's"
        yield difference(TRAIN, f"{what} {run.card.training.planned_epochs} were completed")
    if run.checkpoint is None and run.card.training.selection is not None:
        yield difference(CHECKPOINT, "is missing, and the ledger says that the run was completed", kind="missing")
    ended = {event.stage for _, event in run.of(StageEnded) if event.ok}
    for stage in run.worker_stages(run.loaded.card.extra_stages):
        if stage not in ended:
            yield difference("ledger.jsonl", f"has no successful end of the stage {stage}", kind="missing")


def history_and_training(run: Evidence) -> Iterator[Finding]:
    """``stages/train.json`` counts the epochs, steps and examples of the history."""
    train = run.train
    if train is None:
        yield Unchecked("there is no stages/train.json")
        return
    if train.reported:
        yield from _newest_step(run, train)
        return
    found = len(run.validations)
    if found < train.epochs_done and (run.settled or not run.crashed):
        what = f"has {found} validations, and stages/train.json counts {train.epochs_done} epochs"
        yield difference("history.jsonl", what, kind="missing")
    if found > train.epochs_done + 1:
        yield difference(TRAIN, f"epochs_done is {train.epochs_done}, and history.jsonl has {found} validations")
    if not run.settled or not run.rows:
        return
    last = run.rows[-1].said
    for name, value, in_history in (("steps", train.steps, last.step), ("examples", train.examples, last.examples)):
        if value < in_history or (run.completed and value != in_history):
            yield difference(TRAIN, f"{name} is {value}, and the last row of history.jsonl has {in_history}")


def _newest_step(run: Evidence, train: TrainRecord) -> Iterator[Finding]:
    """What a script reported is all in the history; its record has the newest step."""
    newest = max((row.said.step for row in run.rows), default=0)
    if run.settled and train.steps != newest:
        yield difference(TRAIN, f"steps is {train.steps}, and history.jsonl ends at step {newest}")


def best_is_best(run: Evidence) -> Iterator[Finding]:
    """The best validation of the history, by the card's choice, is the best of ``stages/train.json``."""
    train = run.train
    if (select := run.card.training.selection) is None:
        return
    if train is None or (not train.reported and len(run.validations) < train.epochs_done):
        yield Unchecked("there is no stages/train.json of this history")
        return
    expected: BestRecord | None = None
    name, sign = run.names.canonical(select.metric), -1 if select.mode == "min" else 1
    for _, row in run.validations if train.reported else run.validations[: train.epochs_done]:
        value = row.metrics.get(name, math.nan)
        if math.isfinite(value) and (expected is None or sign * value > sign * expected.value):
            expected = BestRecord(metric=name, mode=select.mode, value=value, epoch=row.epoch, step=row.step)
    if train.best != expected:
        yield difference(TRAIN, f"best is {_best(train.best)}, and history.jsonl has {_best(expected)}")


def _best(best: BestRecord | None) -> str:
    return "none" if best is None else f"{best.metric} {best.value!r} of epoch {best.epoch}, step {best.step}"


def training_and_manifest(run: Evidence) -> Iterator[Finding]:
    """``best.pt`` and ``latest.pt`` in the manifest are those of ``stages/train.json``."""
    train, manifest = run.train, run.manifest
    if train is None or manifest is None:
        yield Unchecked("there is no stages/train.json or no manifest")
        return
    entries = {entry.file: entry for entry in manifest.entries}
    best, latest = manifest.find(run.folder.best.name), entries.get(run.folder.latest.name)
    if not run.settled and latest is not None and latest.epoch != train.epochs_done:
        yield Unchecked("the newest attempt ended between the manifest and stages/train.json")
        return
    if train.best is not None and best is None and not train.reported:  # a script may not have saved any
        yield difference(MANIFEST, f"has no best.pt, and stages/train.json has {_best(train.best)}", kind="missing")
    if train.best is not None and best is not None and best.epoch <= train.epochs_done:
        value = best.metrics.get(train.best.metric)
        epoch = train.best.epoch if train.reported else best.epoch  # a script's may be saved in the next one
        if (epoch, _validated(best), value) != (train.best.epoch, train.best.step, train.best.value):
            what = f"the best one is of epoch {best.epoch}, step {_validated(best)}, {train.best.metric} {value!r}"
            yield difference(MANIFEST, f"{what}; stages/train.json has {_best(train.best)}")
    if latest is not None and latest.epoch == train.epochs_done and latest.weights_sha256 != train.weights_sha256:
        what = f"weights_sha256 is {train.weights_sha256}, and that of latest.pt in the manifest is"
        yield difference(TRAIN, f"{what} {latest.weights_sha256}")
    if latest is not None and latest.epoch < train.epochs_done and run.completed:
        what = f"latest.pt is of epoch {latest.epoch}, and stages/train.json is of epoch {train.epochs_done}"
        yield difference(MANIFEST, what)


def _validated(entry: ManifestEntry) -> int:
    """The step of the validation whose metrics a checkpoint has."""
    return entry.step if entry.metrics_step is None else entry.metrics_step


def history_and_manifest(run: Evidence) -> Iterator[Finding]:
    """The metrics of a checkpoint are those of its validation."""
    if run.manifest is None:
        yield Unchecked("there is no manifest")
        return
    rows = {row.step: row for _, row in run.validations}
    for entry in run.manifest.entries:
        row = rows.get(entry.step)
        if entry.stored is None or (row is None and entry.step > _last_step(run) and run.crashed):
            continue  # a state may be saved between two validations; rows after a resume are trained again
        if row is None or row.epoch != entry.epoch:
            what = (
                f"{entry.file} is of epoch {entry.epoch}, step {entry.step}, and history.jsonl has no such validation"
            )
            yield difference(MANIFEST, what)
            continue
        for name, value, in_history in _metrics_apart(entry.metrics, row.metrics):
            what = f"{name} of {entry.file} is {value!r}, and the validation of epoch {row.epoch} has {in_history!r}"
            yield difference(MANIFEST, what)
    yield from _states_and_history(run, run.manifest)


def _states_and_history(run: Evidence, manifest: Manifest) -> Iterator[Finding]:
    """A state has the metrics of the newest validation before it, or at its step."""
    for entry in manifest.entries:
        unknown = not entry.metrics and not run.card.training.measured
        if STATE not in entry.roles or unknown or (entry.step > _last_step(run) and run.crashed):
            continue
        earlier = [row for _, row in run.validations if row.step <= _validated(entry)]
        known: list[Mapping[str, float]] = [row.metrics for row in earlier[-2:]] or [{}]
        known += [{}] if len(earlier) < 2 else []
        if not any(_same_metrics(entry.metrics, metrics) for metrics in known):
            what = f"the metrics of {entry.file} are not those of the validation before step {entry.step}"
            yield difference(MANIFEST, f"{what}: {_short(entry.metrics)}, and history.jsonl has {_short(known[-1])}")


def _last_step(run: Evidence) -> int:
    return run.rows[-1].said.step if run.rows else 0


def _metrics_apart(one: Mapping[str, float], other: Mapping[str, float]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*one, *other)):
        if not _same(one.get(name), other.get(name)):
            yield name, one.get(name), other.get(name)


def _same_metrics(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return not any(_metrics_apart(one, other))


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def manifest_and_ledger(run: Evidence) -> Iterator[Finding]:
    """Saved checkpoints stand in the ledger and in the manifest alike."""
    if run.manifest is None:
        if run.of(CheckpointSaved) and run.settled:
            yield difference(MANIFEST, "is missing, and the ledger has saved checkpoints", kind="missing")
        return
    saved = {event.file: (number, event) for number, event in run.of(CheckpointSaved)}
    for entry in run.manifest.entries:
        found = saved.get(entry.source)
        if found is None:
            if not run.crashed:
                yield difference("ledger.jsonl", f"has no save of {entry.source}, which the manifest lists")
        elif found[1].step != entry.step or (run.card.training.measured and found[1].epoch != entry.epoch):
            what = f"{entry.file} is of epoch {entry.epoch}, step {entry.step}; line {found[0]} of ledger.jsonl"
            yield difference(MANIFEST, f"{what} has epoch {found[1].epoch}, step {found[1].step}")
    if run.settled:
        yield from _newest_saves(run, {entry.file: entry for entry in run.manifest.entries})


def _newest_saves(run: Evidence, entries: Mapping[str, ManifestEntry]) -> Iterator[Finding]:
    """The newest save of each role is the one that the manifest has."""
    newest = {role: (number, event) for number, event in run.of(CheckpointSaved) for role in event.roles}
    names = {LATEST: run.folder.latest.name, BEST: run.folder.best.name}
    for role, (number, event) in newest.items():
        if role != STATE and role not in names:
            continue
        entry = entries.get(names.get(role, event.file))
        if entry is None and not run.card.training.measured:
            entry = entries.get(event.file)  # a folder that a script saved has no second name
        unrecorded = run.crashed and entry is not None and entry.step > event.step  # a crash came before the event
        if entry is None or (entry.source != event.file and not unrecorded):
            what = f"does not have {event.file} as {role}, which line {number} of ledger.jsonl saved last"
            yield difference(MANIFEST, what, kind="missing")


def names_share_files(run: Evidence) -> Iterator[Finding]:
    """Names of one stored file have the same digests, size and step."""
    entries: dict[str, ManifestEntry] = {}
    for entry in run.manifest.entries if run.manifest is not None else ():
        first = entries.setdefault(entry.source, entry)
        for field in ("sha256", "bytes", "weights_sha256", "epoch", "step"):
            one, other = getattr(first, field), getattr(entry, field)
            if one != other:
                what = f"{field} of {entry.file} is {other}, and {first.file} of the same bytes has {one}"
                yield difference(MANIFEST, what)


def checkpoint_and_manifest(run: Evidence) -> Iterator[Finding]:
    """``stages/checkpoint.json`` validated the ``best.pt`` of the manifest, and its sums are right."""
    record = run.checkpoint
    if record is None:
        yield Unchecked("there is no stages/checkpoint.json")
        return
    entry = next((one for one in run.manifest.entries if one.file == record.file), None) if run.manifest else None
    if entry is None:
        yield difference(CHECKPOINT, f"validated {record.file}, which the manifest does not list")
        return
    for field in ("sha256", "weights_sha256", "epoch"):
        if getattr(record, field) != getattr(entry, field):
            what = f"{field} is {getattr(record, field)}, and the manifest has {getattr(entry, field)}"
            yield difference(CHECKPOINT, f"{what} for {entry.file}")
    known = entry.metrics or _of_best(run)  # a script's state has none of its own
    for name, value in record.recorded.items():
        if not _same(value, known.get(name)):
            yield difference(CHECKPOINT, f"recorded {name} is {value!r}, and the manifest has {known.get(name)!r}")
    yield from _measured_again(run, record)
    if record.recorded.keys() <= record.measured.keys():
        largest = largest_difference(record.recorded, record.measured)
        agrees = largest <= record.tolerance and record.recorded.keys() == record.measured.keys()
        if not _same(largest, record.largest_difference) or agrees != record.agrees:
            what = f"largest_difference is {record.largest_difference}, agrees {record.agrees}; from its own values"
            yield difference(CHECKPOINT, f"{what} they are {largest} and {agrees}")
    if run.completed and not record.agrees:
        yield difference(CHECKPOINT, "its values do not agree, and the ledger says that the run was completed")


def _of_best(run: Evidence) -> Mapping[str, float]:
    best = run.train.best if run.train is not None else None
    rows = (row for _, row in run.validations if best is not None and row.step == best.step)
    return next((row.metrics for row in rows), {})


def _measured_again(run: Evidence, record: CheckpointRecord) -> Iterator[Finding]:
    """The metrics that the card's own command measures are there."""
    spec = run.loaded.spec
    asked = spec.measured_again(run.loaded.card) if isinstance(spec, ProvesWord) else ()
    if absent := [name for name in asked if name not in record.measured]:
        yield difference(CHECKPOINT, f"has not measured {', '.join(absent)}, as the card asks", kind="missing")


def download_and_manifest(run: Evidence) -> Iterator[Finding]:
    """The downloaded checkpoint is the one of the manifest."""
    record = run.download
    if record is None:
        return
    ended = [number for number, event in run.of(AttemptEnded) if event.state == "completed"]
    after = [number for number, event in run.of(StageEnded) if event.stage == "download" and event.ok]
    if not ended or not after or after[-1] < ended[-1] or run.manifest is None:
        yield Unchecked("it was downloaded before the run was completed")
        return
    entry = next((one for one in run.manifest.entries if record.source in (one.file, one.source)), None)
    if entry is None:
        yield difference(DOWNLOAD, f"has {record.source}, which the manifest does not list")
    elif record.sha256 != entry.whole_sha256 or (entry.content is None and record.bytes != entry.bytes):
        what = f"{record.source} had {record.bytes} bytes and sha256 {record.sha256}; the manifest has"
        yield difference(DOWNLOAD, f"{what} {entry.bytes} and {entry.whole_sha256}")


def results_stand(run: Evidence) -> Iterator[Finding]:
    """The results card is of this run and this card, and not older than the ledger."""
    if not run.folder.results.is_file():
        yield Unchecked("there is no results.md")
        return
    page = run.folder.results.read_text(errors="replace")
    if run.launch.card_digest not in page:
        yield difference(RESULTS, f"does not have the digest of the card that was launched, {run.launch.card_digest}")
    title = page.partition("\n")[0]
    if run.launch.run not in title.replace("\\", ""):
        yield difference(RESULTS, f"its title is {title!r}, and the run is {run.launch.run!r}")
    turns = run.of(AttemptStarted, AttemptEnded, Finished)
    if turns and not isinstance(turns[-1].said, Finished):
        why = f"line {turns[-1].number} of ledger.jsonl is newer than the last finishing: results.md may lack it"
        yield Unchecked(f"{why}; `cardrunner report {run.folder.name}` makes it again")


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 120 else f"{text[:119]}…"
