"""What an attempt finds out about the interpreter of its script before it starts it, and writes down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cardrunner.common.lock_file import read_lock
from cardrunner.common.text import listed
from cardrunner.contracts import Fact, RunContext
from cardrunner.runs.events import WarningGiven
from cardrunner.runs.records import InterpreterRecord, readable_record, write_record
from cardrunner.workloads.command.filling import Filling
from cardrunner.workloads.command.interpreter import ask, facts, record_of, search_path
from cardrunner.workloads.command.process import script_environment
from cardrunner.workloads.command.spec import training_of


def examined(ctx: RunContext, code: Path, program: str) -> Sequence[Fact]:
    """Ask the interpreter what is installed, record it, and hold it against the lock file of the card.

    Args:
        ctx: the attempt.
        code: the copy of the code.
        program: the first argument, as it will run.

    Raises:
        UsageError: the lock file cannot be used.
        EnvironmentFailed: the record cannot be written.
    """
    training, before = training_of(ctx.card), readable_record(ctx.folder.interpreter, InterpreterRecord)
    environment = script_environment(Filling(training, ctx.folder).environment)
    asked = ask(program, cwd=code / (training.workdir or "."), environment=environment)
    pin = ctx.card.code
    origin = ctx.workspace.root / (pin.folder or "." if pin is not None else ".")
    search, outside = search_path(asked, origin=origin, copy=code, environment=environment)
    record = record_of(asked, ctx.attempt, before)
    record = record.model_copy(update={"search": tuple(search), "outside": tuple(outside)})
    write_record(ctx.folder.interpreter, record)
    if before is not None and len(record.changes) > len(before.changes):
        _warn(ctx, f"the interpreter is not that of the attempt before, or has other packages: {record.changes[-1]}")
    if outside and (before is None or before.outside != record.outside):
        _warn(ctx, f"the script can import code that no signature covers, from {listed(outside)}")
    name = pin.lock if pin is not None else None
    lock = read_lock(code / name, field="code.lock") if name is not None else ()
    return tuple(facts(record, lock, named=name))


def _warn(ctx: RunContext, message: str) -> None:
    ctx.ledger.append(WarningGiven(attempt=ctx.attempt, message=message))
    ctx.progress.note(f"warning: {message}")
