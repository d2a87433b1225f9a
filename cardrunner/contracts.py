"""The contracts between the packages: what a workload, an executor, a stage and a tracker must offer.

Read this first. Everything here is a Protocol, or a frozen value that crosses a package border. The torch-free half of
a workload is in `cardrunner.card.contracts` and `cardrunner.specs`, and exported from here too. Shape letters:

    B  examples in a batch          M  metrics of an objective
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from cardrunner.card.contracts import (
    FollowsCard as FollowsCard,
    ForeseesCommand as ForeseesCommand,
    ForeseesData as ForeseesData,
    ForeseesMatch as ForeseesMatch,
    OffersStarter as OffersStarter,
    OwnsDemo as OwnsDemo,
    ProvesWord as ProvesWord,
    StartsCommand as StartsCommand,
    WorkloadSpec as WorkloadSpec,
    spec_for as spec_for,
)
from cardrunner.runs.exhibits import (
    Chart as Chart,
    Exhibit as Exhibit,
    ExhibitRow as ExhibitRow,
    Series as Series,
)
from cardrunner.runs.progress import (
    Board as Board,
    Progress as Progress,
    RunSnapshot as RunSnapshot,
    ShowsRuns as ShowsRuns,
    Task as Task,
)
from cardrunner.specs import (
    DataMatch as DataMatch,
    Derived as Derived,
    Direction as Direction,
    Location as Location,
    MetricNames as MetricNames,
    MetricSpec as MetricSpec,
    Remark as Remark,
    Severity as Severity,
    TrivialBaseline as TrivialBaseline,
)

if TYPE_CHECKING:
    from subprocess import Popen

    import torch
    from torch import Tensor, nn

    from cardrunner.card.schema.card import Card
    from cardrunner.runs.folder import RunFolder
    from cardrunner.runs.history import History, HistoryRow
    from cardrunner.runs.interrupts import StopRequest
    from cardrunner.runs.ledger import Ledger
    from cardrunner.runs.records import CheckpointRecord, Record
    from cardrunner.workspace import Workspace

# ---------------------------------------------------------------- what a workload computes, with torch


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One row of the expected-against-actual table. `expected` is None if the card does not state it."""

    name: str
    expected: str | None
    actual: str
    ok: bool
    severity: Severity = "error"
    """A row that is not ok ends the run if it is an error, and is shown if it is a warning."""
    note: str | None = None


class BatchDataset(Protocol):
    """A map-style dataset that answers a whole batch at once (torch's ``__getitems__`` convention)."""

    def __len__(self) -> int: ...
    def __getitems__(self, indices: Tensor) -> Batch: ...  # indices int64 (B,) -> tensors whose first axis is B


Batch = tuple["Tensor", ...]


@dataclass(frozen=True)
class Span:
    """Consecutive examples of one group, by their numbers in it: [first, beyond)."""

    group: int
    first: int
    beyond: int


class DeviceMemory(Protocol):
    """Memory of the training device, and the way data gets there. Used by one thread at a time."""

    @property
    def staged(self) -> bool: ...  # whether what is filled passes through a staging buffer in host memory
    def empty(self, *shape: int, dtype: torch.dtype) -> Tensor: ...  # allocated on the device
    # fills tensors on the device; `read` fills contiguous tensors of the host of the same shapes and types
    def fill(self, targets: Sequence[Tensor], read: Callable[[Sequence[Tensor]], None]) -> None: ...


@runtime_checkable
class GroupedDataset(BatchDataset, Protocol):
    """A `BatchDataset` whose examples are on disk group by group (a file, a document), and are read in spans.

    Such a dataset can be larger than memory, and can be kept on the training device.
    """

    def group_sizes(self) -> Tensor: ...  # int64 (G,) examples of each group, in the order of the example numbers
    def bytes_per_example(self) -> int: ...  # what an example takes in memory, on average, once it is read
    # the spans' examples, numbered from 0, in the memory of the device; may overwrite the memory of `reuse`
    def read(self, spans: Sequence[Span], bus: DeviceMemory, *, reuse: BatchDataset | None = None) -> BatchDataset: ...
    def foresee(self, spans: Sequence[Span]) -> None: ...  # a hint: these will be read next


@runtime_checkable
class PackedDataset(BatchDataset, Protocol):
    """A `BatchDataset` that can transfer a batch to a device in a smaller form."""

    def pack(self, indices: Tensor) -> Batch: ...  # as `__getitems__`, in narrow types
    def unpack(self, packed: Batch) -> Batch: ...  # on the device: what `__getitems__` returns


@runtime_checkable
class ReadsInBlocks(Protocol):
    """An optional part of `Data`, whose datasets are `GroupedDataset`s and are shuffled block by block."""

    block_bytes: int | None  # memory of a block; None: full shuffle


@dataclass(frozen=True)
class BatchScore:
    """The score of one batch. A metric's value over any set of batches is sum(numerators) / sum(denominators).

    Args:
        loss: scalar, the mean over the batch, differentiable.
        numerators: (M,) float, detached.
        denominators: (M,) float, detached; B for plain means, 0 for a metric without examples in the batch.
    """

    loss: Tensor
    numerators: Tensor
    denominators: Tensor


class Objective(Protocol):
    """Loss and metrics of a workload."""

    names: tuple[str, ...]  # M metric names without prefix; names[0] is the loss

    def score(self, outputs: Any, batch: Batch) -> BatchScore: ...  # outputs of `predict`, or of a trivial baseline
    def predict(self, model: nn.Module, batch: Batch) -> Any: ...  # one forward pass


class Data(Protocol):
    """Opened data: validated, memory-mapped, split."""

    train: BatchDataset
    validation: BatchDataset
    mode: str  # how it is read, such as "memory-mapped, full shuffle"

    def facts(self) -> Sequence[Fact]: ...  # expected against actual, every row
    def identity(self) -> Mapping[str, Any]: ...  # JSON: files with size and sha256, counts, encoding


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """The result of a demo."""

    files: tuple[Path, ...]
    summary: Mapping[str, Any]
    """JSON figures, shown unchanged in the results card."""
    data_match: DataMatch | None = None
    exhibits: tuple[Exhibit, ...] = ()


class Workload(Protocol):
    """The torch half of a workload (its ``workload.py``)."""

    spec: WorkloadSpec

    # raises IntegrityError, EnvironmentFailed
    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data: ...
    def build_model(self, card: Card) -> nn.Module: ...  # fresh weights from torch's global generator
    def objective(self, card: Card) -> Objective: ...
    # trivial baseline -> a predictor whose outputs `Objective.score` accepts
    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]: ...
    # the `config` of a checkpoint in the workload's own format
    def export_config(self, card: Card) -> Mapping[str, Any]: ...
    # None: the workload has no demo
    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None: ...


@runtime_checkable
class ExportsFields(Protocol):
    """A `Workload` that adds top-level fields to a checkpoint in its own format, beside the weights."""

    def export_fields(self, card: Card) -> Mapping[str, Any]: ...  # types that ``torch.load(weights_only=True)`` reads


class RunsItself(Protocol):
    """A workload that trains outside of the built-in loop; the stages ask it instead of opening data and a model.

    It has only `spec` of a `Workload`. Its history, checkpoints and records are those of any run.
    """

    spec: WorkloadSpec

    # what is to be compared with the card before it begins, beyond the data files' sizes and digests
    def facts(self, ctx: RunContext) -> Iterable[Fact]: ...
    # train from the newest checkpoint; writes history, manifest and ``stages/train.json``, and raises what ends a run
    def train(self, ctx: RunContext) -> None: ...
    # examine the best checkpoint; None without one
    def checked(self, ctx: RunContext) -> CheckpointRecord | None: ...
    # show the best checkpoint, as the card's demo says; None without one
    def shown(self, ctx: RunContext) -> DemoResult | None: ...
    # end the processes that a killed worker has left behind
    def end_left(self, folder: RunFolder) -> None: ...


def runs_itself(workload: object) -> RunsItself | None:
    """A workload, if it is one that runs itself."""
    parts = ("facts", "train", "checked", "shown", "end_left")
    return cast("RunsItself", workload) if all(callable(getattr(workload, part, None)) for part in parts) else None


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial of a card showed."""

    lines: tuple[str, ...]
    """For people."""
    paste: str
    """YAML for the card, whole fields of it; empty where it says everything that was seen."""
    summary: Mapping[str, Any]
    """The same as JSON."""
    complete: bool = False
    """Nothing more is to be learned from another trial than whether what was pasted is read."""
    exit_code: int = 0
    """0 if what the card declares came, and stop and resume went well."""
    problem: str | None = None
    """What is not well, with the next step."""


@runtime_checkable
class OffersTrial(Protocol):
    """A workload that runs itself, and can run a copy of a card's code unsigned in a folder that is thrown away."""

    # raises CardrunnerError: it cannot be started, or this process was asked to leave
    def trial(
        self, card: Card, workspace: Workspace, *, seconds: float, stop: StopRequest, progress: Progress
    ) -> TrialResult: ...


class PartwiseEncoder(Protocol):
    """A workload's tool that turns an archive of recordings into one data file, part by part, on many machines."""

    def find(self, places: Sequence[Path]) -> list[Path]: ...  # every recording below, in the order of the file
    # one part to one file, which is absent if no recording is readable; JSON: the result of each recording
    def encode(
        self, files: Sequence[Path], output: Path, *, drop_rollback: bool, workers: int, progress: Progress
    ) -> Mapping[str, Any]: ...
    # the parts, in order, to one file; JSON: its counts
    def join(self, parts: Sequence[Path], output: Path, *, drop_rollback: bool) -> Mapping[str, Any]: ...


# ---------------------------------------------------------------- running


Side = Literal["worker", "launcher"]
"""Where a stage runs: with the worker, on the machine with the data, or with the launcher, on the user's machine."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a stage made; the pipeline writes its `StageRecord` from it."""

    files: tuple[Path, ...] = ()
    """Files in the run folder."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """JSON figures, shown unchanged in the results card."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One attempt of one run, as given to its stages."""

    folder: RunFolder
    workspace: Workspace
    card: Card
    digest: str
    workload: Workload
    ledger: Ledger
    history: History
    stop: StopRequest
    """Set by a signal or by `cardrunner stop`; the training loop checks it after every step."""
    progress: Progress
    attempt: int
    """Counts from 1."""


class Stage(Protocol):
    """A step of the pipeline. Stages exchange data only through the run folder.

    `cardrunner.stages.base.BaseStage` has defaults for all but `name`, `side` and `run`.
    """

    @property
    def name(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def after(self) -> str | None: ...  # the built-in stage of its side after which it runs; None: the last one
    @property
    def long(self) -> bool: ...  # whether a request to stop ends the stage at once; else it completes first
    @property
    def record(self) -> type[Record]: ...  # the type of ``stages/NAME.json``
    # None from a stage that writes its record itself
    def run(self, ctx: RunContext) -> Made | None: ...
    # whether its results exist and are intact; `finish` repeats a launcher stage that is not done
    def done(self, folder: RunFolder, card: Card) -> bool: ...
    # what ledger and results card say if the card leaves it out: "the card asks for no demo"
    def absence(self, card: Card) -> str | None: ...
    # what the results card shows of its record: label -> JSON figure
    def outcome(self, record: Record) -> Mapping[str, Any]: ...
    # The rest is only used for launcher stages.
    # the checkpoints it reads, by their names in the manifest
    def checkpoints(self, card: Card) -> Sequence[str]: ...
    # whether it opens the run's data, and so runs where the data is
    def needs_data(self, card: Card) -> bool: ...
    # the files of the workspace it may read, by their paths there
    def reads(self, card: Card) -> Iterable[str]: ...
    # what to do on the user's machine after the stage ran on a remote platform
    def after_remote_run(self, ctx: RunContext) -> None: ...


@runtime_checkable
class Executor(Protocol):
    """Starts workers on a platform, and finds them again."""

    name: str
    survives_client: bool  # its jobs outlive the process that submitted them
    # download, demo and results card are made automatically; else by `cardrunner finish`
    finishes_unattended: bool
    start_seconds: float  # how long a submitted worker may take to begin, before it counts as lost

    def submit(self, folder: RunFolder) -> Job: ...  # raises EnvironmentFailed
    def attach(self, folder: RunFolder, job_id: str) -> Job: ...  # raises UsageError: not the id of such a job


@runtime_checkable
class SupervisedExecutor(Executor, Protocol):
    """An `Executor` of this machine, whose workers are children of a supervisor (`cardrunner.launching.supervisor`)."""

    def start_worker(self, folder: RunFolder) -> Popen[bytes]: ...  # raises EnvironmentFailed


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Recordings on a volume, and how to encode them."""

    places: tuple[str, ...]
    """Folders or files, as paths from the root of the volume."""
    output: str
    part_size: int = 500
    """Recordings per part. Parts that are encoded survive an interruption."""
    drop_rollback: bool = False


@runtime_checkable
class RemoteExecutor(Executor, Protocol):
    """An `Executor` on a remote platform, where its workers write their copy of the run folder."""

    # why the platform cannot be asked, such as a missing token; None if it can
    def unreachable_reason(self) -> str | None: ...
    # facts from the platform, cheapest first, without starting anything
    def preflight(self, card: Card, run: str) -> Iterator[Fact]: ...  # raises on a fault that would stop a launch
    # download a checkpoint of the manifest; its path
    def fetch(self, folder: RunFolder, file: str, *, progress: Progress) -> Path: ...
    # run a launcher stage where the data is; `files`: what it reads from the workspace, by path there
    def run_remotely(
        self, folder: RunFolder, card: Card, stage: str, files: dict[str, Path], *, progress: Progress
    ) -> None: ...
    # upload a file to a path on a volume, if its sha256 is the expected one; its sha256
    def upload(
        self, file: Path, *, volume: str, path: str, sha256: str | None, force: bool, progress: Progress
    ) -> str: ...
    # encode an archive on a volume to one data file there, on many machines; lines for people
    def encode(self, card: Card, archive: Archive, *, progress: Progress) -> Sequence[str]: ...
    # whether the folder on the volume is a run; raises EnvironmentFailed
    def has_run(self, volume: str, path: str) -> bool: ...
    # make the local folder of a run that another machine launched
    def adopt(self, runs: Path, run: str, *, volume: str, path: str) -> RunFolder: ...


class Job(Protocol):
    """A submitted worker: a future that another shell can attach to by its id.

    A run is watched only through its folder. For a remote run, `sync` updates the local copy. Callers call it before
    each read of the folder and once after the end, so it limits its own rate.
    """

    @property
    def id(self) -> str: ...
    def sync(self) -> None: ...  # raises EnvironmentFailed: the platform cannot be reached
    def wait(self) -> int: ...  # the worker's exit code, 128 + n if signal n ended it
    def running(self) -> bool: ...
    def stop(self, signal_number: int = 15) -> None: ...  # SIGINT and SIGTERM ask it to save, SIGKILL does not


@dataclass(frozen=True)
class Tracked:
    """Where a tracker keeps a run, returned by `Tracker.open`."""

    id: str
    """The tracker's own id of the run, the same in every attempt."""
    where: str
    """A URL or a folder."""
    mode: Literal["online", "offline"]
    later: str | None = None
    """The command that sends what was kept offline."""
    why: str | None = None
    """Why it is offline, if it was meant to be online."""
    rescue: str | None = None
    """The command that sends it again, if it was online and was cut off."""


class Tracker(Protocol):
    """Shows a run in another system. The history of the run is written in any case.

    A tracker runs in its own process (`cardrunner.launching.tracker_process`), which reads the run folder: it can be
    slow, fail or die without affecting the training. The values it is given hold no secrets of the environment.
    """

    def open(self, facts: TrackedRun) -> Tracked: ...  # raises EnvironmentFailed: it cannot track; may take long
    def log(self, row: HistoryRow) -> None: ...  # each (kind, step) once, in the order of the history
    def alert(self, title: str, text: str) -> None: ...  # something that people should look at
    def close(self, summary: Mapping[str, Any]) -> None: ...  # how it ended; a resume opens the same run again


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The facts about a run that `Tracker.open` is given."""

    run: str
    folder: Path
    """The run folder, where it may keep files."""
    settings: Any
    """Its section of the card: ``infra.tracking.NAME``."""
    config: Mapping[str, Any]
    """The effective card, and where this attempt runs, as JSON."""
    previous: Tracked | None
    """What `open` returned in an earlier attempt."""
    first_step: int
    """The step from which this attempt resumes."""
