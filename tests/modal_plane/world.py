"""What the plane remembers: apps, functions, calls, containers, volumes, secrets."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import grpclib
from modal_proto import api_pb2 as pb

T = TypeVar("T")
Fate = Literal["", "preempted", "lost", "timed out"]


class Process(Protocol):
    """A container's process."""

    pid: int

    def poll(self) -> int | None: ...  # the exit code; None while it runs


@dataclass(eq=False)
class LogLine:
    """A line that a container printed."""

    text: str
    descriptor: int
    call: str
    container: str
    function: str
    at: float = field(default_factory=time.time)


@dataclass(eq=False)
class App:
    """An app; detached ones outlive their client while a call is unfinished."""

    id: str
    name: str
    state: int
    tags: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    logs: list[LogLine] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    created: float = field(default_factory=time.time)
    stopped: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it was stopped."""
        return self.state == pb.APP_STATE_STOPPED


@dataclass(eq=False)
class Function:
    """A function of an app, with what was recorded of it."""

    id: str
    name: str
    kind: int
    app: App
    definition: pb.Function = field(default_factory=pb.Function)
    data: pb.FunctionData = field(default_factory=pb.FunctionData)


@dataclass(eq=False)
class Input:
    """One input of a call, with every attempt at it."""

    id: str
    index: int
    call: Call
    value: pb.FunctionInput
    retries: int = 0
    attempts: list[str] = field(default_factory=list)
    """How each ended."""


@dataclass(eq=False)
class Call:
    """A function call. `outputs` are in the order in which inputs ended."""

    id: str
    function: Function
    kind: int
    inputs: list[Input] = field(default_factory=list)
    outputs: list[pb.FunctionGetOutputsItem] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    cancelled: bool = False
    created: float = field(default_factory=time.time)

    @property
    def is_over(self) -> bool:
        """Whether every input has its output."""
        return len(self.outputs) == len(self.inputs) > 0

    @property
    def attempts(self) -> list[str]:
        """How the attempts at its first input ended."""
        return self.inputs[0].attempts


@dataclass(eq=False)
class Volume:
    """A volume; `folder` holds what is committed."""

    id: str
    name: str
    version: int
    folder: Path

    def path(self, name: str) -> Path:
        """The place of a file in it."""
        place = (self.folder / name.lstrip("/")).resolve()
        if not place.is_relative_to(self.folder.resolve()):
            refuse(grpclib.Status.INVALID_ARGUMENT, "path escapes the volume")
        return place


@dataclass(eq=False)
class Mounted:
    """A container's private copy of a volume, and what of it the volume has already: name to (size, mtime)."""

    volume: Volume
    folder: Path
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(eq=False)
class Container:
    """A container at work on one input."""

    id: str
    input: Input
    folder: Path
    mounted: dict[str, Mounted] = field(default_factory=dict)
    process: Process | None = None
    family: set[int] = field(default_factory=set)
    """Every process that was started in it."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    told: bool = False
    began: float = 0.0
    """When it took its input."""
    output: pb.FunctionPutOutputsItem | None = None
    fate: Fate = ""

    @property
    def function(self) -> Function:
        """What it runs."""
        return self.input.call.function


@dataclass
class Faults:
    """Trouble on demand."""

    commits: int = 0
    """So many commits fail."""
    forget: bool = False
    """Commits answer as ever and publish nothing: what a container does that forgets them."""
    forgotten: int = 0
    """So many did."""
    commits_full: bool = False
    """Every commit finds the volume full."""
    short_reads: int = 0
    """So many reads of weights come back short."""
    limits: dict[str, int] = field(default_factory=dict)
    """Fields of a function definition that the service records otherwise than it was told."""
    mute_spawns: bool = False
    """A call is taken, and its client never hears of it."""
    hold: bool = False
    """No machine with a GPU is free."""
    refuse_spawns: bool = False
    """A call to a function with a GPU is refused."""
    refuse_calls_to: str = ""
    """Calls to a function of this name are refused."""
    skews: list[float] = field(default_factory=list)
    """By how many seconds the clocks of the next containers run ahead, one after the other; of forked ones only."""


@dataclass(eq=False)
class World:
    """Everything, by id."""

    root: Path
    tokens: set[tuple[str, str]]
    apps: dict[str, App] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    running: set[Container] = field(default_factory=set)
    volumes: dict[str, Volume] = field(default_factory=dict)
    secrets: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    images: dict[str, pb.Image] = field(default_factory=dict)
    mounts: dict[str, list[pb.MountFile]] = field(default_factory=dict)
    downloads: dict[str, bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    counts: Counter[str] = field(default_factory=Counter)
    after_commit: list[Callable[[Container], None]] = field(default_factory=list)
    """Told of every container that has committed."""
    http: str = ""
    grace: float = 5.0
    """Seconds between one signal and the next, harder one."""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def new_id(self, kind: str) -> str:
        """A fresh id, such as ``ap-0000000000000000000001``."""
        return f"{kind}-{next(self._numbers):022d}"

    def place(self, kind: str, key: str) -> Path:
        """Where uploaded bytes are kept."""
        return self.root / kind / key

    def add_volume(self, name: str, version: int) -> Volume:
        """Make a volume."""
        number = self.new_id("vo")
        folder = self.root / "volumes" / number
        folder.mkdir(parents=True)
        self.volumes[number] = Volume(number, name, version or 1, folder)
        return self.volumes[number]

    def volume_of(self, name: str) -> Volume | None:
        """The volume of a name."""
        return next((volume for volume in self.volumes.values() if name and volume.name == name), None)


def found(table: Mapping[str, T], key: str, what: str) -> T:
    """The entry, or the service's own refusal."""
    if key not in table:
        refuse(grpclib.Status.NOT_FOUND, f"{what} {key!r} not found")
    return table[key]


def refuse(status: grpclib.Status, message: str) -> None:
    """Answer with an error."""
    raise grpclib.GRPCError(status, message)
