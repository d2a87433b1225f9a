"""Several processes that train one model: torchrun starts them, this process waits, and says how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import torch

from cardrunner.card.estimate import processes_of
from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.runs.context import RunContext
from cardrunner.runs.environment import child_environment
from cardrunner.runs.files import explained
from cardrunner.runs.records import Split
from cardrunner.stages.endings import outcome, read_endings
from cardrunner.training.group import GroupOutOfMemory
from cardrunner.training.judging import judge_out_of_memory
from cardrunner.training.splitting import halved, split_sentence

RANK: Final = "cardrunner.rank"
TORCHRUN: Final = "cardrunner.training.torchrun"
_POLL_SECONDS = 0.1
_LEAVING_SECONDS = 40.0
"""torchrun gives processes 30 s between asking and killing."""


def checked_processes(card: Card) -> int:
    """How many processes train, once it is clear that they can.

    Raises:
        UsageError: the card asks for processes and GPUs that do not fit together.
        EnvironmentFailed: there are not so many GPUs here.
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


def train_in_processes(ctx: RunContext, processes: int) -> None:
    """Train in so many processes. Those that run out of memory are started again, with split batches.

    Raises:
        EnvironmentFailed: torchrun cannot be used here, or a process died.
        CardrunnerError: whatever ended the training; see `Session.run`.
    """
    if not torch.distributed.is_available():
        raise EnvironmentFailed("this torch was built without torch.distributed, which several processes need")
    splits: list[Split] = []
    while (error := _attempt(ctx, processes, splits)) is not None:
        if not isinstance(error, GroupOutOfMemory):
            raise error
        splits.append(_split(ctx, error))


def _split(ctx: RunContext, error: GroupOutOfMemory) -> Split:
    """What a rule of the card says about a step that did not fit, else smaller pieces."""
    if (ending := judge_out_of_memory(ctx, error)) is not None:
        raise ending
    split = halved(Split(step=error.step, pieces=error.pieces), ctx.card.training, str(error))
    message = f"{split_sentence(split)}; the processes go on from the newest checkpoint"
    ctx.ledger.append("warning", attempt=ctx.attempt, message=message)
    return split


def _attempt(ctx: RunContext, processes: int, splits: Sequence[Split]) -> Exception | None:
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


def _started(ctx: RunContext, processes: int, splits: Sequence[Split]) -> subprocess.Popen[bytes]:
    told = json.dumps([split.model_dump() for split in splits])
    command = [
        *(sys.executable, "-m", TORCHRUN, str(ctx.folder.process_endings)),
        *("--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(processes), "--max-restarts", "0"),
        *("-m", RANK, str(ctx.folder.root), ctx.digest, str(ctx.attempt), told),
    ]
    with explained(ctx.folder.root, "start torchrun for"):
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # the processes' lifeline: requests go in, and its end is theirs
            start_new_session=True,  # Ctrl-C is for this process, which passes it on
            env={**child_environment(), **_threads(ctx.card, processes)},
        )


def _threads(card: Card, processes: int) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(card.training.threads or max(1, cores // processes))
    here = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {"OMP_NUM_THREADS": threads, **here}


def _waited(ctx: RunContext, process: subprocess.Popen[bytes]) -> int:
    """Pass on a request to end, once; the exit code."""
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
    """Cut the lifeline; torchrun ends when its processes do."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
