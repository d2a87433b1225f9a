"""What wandb costs a run: added wall time, and whether the weights are the same.

    python -m benchmarks.tracking_cost --repetitions 5

The same run without a tracker, offline, against a server that takes everything, one that refuses, one that accepts and
never answers, one that goes away and one that falls silent while the run trains. Cases take turns; every launch is a
process with processes of its own. The added time is given in seconds of the whole launch, and of the worker alone.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.runs_of_toys import forking, write_card
from cardrunner.runs.events import AttemptEnded, TrackerSaid, TrainingBegan
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.status import derive_status
from tests.conftest import Zygote
from tests.wandb_server import KEY, WandbServer

_LIMIT_SECONDS = 5.0
_CASES = ("none", "offline", "online", "refused", "black hole", "cut", "falls silent")
_NO_KEY: Mapping[str, str | None] = {"WANDB_API_KEY": None, "NETRC": "/nonexistent", "WANDB_BASE_URL": None}


@dataclass
class Times:
    """Seconds of one case, one entry a repetition."""

    launch: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)
    weights: set[str | None] = field(default_factory=set)


@contextlib.contextmanager
def _server(case: str) -> Iterator[tuple[str | None, WandbServer | None]]:
    """The address for a case, and the server that can be cut."""
    if case in ("none", "offline"):
        yield None, None
    elif case == "refused":
        yield "http://127.0.0.1:9", None
    elif case == "black hole":
        with contextlib.closing(socket.socket()) as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen(64)
            yield f"http://127.0.0.1:{hole.getsockname()[1]}", None
    else:
        with WandbServer() as server:
            yield server.url, server


def once(zygote: Zygote, workspace: Path, case: str, steps_ms: int, times: Times) -> None:
    """One launch."""
    tracking = {} if case == "none" else {"infra.tracking": {"wandb": {"project": "p"}}}
    card = write_card(workspace, "tracked", {"training.toy.step_ms": steps_ms, **tracking})
    folder = RunFolder(workspace / "runs" / "tracked")
    with _server(case) as (url, server):
        env = _NO_KEY if url is None else {**_NO_KEY, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": url}
        began = time.perf_counter()
        launch = zygote.command("launch", card, "--quiet", cwd=workspace, env=env)
        if server is not None and case in ("cut", "falls silent"):
            while launch.poll() is None and not _tracks_and_trains(folder):
                time.sleep(0.02)
            server.cut() if case == "cut" else server.freeze()
        if launch.wait(timeout=300) != 0:
            raise SystemExit(f"{case}: {launch.err.read_text()}")
        times.launch.append(time.perf_counter() - began)
    (end,) = Ledger(folder.ledger).events(AttemptEnded)
    times.worker.append(end.seconds or 0.0)
    times.weights.add(derive_status(folder).weights_sha256)


def _tracks_and_trains(folder: RunFolder) -> bool:
    if not folder.ledger.exists():
        return False
    kinds = {type(event) for event in Ledger(folder.ledger).events()}
    return {TrackerSaid, TrainingBegan} <= kinds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--step-ms", type=int, default=300, help="duration of each of the 24 steps")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    order, times = random.Random(options.seed), {case: Times() for case in _CASES}
    with forking() as zygote:
        for _ in range(options.repetitions):
            for case in order.sample(_CASES, len(_CASES)):
                with TemporaryDirectory() as workspace:
                    once(zygote, Path(workspace), case, options.step_ms, times[case])
    bad = 0
    for case, found in times.items():
        added = [one - other for one, other in zip(found.launch, times["none"].launch, strict=True)]
        worker = [one - other for one, other in zip(found.worker, times["none"].worker, strict=True)]
        same = found.weights == times["none"].weights and len(found.weights) == 1
        median = statistics.median(added)
        bad += median >= _LIMIT_SECONDS or not same
        print(
            f"{case:<13} launch {statistics.median(found.launch):6.2f} s, added {median:+6.2f} "
            f"[{min(added):+.2f}, {max(added):+.2f}] s; worker {statistics.median(worker):+6.2f} s; "
            f"weights {'the same' if same else 'DIFFER'}",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
