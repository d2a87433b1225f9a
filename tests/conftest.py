"""A small toy card, signed, and runs of it."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError
from cardrunner.gate import examine_gate
from cardrunner.launching.admission import record_admission
from cardrunner.launching.pipeline import open_context
from cardrunner.runs.create import create_run
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen, with_changes
from cardrunner.runs.history import History, HistoryRow
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, Manifest, TrainRecord, read_record
from cardrunner.tracking.progress import NullProgress
from cardrunner.workspace import Workspace
from tests.ledger_lines import record, recorded
from tests.sketch import SKETCH

pytest_plugins = ["tests.skips"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and more threads would only wait for each other

# nothing here may reach Modal's service, whoever runs the tests
os.environ["MODAL_CONFIG_PATH"] = "/nonexistent/modal.toml"
for _name in ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_PROFILE"):
    os.environ.pop(_name, None)


def pytest_xdist_auto_num_workers(config: object) -> int:
    """More processes than processors, since many tests wait for processes of their own."""
    return max(2, len(os.sched_getaffinity(0)) * 3 // 2)


TOY: dict[str, Any] = {
    "card": 1,
    "name": "toy-run",
    "created": "2026-02-26",
    "repeat": True,
    "goal": "Find out whether the machinery works.",
    "workload": "toy",
    "data": {"source": "synthetic", "split": {"train": "80%", "by": "example"}, "examples": 320},
    "model": {"architecture": "ToyMLP"},
    "training": {
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.01,
        "gradient_clip": 0.2,
        "log_every": "3 steps",
        "seed": 1,
        "threads": 1,
        "device": "cpu",
        "checkpoint_every": "1 epoch",
        "select": {"metric": "val_loss/total", "mode": "min"},
    },
    "infra": {"platform": "local", "executor": "inline"},
    "timing": {"calibration": [1], "epoch": "1s"},
    "targets": [{"metric": "val_loss/total", "below": 0.9}],
    "sign_off": {"policy": "boxes", "reviewers": [{"id": "mattie", "signed": True}]},
}

Changes = Mapping[str, Any]


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Iterator[None]:
    """Sketches, which are neither laid out nor rendered; the tests of reports have whole ones by this name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cardrunner.report.plots.rendered", lambda canvas: SKETCH)
        yield


def toy_text(changes: Changes | None = None) -> str:
    """A signed toy card. Eight steps an epoch.

    Args:
        changes: fields by path, such as ``{"training.epochs": 5}``; None removes one.
    """
    card = json.loads(json.dumps(TOY))
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        section = card
        for name in parents:
            section = section.setdefault(name, {})
        if value is None:
            section.pop(last, None)
        else:
            section[last] = value
    return json.dumps(card, indent=2)


def load_toy(changes: Changes | None = None) -> LoadedCard:
    return load_card_bytes(toy_text(changes).encode(), file="runcards/toy-run.yaml", resolve=registry.workload_spec)


@dataclass
class ToyRun:
    """A run of a toy card, and one attempt at a time at it."""

    folder: RunFolder
    attempts: int = 0
    ended: CardrunnerError | None = None

    def context(self, *, stop: StopRequest | None = None) -> RunContext:
        """Begin an attempt, as a worker does."""
        self.attempts += 1
        stop = stop or StopRequest()
        ctx = open_context(self.folder, stop=stop, progress=NullProgress(), attempt=self.attempts)
        record(ctx.ledger, "attempt_started", attempt=self.attempts)
        return ctx

    def train(self, *, stop: StopRequest | None = None, changes: Changes | None = None) -> ToyRun:
        """One attempt at the train stage; how it ended stands in `ended`. `changes` are those of a restart."""
        ctx = self.context(stop=stop)
        if changes:
            ctx = replace(ctx, card=with_changes(load_frozen(self.folder, registry.workload_spec), [changes]))
        self.ended = None
        try:
            registry.stage("train").run(ctx)
        except CardrunnerError as error:
            self.ended = error
        record(ctx.ledger, "attempt_ended", attempt=self.attempts, state="completed", exit_code=0, seconds=0.1)
        return self

    @property
    def record(self) -> TrainRecord:
        return read_record(self.folder.record("train"), TrainRecord)

    @property
    def manifest(self) -> Manifest:
        return read_record(self.folder.manifest, Manifest)

    @property
    def rows(self) -> list[HistoryRow]:
        return History(self.folder.history).rows()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return recorded(Ledger(self.folder.ledger), *names)

    def facts(self) -> list[dict[str, Any]]:
        """The history without clocks: what has to repeat exactly. NaN as text, since it equals nothing."""
        return [json.loads(json.dumps(row.model_dump(exclude={"clock"}))) for row in self.rows]


@pytest.fixture
def toy_card_text() -> Callable[..., str]:
    """The text of a signed toy card: ``toy_card_text({"training.epochs": 5})``."""
    return toy_text


@pytest.fixture
def toy_card() -> Callable[..., LoadedCard]:
    """A signed toy card, loaded."""
    return load_toy


MakeToyRun = Callable[..., ToyRun]


def make_toy_run(workspace: Path, changes: Changes | None = None, *, name: str = "toy-run") -> ToyRun:
    """The folder of a launched toy run."""
    loaded = load_toy(changes)
    gate = examine_gate(loaded, Workspace(workspace), now=datetime.datetime.now(datetime.UTC))
    assert gate.open
    (workspace / "runcards").mkdir(parents=True, exist_ok=True)  # else the one around the tests would judge
    folder = RunFolder.of(workspace / "runs", name)
    launch = LaunchRecord(
        run=name,
        workload="toy",
        workspace=str(workspace),
        executor="inline",
        card_file="runcards/toy-run.yaml",
        card_digest=loaded.digest,
        signed_by=("mattie",),
        created="2026-03-01T12:00:00.000Z",
        recorded=True,
    )
    effective = loaded.card.model_dump(mode="json", by_alias=True)

    def admit(staging: RunFolder) -> None:
        record_admission(staging, Workspace(workspace), loaded, gate, name=name, runs=folder.root.parent)

    create_run(folder, launch=launch, card=loaded.data, effective=effective, approvals=[], plan={}, admit=admit)
    return ToyRun(folder)


@pytest.fixture
def toy_run(tmp_path: Path) -> MakeToyRun:
    """Makes the folder of a launched toy run: ``toy_run({"training.epochs": 5}, name="other")``."""
    return partial(make_toy_run, tmp_path)


@pytest.fixture(scope="module")
def shared_toy_run(tmp_path_factory: pytest.TempPathFactory) -> MakeToyRun:
    """The same for runs that the tests of a module share; nobody may change them."""
    return partial(make_toy_run, tmp_path_factory.mktemp("shared"))


MakeCard = Callable[..., Path]


@pytest.fixture
def make_card(tmp_path: Path) -> MakeCard:
    """Writes a toy card into the workspace `tmp_path`: ``make_card({"training.toy.oom_at": 3}, name="other")``."""

    def make(changes: Changes | None = None, *, name: str = "toy-run") -> Path:
        path = tmp_path / "runcards" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        download = {"after_training.download": {"checkpoint": "best", "to": f"out/{name}.pt"}}
        path.write_text(toy_text({"name": name, **download, **(changes or {})}))
        return path

    return make


@pytest.fixture
def signed_card(make_card: MakeCard) -> Path:
    """A signed card that trains for a second in this process."""
    return make_card()


@dataclass
class Forked:
    """A process that the zygote forked, as `subprocess.Popen` would show it."""

    pid: int
    out: Path
    err: Path
    ended: Path

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return int(self.ended.read_text()) if self.ended.exists() else None

    def wait(self, timeout: float = 120.0) -> int:
        """The exit code, minus the signal where one ended it."""
        limit = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > limit:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} s: {self.err.read_text()}")
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it."""
        os.kill(self.pid, number)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, and what it wrote to stdout and stderr."""
        return self.wait(), self.out.read_text(), self.err.read_text()


@dataclass
class Zygote:
    """Starts processes that have torch and cardrunner imported already; see ``zygote.py``."""

    process: subprocess.Popen[str]
    folder: Path
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def code(
        self,
        code: str,
        *arguments: object,
        cwd: Path,
        limit: int | None = None,
        environment: Mapping[str, str] | None = None,
        out: Path | None = None,
        err: Path | None = None,
    ) -> Forked:
        """Run Python code.

        Args:
            code: run as ``__main__``.
            arguments: its ``sys.argv[1:]``.
            cwd: its current folder.
            limit: the largest file that it may write, in bytes.
            environment: all of its variables; those of the zygote when absent.
            out: where what it prints goes; a file of the zygote's when absent.
            err: the same for its errors.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            self.count += 1
            made = (self.folder / f"{self.count}.{kind}" for kind in ("out", "err", "ended"))
            out, err, ended = (given or own for given, own in zip((out, err, None), made, strict=True))
            paths = {"cwd": str(cwd), "out": str(out), "err": str(err), "ended": str(ended)}
            words = [str(argument) for argument in arguments]
            variables = None if environment is None else dict(environment)
            order = {"code": code, "arguments": words, "limit": limit, "environment": variables, **paths}
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return Forked(int(self.process.stdout.readline()), out, err, ended)

    def command(
        self, *words: object, cwd: Path, limit: int | None = None, env: Mapping[str, str | None] | None = None
    ) -> Forked:
        """Type a command; `env` has variables to set, or to take away."""
        change = f"import os; e = {dict(env or {})!r}; [os.environ.pop(k, None) for k in e]; "
        change += "os.environ.update({k: v for k, v in e.items() if v is not None}); "
        return self.code(f"{change}from cardrunner.main import entry; entry()", *words, cwd=cwd, limit=limit)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """For tests in which a process of its own matters and the start of its interpreter does not."""
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1]), "MPLBACKEND": "agg", "PYTHONWARNINGS": "default"}
    command = [sys.executable, str(here.with_name("zygote.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "ready\n"
        yield Zygote(process, tmp_path_factory.mktemp("zygote"))
        process.stdin.close()


@pytest.fixture(scope="session")
def modal_plane(zygote: Zygote) -> Iterator[Any]:
    """A loopback control plane for Modal's SDK, shared by all tests: each makes volumes of its own."""
    pytest.importorskip("modal")
    from tests.modal_plane.plane import started  # it imports modal, which other tests do not need

    with started(zygote) as plane:
        yield plane


@pytest.fixture
def cloud(modal_plane: Any, zygote: Zygote, tmp_path: Path) -> Any:
    """A workspace whose cards run on the plane; see `tests.modal_plane.cloud.Cloud`."""
    from tests.modal_plane.cloud import Cloud

    return Cloud(modal_plane, zygote, tmp_path)
