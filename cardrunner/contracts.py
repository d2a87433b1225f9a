"""The contracts between the rooms: what a workload, an executor, a stage and a tracker must offer.

Read this first. Everything here is a Protocol, or a frozen value that crosses a border. What a workload says about
itself without torch stands in `cardrunner.specs` and can be had from here too. Shape letters used throughout:

    B  examples in a batch          M  metrics of an objective
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from cardrunner.specs import (
    DataMatch as DataMatch,
    Derived as Derived,
    Direction as Direction,
    ForeseesData as ForeseesData,
    ForeseesMatch as ForeseesMatch,
    Location as Location,
    MetricNames as MetricNames,
    MetricSpec as MetricSpec,
    OffersStarter as OffersStarter,
    Remark as Remark,
    Severity as Severity,
    TrivialBaseline as TrivialBaseline,
    WorkloadSpec as WorkloadSpec,
)

if TYPE_CHECKING:  # types only: the rooms below import this one, never the other way round
    from subprocess import Popen

    from torch import Tensor, nn

    from cardrunner.card.schema.card import Card
    from cardrunner.runs.context import RunContext
    from cardrunner.runs.folder import RunFolder
    from cardrunner.runs.history import HistoryRow
    from cardrunner.runs.records import Record
    from cardrunner.training.device_copy import Bus

# ---------------------------------------------------------------- what a workload computes, with torch


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One row of the expected-against-actual table. `expected` is None where the card says nothing."""

    name: str
    expected: str | None
    actual: str
    ok: bool
    severity: Severity = "error"
    """An error that is not ok closes the run; a warning is shown."""
    note: str | None = None


class BatchDataset(Protocol):
    """A map-style dataset that answers a whole batch at once (torch's ``__getitems__`` convention)."""

    def __len__(self) -> int: ...
    def __getitems__(self, indices: Tensor) -> Batch: ...  # indices int64 (B,) -> tensors whose first axis is B


Batch = tuple["Tensor", ...]


@dataclass(frozen=True)
class Span:
    """Consecutive examples of one group: numbers [first, beyond) inside the group."""

    group: int
    first: int
    beyond: int


@runtime_checkable
class GroupedDataset(BatchDataset, Protocol):
    """A `BatchDataset` whose examples lie on disk group by group (a game, a document), and can be read so.

    With it a dataset can be trained from files larger than memory, and can live on the device that trains.
    """

    def group_sizes(self) -> Tensor: ...  # int64 (G,) examples of each group, in the order of the example numbers
    def bytes_per_example(self) -> int: ...  # what an example takes in memory, on average, once it is read
    # the spans' examples, numbered through, in the memory of bus.device; may overwrite what `reuse` answered from
    def read(self, spans: Sequence[Span], bus: Bus, *, reuse: BatchDataset | None = None) -> BatchDataset: ...
    def foresee(self, spans: Sequence[Span]) -> None: ...  # a hint: these are read next


@runtime_checkable
class PackedDataset(BatchDataset, Protocol):
    """A `BatchDataset` that can send a batch to a device in fewer bytes than the batch has there."""

    def pack(self, indices: Tensor) -> Batch: ...  # as `__getitems__`, in narrow types
    def unpack(self, packed: Batch) -> Batch: ...  # on the device: what `__getitems__` answers


@runtime_checkable
class ReadsInBlocks(Protocol):
    """An optional part of `Data`: says that its datasets, then `GroupedDataset`, are shuffled block by block."""

    block_bytes: int | None  # memory of a block; None: full shuffle


@dataclass(frozen=True)
class BatchScore:
    """The score of one batch. A metric's value over any set of batches is sum(numerators) / sum(denominators).

    Args:
        loss: scalar, the mean over the batch, differentiable.
        numerators: (M,) float, detached.
        denominators: (M,) float, detached; B for plain means, 0 where a metric has nothing to count.
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
class ExhibitRow:
    """One row of an `Exhibit`: the same thing read off each of the things compared."""

    name: str
    values: tuple[float | None, ...]
    """One for each column; None where nothing could be read."""
    unit: str = ""
    percent: bool = False
    """Shown as a percentage."""
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve or one set of bars of a `Chart`."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A plot over named places: ``bars`` for things, ``steps`` for those that follow one another, as in a histogram."""

    title: str
    unit: str
    kind: Literal["bars", "steps"]
    places: tuple[str, ...]
    series: tuple[Series, ...]
    """The values of each are as many as the places."""
    percent: bool = False

    def __post_init__(self) -> None:
        if any(len(series.values) != len(self.places) for series in self.series):
            raise ValueError(f"the chart {self.title} has {len(self.places)} places and a series of another length")


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A comparison that a workload wants in the results card: sentences, a table, plots. JSON throughout."""

    title: str
    sentences: tuple[str, ...]
    """What is to be seen, plainly; the first one is the answer."""
    columns: tuple[str, ...] = ()
    """What is compared."""
    readings: tuple[ExhibitRow, ...] = ()
    charts: tuple[Chart, ...] = ()

    def __post_init__(self) -> None:
        if any(len(reading.values) != len(self.columns) for reading in self.readings):
            raise ValueError(f"the table {self.title} has {len(self.columns)} columns and a row of another length")


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What a demo left in its folder."""

    files: tuple[Path, ...]
    summary: Mapping[str, Any]
    """JSON figures, shown in the results card as they are."""
    data_match: DataMatch | None = None
    exhibits: tuple[Exhibit, ...] = ()


class Workload(Protocol):
    """The torch half of a workload (its ``workload.py``)."""

    spec: WorkloadSpec

    # raises IntegrityError, EnvironmentFailed
    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data: ...
    def build_model(self, card: Card) -> nn.Module: ...  # fresh weights from torch's global generator
    def objective(self, card: Card) -> Objective: ...
    # trivial baseline -> predictor giving what `Objective.score` takes
    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]: ...
    # the `config` of a checkpoint in the workload's own format
    def export_config(self, card: Card) -> Mapping[str, Any]: ...
    # None: it has none
    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None: ...


@runtime_checkable
class ExportsFields(Protocol):
    """A `Workload` may keep fields of its own beside the weights, at the top of a checkpoint in its own format."""

    def export_fields(self, card: Card) -> Mapping[str, Any]: ...  # types that ``torch.load(weights_only=True)`` reads


class PartwiseEncoder(Protocol):
    """A workload's tool that turns an archive of recordings into one data file, part by part, on many machines."""

    def find(self, places: Sequence[Path]) -> list[Path]: ...  # every recording below, in the order of the file
    # one part, an own file that may be absent where nothing could be read; JSON of what became of each recording
    def encode(
        self, files: Sequence[Path], output: Path, *, drop_rollback: bool, workers: int, progress: Progress
    ) -> Mapping[str, Any]: ...
    # the parts in their order as one file; JSON of its counts
    def join(self, parts: Sequence[Path], output: Path, *, drop_rollback: bool) -> Mapping[str, Any]: ...


# ---------------------------------------------------------------- running


class Progress(Protocol):
    """Shows long work to people; a no-op when output is piped."""

    def stage(self, name: str) -> None: ...
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> AbstractContextManager[Task]: ...
    def note(self, text: str) -> None: ...  # one line that stays


class Task(Protocol):
    """One bar of a `Progress`."""

    def advance(self, amount: int = 1, *, info: str = "") -> None: ...


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """A run at a moment, as people watch it; None where nobody knows yet."""

    run: str
    stage: str
    attempt: int
    epoch: int
    epochs: int
    step: int
    examples: int
    """Trained on so far."""
    total: int | None
    """Examples of all epochs."""
    metrics: str
    """The newest ones in a few words."""
    examples_per_second: float | None
    seconds_left: float | None
    spent: float | None
    """Dollars so far, of all attempts."""
    projected: float | None
    """Dollars at the end, at this pace."""
    budget: float | None
    thresholds: tuple[str, ...]
    """The kill thresholds that are nearest to firing."""
    warning: str | None = None
    """What should worry people now."""


class Board(Protocol):
    """Where a run is shown while it goes."""

    def show(self, snapshot: Callable[[], RunSnapshot]) -> None: ...  # called twice a second; calls it only to draw


@runtime_checkable
class ShowsRuns(Protocol):
    """A `Progress` may also have a place for a whole run."""

    def board(self) -> AbstractContextManager[Board]: ...


Side = Literal["worker", "launcher"]
"""Where a stage runs: on the machine with the data, or on the one with the people."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a stage made, for its record."""

    files: tuple[Path, ...] = ()
    """In the run folder."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """JSON figures, shown in the results card as they are."""


class Stage(Protocol):
    """A step of the pipeline. Stages speak to each other only through the run folder.

    `cardrunner.stages.base.BaseStage` has defaults for all but `name`, `side` and `run`.
    """

    @property
    def name(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def after(self) -> str | None: ...  # the built-in stage of its side that it follows; None: the last one
    @property
    def long(self) -> bool: ...  # whether a request to end the run ends it at once, rather than after it
    @property
    def record(self) -> type[Record]: ...  # what it leaves in ``stages/NAME.json``
    # None where it writes its record itself
    def run(self, ctx: RunContext) -> Made | None: ...
    # whether what it has to leave is there and whole; `finish` repeats a stage of the launcher's side that is not done
    def done(self, folder: RunFolder, card: Card) -> bool: ...
    # what the ledger and the results card say where the card leaves it out: "the card asks for no demo"
    def absence(self, card: Card) -> str | None: ...
    # what the results card shows of its record: label -> JSON figure
    def outcome(self, record: Record) -> Mapping[str, Any]: ...
    # The rest is asked only of stages of the launcher's side.
    # the checkpoints that it reads, by their names in the manifest
    def checkpoints(self, card: Card) -> Sequence[str]: ...
    # whether it opens the run's data, and so runs where the data is
    def needs_data(self, card: Card) -> bool: ...
    # the files of the workspace that it may read, by their paths there
    def reads(self, card: Card) -> Iterable[str]: ...
    # what is left for this side once it has run where the data is
    def after_remote_run(self, ctx: RunContext) -> None: ...


@runtime_checkable
class Executor(Protocol):
    """A place where a worker can run."""

    name: str
    survives_client: bool  # its jobs go on without the process that submitted them
    # download, demo and results card are made without anybody asking; else `cardrunner finish` makes them
    finishes_unattended: bool
    start_seconds: float  # how long a submitted worker may take until it is heard of, before it counts as lost

    def submit(self, folder: RunFolder) -> Job: ...  # raises EnvironmentFailed
    def attach(self, folder: RunFolder, job_id: str) -> Job: ...  # raises UsageError: not the id of such a job


@runtime_checkable
class SupervisedExecutor(Executor, Protocol):
    """An `Executor` of this machine, whose workers are children of a supervisor (`cardrunner.launching.supervisor`)."""

    def start_worker(self, folder: RunFolder) -> Popen[bytes]: ...  # raises EnvironmentFailed


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Recordings on a volume, and what is to become of them."""

    places: tuple[str, ...]
    """Folders or files, from the root of the volume."""
    output: str
    part_size: int = 500
    """Recordings in a part; parts are what is not done again after an interruption."""
    drop_rollback: bool = False


@runtime_checkable
class RemoteExecutor(Executor, Protocol):
    """An `Executor` on a platform of its own, whose workers write another copy of the run folder there."""

    # why the platform cannot be asked from here, such as a missing token; None when it can be tried
    def unreachable_reason(self) -> str | None: ...
    # what was asked of the platform and found, cheapest first, without starting anything
    def preflight(self, card: Card, run: str) -> Iterator[Fact]: ...  # raises what would stop a launch
    # a checkpoint of the manifest, brought here; its path
    def fetch(self, folder: RunFolder, file: str, *, progress: Progress) -> Path: ...
    # a stage of this side, run where the data is; `files` are what it reads from the workspace, by their path there
    def run_remotely(
        self, folder: RunFolder, card: Card, stage: str, files: dict[str, Path], *, progress: Progress
    ) -> None: ...
    # a file here to a place on a volume, if it has the sha256 that is expected; its sha256
    def upload(
        self, file: Path, *, volume: str, path: str, sha256: str | None, force: bool, progress: Progress
    ) -> str: ...
    # an archive on a volume to one data file there, in many machines; lines about it
    def encode(self, card: Card, archive: Archive, *, progress: Progress) -> Sequence[str]: ...
    # whether a run lives there; raises EnvironmentFailed
    def has_run(self, volume: str, path: str) -> bool: ...
    # the folder here of a run that another machine launched
    def adopt(self, runs: Path, run: str, *, volume: str, path: str) -> RunFolder: ...


class Job(Protocol):
    """A submitted worker: a future that another shell can attach to by its id.

    Whoever watches knows a run only through its folder. Where the worker writes another copy of it, `sync` brings this
    one up to date; everybody calls it before each look and once more after the end, so it keeps its own pace.
    """

    @property
    def id(self) -> str: ...
    def sync(self) -> None: ...  # raises EnvironmentFailed: the other copy cannot be reached now
    def wait(self) -> int: ...  # the worker's exit code, 128 + n where signal n ended it
    def running(self) -> bool: ...
    def stop(self, signal_number: int = 15) -> None: ...  # SIGINT and SIGTERM ask it to save, SIGKILL does not


@dataclass(frozen=True)
class Tracked:
    """Where a tracker keeps a run, said once it does."""

    id: str
    """The tracker's own id of the run, the same in every attempt."""
    where: str
    """A URL or a folder."""
    mode: Literal["online", "offline"]
    later: str | None = None
    """The command that sends what was kept offline."""
    why: str | None = None
    """Why it is offline, where it was meant to be online."""
    rescue: str | None = None
    """The command that sends it again where it was online and was cut off."""


class Tracker(Protocol):
    """Shows a run to people somewhere else; the run's own history is always written besides.

    A tracker lives in a process of its own (`cardrunner.launching.tracker_process`), which reads the run folder: it can
    be slow, fail or die without the training noticing. Nothing it is given holds a secret of the environment.
    """

    def open(self, facts: TrackedRun) -> Tracked: ...  # raises EnvironmentFailed: it cannot track; may take long
    def log(self, row: HistoryRow) -> None: ...  # each (kind, step) once, in the order of the history
    def alert(self, title: str, text: str) -> None: ...  # something wants people's eyes
    def close(self, summary: Mapping[str, Any]) -> None: ...  # how it ended; a resume opens the same run again


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run when it opens it."""

    run: str
    folder: Path
    """Where it may keep files."""
    settings: Any
    """Its own part of the card: ``infra.tracking.NAME``."""
    config: Mapping[str, Any]
    """The effective card, and where this attempt runs, as JSON."""
    previous: Tracked | None
    """What an earlier attempt was told."""
    first_step: int
    """The step that this attempt goes on from."""
