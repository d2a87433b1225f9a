"""Runs the checks of a checklist: commands, and built-in checks of what the card names."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from cardrunner import registry
from cardrunner.card.load import LoadedCard
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.sign_off import Check, FileCheck, MetricCheck, check_text
from cardrunner.common.clock import moment, timestamp
from cardrunner.common.units import format_bytes
from cardrunner.contracts import Fact, MetricNames, Progress, RemoteExecutor, RunContext, Workload
from cardrunner.errors import CardrunnerError, IntegrityError, MissingExtra, NameTaken, UsageError
from cardrunner.gate.check_run import CheckResult, run_check
from cardrunner.gate.checklist import ItemEntry, item_entries
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import CheckRow, FactRow, LoadRecord, find_record
from cardrunner.stages.load import failures, file_facts
from cardrunner.stages.run_data import data_files
from cardrunner.tracking.progress import NullProgress
from cardrunner.workspace import Workspace

Show = Callable[[bytes], object]


@dataclass(frozen=True)
class _Found:
    """The result of a built-in check."""

    ok: bool
    says: str
    output: str = ""


def prove(place: ItemEntry, loaded: LoadedCard, workspace: Workspace, *, show: Show = lambda _: None) -> CheckResult:
    """Run the check of a checklist item.

    Args:
        place: an item that has one.
        show: called with a command's output as it arrives.

    Raises:
        UsageError: the item has no check.
    """
    check = place.item.check
    if check is None:
        raise UsageError(f"{place} has no check to run; a person ticks it")
    if isinstance(check, tuple):
        return run_check(check, workspace, show=show)
    begun = time.monotonic()
    found = _built_in(check, loaded, workspace)
    if found.output:
        show(f"{found.output}\n".encode())
    return CheckResult(
        check=check_text(check),
        ok=found.ok,
        ending=found.says,
        output=found.output,
        seconds=time.monotonic() - begun,
        at=timestamp(moment()),
    )


def prove_all(
    loaded: LoadedCard, workspace: Workspace, *, progress: Progress
) -> Iterator[tuple[ItemEntry, CheckResult]]:
    """Run every check of a card, one after the other."""
    for place in item_entries(loaded.card):
        if place.item.check is not None:
            progress.note(f"check {place.address}: {check_text(place.item.check)}")
            yield place, prove(place, loaded, workspace)


def as_row(place: ItemEntry, result: CheckResult) -> CheckRow:
    """The record of a check for the run folder."""
    return CheckRow(item=place.index + 1, **asdict(result))


def _built_in(check: Check, loaded: LoadedCard, workspace: Workspace) -> _Found:
    try:
        if isinstance(check, FileCheck):
            return _file(check.file, workspace)
        if isinstance(check, MetricCheck):
            return _metric(check.metric, loaded)
        return _volume(loaded) if check == "volume" else _data_facts(loaded, workspace)
    except CardrunnerError as error:
        return _Found(False, str(error))


def _file(path: str, workspace: Workspace) -> _Found:
    own = workspace.inside(path, field="checklist.check.file")
    found = own if own.is_file() else workspace.find_data(path)
    place = "is there" if found == own else f"is at {found}"  # paths of this machine only where they are needed
    return _Found(True, f"{place}, {format_bytes(found.stat().st_size)}")


def _metric(name: str, loaded: LoadedCard) -> _Found:
    metric = MetricNames(loaded.spec.metrics).spec(name)
    if metric is None:
        known = ", ".join(f"val_{spec.name}" for spec in loaded.spec.metrics)
        return _Found(False, f"{loaded.spec.name} computes no metric {name!r}; it computes {known}")
    return _Found(True, f"{loaded.spec.name} computes it as val_{metric.name}: {metric.meaning}")


def _volume(loaded: LoadedCard) -> _Found:
    """The platform's preflight, which is free. A run of this name that exists there is accepted."""
    executor = registry.executor(platform_of(loaded.card.infra).executor_of(loaded.card.infra))
    if not isinstance(executor, RemoteExecutor):
        return _Found(False, "the card runs on this machine and has no volume; take the check out")
    lines: list[str] = []
    with contextlib.suppress(NameTaken):
        lines.extend(map(_line, executor.preflight(loaded.card, loaded.card.name)))
    return _Found(True, "the volume can be reached, with what the card needs there", "\n".join(lines))


def _data_facts(loaded: LoadedCard, workspace: Workspace) -> _Found:
    """Check the data against the card as the load stage does, in a temporary folder."""
    if platform_of(loaded.card.infra).storage(loaded.card.infra) is not None:
        return _Found(False, "the data is on the volume and cannot be opened from here")
    with tempfile.TemporaryDirectory(prefix="cardrunner-check-") as folder:
        try:
            workload = registry.workload(loaded.card.workload)
        except MissingExtra as missing:
            return _files_alone(_context(loaded, workspace, Path(folder), workload=None), missing)
        ctx = _context(loaded, workspace, Path(folder), workload=workload)
        try:
            registry.stage("load").run(ctx)
        except IntegrityError as error:
            return _Found(False, str(error), _rows(ctx))
        return _Found(True, "the data is what the card says", _rows(ctx))


def _files_alone(ctx: RunContext, missing: MissingExtra) -> _Found:
    """Check sizes and checksums, where the packages that open the data are missing."""
    facts = tuple(file_facts(ctx, data_files(ctx)))
    output = "\n".join(map(_line, facts))
    if failed := failures(facts):
        return _Found(False, f"{failed[0].name} is {failed[0].actual}, expected {failed[0].expected}", output)
    return _Found(True, f"sizes and checksums are what the card says; the content was not opened ({missing})", output)


def _context(loaded: LoadedCard, workspace: Workspace, root: Path, *, workload: Workload | None) -> RunContext:
    folder = RunFolder(root)
    return RunContext(
        folder=folder,
        workspace=workspace,
        card=loaded.card,
        digest=loaded.digest,
        workload=cast("Workload", workload),
        ledger=Ledger(folder.ledger),
        history=History(folder.history),
        stop=StopRequest(),
        progress=NullProgress(),
        attempt=1,
    )


def _rows(ctx: RunContext) -> str:
    record = find_record(ctx.folder.record("load"), LoadRecord)
    return "\n".join(map(_line, record.facts if record else ()))


def _line(fact: Fact | FactRow) -> str:
    mark = "ok" if fact.ok else fact.severity
    expected = "" if fact.expected is None else f", the card says {fact.expected}"
    return f"{mark}: {fact.name} is {fact.actual}{expected}" + (f" ({fact.note})" if fact.note else "")
