"""What workloads and platforms declare about their cards, without torch or an SDK.

`cardrunner.contracts` exports all of it. It is a separate module because reading a card imports it at every start, and
needs no other contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from cardrunner.errors import UsageError
from cardrunner.specs import DataMatch, Derived, MetricSpec, Remark, TrivialBaseline

if TYPE_CHECKING:
    from pathlib import Path

    from cardrunner.card.prices import Price
    from cardrunner.card.schema.card import Card
    from cardrunner.card.schema.data import DataFiles
    from cardrunner.card.schema.infra import InfraBase
    from cardrunner.card.schema.plan import DemoSection
    from cardrunner.card.schema.training import ModelSection, TrainingBase
    from cardrunner.plugins import Plugin

S = TypeVar("S")


def narrowed(section: object, kind: type[S], *, workload: str) -> S:
    """A section of a card, as the section type of a workload.

    Raises:
        UsageError: the card was read with the sections of another workload.
    """
    if not isinstance(section, kind):
        raise UsageError(f"this is not a card of the workload {workload}; load it with that workload's sections")
    return section


class WorkloadSpec(Protocol):
    """The torch-free half of a workload (its ``spec.py``)."""

    name: str

    @property
    def data_section(self) -> type[DataFiles]: ...  # its `data:` fields
    @property
    def model_section(self) -> type[ModelSection]: ...  # its `model:` fields
    @property
    def training_section(self) -> type[TrainingBase]: ...  # its `training:` fields
    @property
    def metrics(self) -> tuple[MetricSpec, ...]: ...  # everything it computes, in the order of display
    @property
    def trivial_baselines(self) -> tuple[TrivialBaseline, ...]: ...

    def derive(self, card: Card) -> Iterable[Derived]: ...  # every stated number that follows from others
    def check(self, card: Card) -> Iterable[Remark]: ...  # other faults, such as an unknown architecture
    def examples(self, card: Card) -> tuple[int, int] | None: ...  # training and validation examples, where derivable
    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]: ...  # section -> rows (field, value)


@runtime_checkable
class FollowsCard(Protocol):
    """A `WorkloadSpec` whose metrics each card declares, so that it differs from card to card."""

    def for_card(self, card: Card) -> WorkloadSpec: ...  # reads the card when it is asked for something


def spec_for(spec: WorkloadSpec, card: Card) -> WorkloadSpec:
    """The spec of a workload as it is for a card: its metrics are those of the runs of this card."""
    return spec.for_card(card) if isinstance(spec, FollowsCard) else spec


@runtime_checkable
class ChecksFiles(Protocol):
    """A `WorkloadSpec` that compares a card with the files of its workspace, where it is read from its own file."""

    def check_files(self, card: Card, workspace: Path) -> Iterable[Remark]: ...


@runtime_checkable
class OwnsDemo(Protocol):
    """A `WorkloadSpec` whose cards have fields of its own under `after_training.demo`."""

    demo_section: type[DemoSection]


@runtime_checkable
class OffersStarter(Protocol):
    """A `WorkloadSpec` that has a card for `cardrunner new`."""

    def starter(self) -> str: ...  # a whole valid card with comments, unsigned, of a run called my-run


@runtime_checkable
class OffersExamples(Protocol):
    """A `WorkloadSpec` with examples of fields that its starter leaves out; editors show them."""

    def field_examples(self) -> str: ...  # YAML of a card's sections, which need not be a whole card


@runtime_checkable
class WordsFields(Protocol):
    """A `WorkloadSpec` that lists the fields covered by `describe`; the review page shows the others by name."""

    worded: Mapping[str, Sequence[str]]  # section -> its own fields, such as {"data": ("rows", "columns")}


@runtime_checkable
class ForeseesData(Protocol):
    """A `WorkloadSpec` that knows before any file is open how the data will be read; the plan shows it."""

    def data_mode(self, card: Card) -> str | None: ...  # such as "memory-mapped, full shuffle"; None: unknown


@runtime_checkable
class ProvesWord(Protocol):
    """A `WorkloadSpec` whose training is a script's: what its card asks for to prove the script's word."""

    def stated_facts(self, card: Card) -> Mapping[str, str]: ...  # row of the training record -> what it has to be
    def measured_again(self, card: Card) -> Sequence[str]: ...  # metrics that the checkpoint stage has to measure


@runtime_checkable
class ForeseesCommand(Protocol):
    """A `WorkloadSpec` whose runs are a command line; the plan shows it."""

    # for the run folder that it will have, and the workspace with its code
    def command_lines(self, card: Card, run: Path, workspace: Path) -> Sequence[str]: ...


@runtime_checkable
class KnowsObstacles(Protocol):
    """A `WorkloadSpec` that knows before the launch what would keep a run from starting on this machine."""

    def obstacle(self, card: Card, workspace: Path) -> str | None: ...  # a sentence that begins with its place


@runtime_checkable
class StartsCommand(OffersStarter, Protocol):
    """A `WorkloadSpec` whose new cards can run a command line as people type it."""

    # as `starter`, for a command line that is typed in a folder of a workspace
    def starter_of(self, command: Sequence[str], *, folder: Path, workspace: Path) -> str: ...
    def next_steps(self, card: str) -> Sequence[str]: ...  # commands from a new card (its path) to its launch


@runtime_checkable
class ForeseesMatch(Protocol):
    """A `WorkloadSpec` that knows before the launch whether the models of the demo were trained on the same data."""

    def data_match(self, card: Card, workspace: Path) -> DataMatch | None: ...  # None: the card asks for no demo


@runtime_checkable
class UsesPlugins(Protocol):
    """A `WorkloadSpec` that has plug-ins of its own kinds; the environment of a run names them."""

    def used_plugins(self, card: Card) -> Sequence[Plugin]: ...  # those that a run of the card uses


class Storage(NamedTuple):
    """Where a remote platform keeps runs and their data, according to a card."""

    volume: str
    checkpoints: str
    """The folder on the volume that holds run folders."""
    title: str
    """Its name for people: ``Modal volume runs``."""

    def folder_of(self, run: str) -> str:
        """The folder of a run on the volume."""
        return f"{self.checkpoints.rstrip('/')}/{run}"


class Assumption(NamedTuple):
    """Something that a plan cannot check."""

    what: str
    """``whether T4 is free``."""
    why: str
    """Why it is not checked."""


class PlatformSpec(Protocol):
    """What a platform declares without its SDK (the `spec` of its `cardrunner.card.platforms.PlatformEntry`).

    An argument `infra` is an instance of its section class, and a `card` has such a section.
    """

    name: str  # as `infra.platform` has it
    infra: type[InfraBase]  # its `infra:` fields
    free: bool  # without a price in the card, time on it is free
    resumes_after_timeout: bool  # its retries continue an attempt that reached its timeout

    def executor_of(self, infra: Any) -> str: ...  # the executor that the card chooses
    def detaches(self, infra: Any) -> bool: ...  # a launch returns once the run trains, even without --detach
    def storage(self, infra: Any) -> Storage | None: ...  # None: runs and data are on this machine
    def prices(self) -> Mapping[str, Price]: ...  # by resource; empty without a price table
    def check(self, card: Card) -> Iterable[Remark]: ...  # faults of a card for it
    def title(self, infra: Any) -> str: ...  # the row Platform of the review page
    def rows(self, infra: Any) -> Sequence[tuple[str, str]]: ...  # further rows there (field, value)
    # what a plan cannot check; `offline`: why the platform was not asked, None if it was
    def unchecked(self, card: Card, *, offline: str | None) -> Iterable[Assumption]: ...


@runtime_checkable
class CarriesCode(Protocol):
    """A `PlatformSpec` whose runs are on other machines, and which takes the code of a script there."""

    carried: Carried

    def unpinned(self, infra: Any) -> Iterable[Remark]: ...  # packages that it would install in any version


class Carried(NamedTuple):
    """What of a card with code is on the machines of a platform."""

    folders: tuple[str, ...]
    """Absolute paths that exist there, such as where the volume is mounted."""
    largest_file: int
    """Bytes that one file of the code may have."""
    largest_code: int
    """Bytes that all of them may have."""
