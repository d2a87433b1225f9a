"""Several processes that train one model: torchrun starts them; this process waits and reports how they ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import Field, ValidationError

from cardrunner import errors
from cardrunner.card.estimate import processes_of
from cardrunner.card.schema.card import Card
from cardrunner.common.units import format_duration
from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError, EnvironmentFailed, RestartWanted, UsageError
from cardrunner.runs.environment import child_environment, python_command, usable_cores
from cardrunner.runs.events import WarningGiven
from cardrunner.runs.files import explained
from cardrunner.runs.jsonl import append_line, read_lines
from cardrunner.runs.outcome import silent_end
from cardrunner.runs.records import BatchSplit, Record
from cardrunner.stages.run_data import open_run_data
from cardrunner.training.group import PATIENCE, GroupOutOfMemory, is_lost, joined
from cardrunner.training.judging import judge_out_of_memory
from cardrunner.training.numerics import numerics
from cardrunner.training.session import Session
from cardrunner.training.splitting import halved, split_sentence

RANK: Final = "cardrunner.launching.rank"
TORCHRUN: Final = "cardrunner.training.torchrun"
_POLL_SECONDS = 0.1
_LEAVING_SECONDS = 40.0
"""torchrun gives processes 30 s between SIGTERM and SIGKILL."""


def checked_processes(card: Card) -> int:
    """How many processes train, after checking that this machine can run them.

    Raises:
        UsageError: the card asks for processes and GPUs that do not fit together.
        EnvironmentFailed: there are too few GPUs here.
    """
    training, gpus = card.training, card.infra.gpus
    visible = 0 if training.device == "cpu" else torch.cuda.device_count()
    if gpus > 1 and training.processes > 1:
        raise UsageError("training.processes: there is one process per GPU, which infra.gpus says; leave it out")
    if gpus > 1 and visible < gpus:
        why = "training.device is cpu" if training.device == "cpu" else f"torch sees {visible} here"
        raise EnvironmentFailed(f"infra.gpus: {gpus}, but {why}; for the CPU write training.processes: {gpus}")
    if training.processes > 1 and visible:
        raise UsageError("training.processes is for the CPU; add training.device: cpu, or write infra.gpus")
    return processes_of(card)


def train(ctx: RunContext) -> None:
    """Train in this process, or in as many as the card asks for; see `Session.run` for what it raises."""
    if (processes := checked_processes(ctx.card)) > 1:
        train_in_processes(ctx, processes)
        return
    with numerics(ctx.card.training) as found:
        Session(ctx, open_run_data(ctx), found).run()


def train_as_one_of(ctx: RunContext, *, rank: int, world: int, splits: Sequence[BatchSplit]) -> None:
    """One process's part of `train_in_processes`."""
    with joined(rank=rank, world=world, gpu=ctx.card.infra.gpus > 1) as group, numerics(ctx.card.training) as found:
        Session(ctx, open_run_data(ctx), found, group=group, splits=splits).run()


def train_in_processes(ctx: RunContext, processes: int) -> None:
    """Train in several processes. After running out of memory they are started again with split batches.

    Raises:
        EnvironmentFailed: torch has no torch.distributed, or a process died.
        CardrunnerError: what ended the training; see `Session.run`.
    """
    if not torch.distributed.is_available():
        raise EnvironmentFailed("this torch was built without torch.distributed, which several processes need")
    splits: list[BatchSplit] = []
    while (error := _attempt(ctx, processes, splits)) is not None:
        if not isinstance(error, GroupOutOfMemory):
            raise error
        splits.append(_split(ctx, error))


def _split(ctx: RunContext, error: GroupOutOfMemory) -> BatchSplit:
    """Apply the card's rule to a step that ran out of memory; without a rule, halve the pieces."""
    if (ending := judge_out_of_memory(ctx, error)) is not None:
        raise ending
    split = halved(BatchSplit(step=error.step, pieces=error.pieces), ctx.card.training, str(error))
    message = f"{split_sentence(split)}; the processes go on from the newest checkpoint"
    ctx.ledger.append(WarningGiven(attempt=ctx.attempt, message=message))
    return split


def _attempt(ctx: RunContext, processes: int, splits: Sequence[BatchSplit]) -> Exception | None:
    """Start the processes and wait for their end; None when the training is done."""
    endings = ctx.folder.process_endings
    with explained(endings, "write"):
        endings.parent.mkdir(exist_ok=True)
        endings.unlink(missing_ok=True)
    code = _waited(ctx, _started(ctx, processes, splits))
    lines = read_endings(endings)
    if all(line.pid is not None for line in lines):
        return EnvironmentFailed(f"torchrun ended with {code} and no word; see `cardrunner logs {ctx.folder.name}`")
    return outcome(lines, processes=processes, run=ctx.folder.name)


def _started(ctx: RunContext, processes: int, splits: Sequence[BatchSplit]) -> subprocess.Popen[bytes]:
    told = json.dumps([split.model_dump() for split in splits])
    command = [
        *python_command(TORCHRUN, str(ctx.folder.process_endings)),
        *("--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(processes), "--max-restarts", "0"),
        # torchrun's own `python -m` would import from the current folder
        *("--no-python", *python_command(RANK, str(ctx.folder.root), ctx.digest, str(ctx.attempt), told)),
    ]
    with explained(ctx.folder.root, "start torchrun for"):
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # for requests; the processes end when it closes
            start_new_session=True,  # this process receives Ctrl-C and passes it on
            env={**child_environment(), **_threads(ctx.card, processes)},
        )


def _threads(card: Card, processes: int) -> dict[str, str]:
    threads = str(card.training.threads or max(1, usable_cores() // processes))
    here = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {"OMP_NUM_THREADS": threads, **here}


def _waited(ctx: RunContext, process: subprocess.Popen[bytes]) -> int:
    """Wait for the processes, passing on one request to end; the exit code."""
    told = False
    with process, contextlib.ExitStack() as leaving:
        leaving.callback(_end, process)
        while process.poll() is None:
            if not told and ctx.stop.reason is not None and process.stdin is not None:
                told = True
                with contextlib.suppress(BrokenPipeError):
                    os.write(process.stdin.fileno(), f"{ctx.stop.reason}\n".encode())
            time.sleep(_POLL_SECONDS)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, which ends the processes and with them torchrun."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


AGREED = (
    errors.RunStopped, errors.RunPaused, errors.RestartWanted, errors.Interrupted, errors.Terminated,
)  # fmt: skip
"""Exceptions that all processes raise together; any other leaves some of them waiting for the rest."""
_SIGTERM = 15


class ProcessEnd(Record):
    """One line about a process: its start, what it raised, or its death."""

    rank: int
    pid: int | None = None
    """Set on the line about its start."""
    at: float = Field(default_factory=time.time)
    kind: str | None = None
    """The exception's class; None on success."""
    message: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    lost: bool = False
    """Whether the exception only reports the loss of another process."""
    died: int | None = None
    """The exit code, or minus the signal, as torchrun reports it."""


def record_beginning(path: Path, rank: int) -> None:
    """Append the line about this process's start."""
    append_line(path, ProcessEnd(rank=rank, pid=os.getpid()).model_dump(), durable=False)


def record_ending(path: Path, rank: int, error: BaseException | None) -> None:
    """Append the line about this process's end."""
    kind = None if error is None else type(error).__name__
    facts = {name: value for name, value in vars(error).items() if name in _FACTS} if error is not None else {}
    ending = ProcessEnd(rank=rank, kind=kind, message=str(error or ""), facts=facts, lost=is_lost(error))
    append_line(path, ending.model_dump(), durable=False)


def read_endings(path: Path) -> list[ProcessEnd]:
    """Every readable line, oldest first."""
    found = []
    for line in read_lines(path):
        try:
            found.append(ProcessEnd.model_validate(line))
        except ValidationError:
            continue
    return found


def outcome(endings: Iterable[ProcessEnd], *, processes: int, run: str) -> Exception | None:
    """The error that explains the ends of all processes; None if the training is done.

    If rank 0 reports an end that all share, that is it. Otherwise a process broke, and the others only lost it. In
    this order: the first that ran out of memory, that raised its own error, that died without recording an end.
    """
    lines = sorted((ending for ending in endings if ending.pid is None), key=lambda ending: ending.at)
    raised = [ending for ending in lines if ending.died is None]
    for ending in raised:
        if ending.rank == 0 and (ending.kind is None or ending.kind in {kind.__name__ for kind in AGREED}):
            return _exception(ending, processes)
    own = [ending for ending in raised if not ending.lost and ending.kind is not None]
    for ending in sorted(own, key=lambda ending: ending.kind != GroupOutOfMemory.__name__):
        return _exception(ending, processes)
    spoke = {ending.rank for ending in raised}
    silent = [ending for ending in lines if ending.rank not in spoke and ending.died != -_SIGTERM]
    if silent:
        late = any("timed out" in ending.message.lower() for ending in raised)
        return EnvironmentFailed(_death(silent[0], processes, run, late=late))
    return _exception(raised[0], processes) if raised else None


_FACTS = ("changes", "epoch", "step", "pieces", "progress", "seconds")
_KINDS: dict[str, type[CardrunnerError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CardrunnerError)
}


def _exception(ending: ProcessEnd, processes: int) -> Exception | None:
    match ending.kind:
        case None:
            return None
        case "RestartWanted":
            return RestartWanted(ending.message, ending.facts["changes"])
        case "GroupOutOfMemory":
            return GroupOutOfMemory(ending.message, **ending.facts)
        case "OSError" | "MemoryError" | "OutOfMemoryError":
            return EnvironmentFailed(f"{_who(ending, processes)}: {ending.kind}: {ending.message}")
    kind = _KINDS.get(ending.kind)
    if kind is None:
        return RuntimeError(f"{_who(ending, processes)}: {ending.kind}: {ending.message}")
    found = Exception.__new__(kind)  # without the constructor, which may need more than the sentence
    found.args = (ending.message,)
    return found


def _death(ending: ProcessEnd, processes: int, run: str, *, late: bool) -> str:
    how = f"did not answer for {format_duration(PATIENCE.total_seconds())}" if late else silent_end(ending.died or 0)
    return f"{_who(ending, processes)} {how}; `cardrunner resume {run}` goes on from the newest checkpoint"


def _who(ending: ProcessEnd, processes: int) -> str:
    return f"process {ending.rank + 1} of {processes}"
