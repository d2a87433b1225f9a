"""One of several training processes under torchrun: ``cardrunner.launching.rank FOLDER DIGEST ATTEMPT SPLITS``.

The worker holds the other end of their standard input and sends requests through it. When it closes, the worker is gone
and the processes end at once, so that two workers never write one run.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import traceback
from pathlib import Path
from typing import get_args

from cardrunner.common.clock import utc_now
from cardrunner.common.redaction import hiding_streams
from cardrunner.launching.pipeline import open_context
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import Reason, StopRequest
from cardrunner.runs.kept_folder import keep_in_place
from cardrunner.runs.records import BatchSplit
from cardrunner.stages.processes import AGREED, record_beginning, record_ending, train_as_one_of
from cardrunner.tracking.progress import NullProgress
from cardrunner.training.group import Followed

_STDIN = 0


def run_rank(folder: RunFolder, *, digest: str, attempt: int, splits: list[BatchSplit], rank: int, world: int) -> int:
    """Train as one of several processes; the exit code is 0 if all of them end together."""
    with StopRequest(folder.stop_request) as stop:
        threading.Thread(target=_hold_on, args=(stop, rank), daemon=True).start()
        keep_in_place(folder.root, folder.frozen)  # until this process ends
        record_beginning(folder.process_endings, rank)
        error = _ended(folder, digest, stop, attempt, splits, rank, world)
    if isinstance(error, Followed):
        return 0
    record_ending(folder.process_endings, rank, error)
    return 0 if error is None or isinstance(error, AGREED) else 1


def _ended(
    folder: RunFolder, digest: str, stop: StopRequest, attempt: int, splits: list[BatchSplit], rank: int, world: int
) -> BaseException | None:
    try:
        progress = NullProgress(None if rank else sys.stderr)
        ctx = open_context(folder, stop=stop, progress=progress, attempt=attempt, digest=digest)
        train_as_one_of(ctx, rank=rank, world=world, splits=splits)
    except BaseException as error:
        if not isinstance(error, (Followed, *AGREED)):
            sys.stderr.write(f"{utc_now()} process {rank + 1} of {world}\n{traceback.format_exc()}")
        return error
    return None


def _hold_on(stop: StopRequest, rank: int) -> None:
    """End when the worker does. Only rank 0 reads requests, because it is the one that shares them with the others."""
    if rank:
        poll = select.poll()
        poll.register(_STDIN, 0)
        poll.poll()
        os._exit(1)
    while word := os.read(_STDIN, 64).decode(errors="replace").strip():
        if word in get_args(Reason):
            stop.request(word)  # type: ignore[arg-type]
    os._exit(1)


def _main(arguments: list[str]) -> int:
    path, digest, attempt, told = arguments
    splits = [BatchSplit.model_validate(split) for split in json.loads(told)]
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    folder = RunFolder(Path(path))
    return run_rank(folder, digest=digest, attempt=int(attempt), splits=splits, rank=rank, world=world)


if __name__ == "__main__":
    with hiding_streams():
        code = _main(sys.argv[1:])
        sys.stderr.flush()
    os._exit(code)  # a normal exit could wait for processes that are gone
