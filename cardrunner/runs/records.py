"""The JSON records of a run folder. The results card is rendered from these alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardrunner.common.redaction import hide_in
from cardrunner.common.text import listed, plural
from cardrunner.errors import IntegrityError
from cardrunner.runs.damage import Damage
from cardrunner.runs.exhibits import Exhibit
from cardrunner.runs.files import read_regular, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lines import LinesAnchor

State = Literal["starting", "running", "completed", "stopped", "investigate", "failed", "interrupted", "timed_out"]


class Record(BaseModel):
    """A frozen JSON record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class FactRow(Record):
    """A row of the expected-against-actual table; see `cardrunner.contracts.Fact`."""

    name: str
    expected: str | None
    actual: str
    ok: bool
    severity: Literal["error", "warning"] = "error"
    note: str | None = None


class LaunchedCode(Record):
    """The code that launched a remote run, whose worker has no git repository."""

    git_commit: str | None
    git_dirty: bool | None
    code_sha256: str | None


class LaunchRecord(Record):
    """``launch.json``: what a worker needs besides the frozen card."""

    run: str
    workload: str
    workspace: str
    executor: str
    card_file: str
    card_digest: str
    signed_by: tuple[str, ...]
    repeat_of: str | None = None
    created: str
    code: LaunchedCode | None = None
    """Only for a remote run."""
    floors: tuple[str, ...] = ()
    """The ``cardrunner.yaml`` files that applied, the workspace's own first."""
    recorded: bool = False
    """Whether the workspace has a record of the admission; False in folders of earlier versions."""


class KeptPatch(Record):
    """The changes of the code since its commit."""

    sha256: str
    """Of the patch with secrets hidden."""
    bytes: int
    whole: bool
    """Whether ``code.patch`` has it; False for one that is too large."""
    hidden: bool
    """Whether secrets of the environment were hidden in it."""


class KeptCode(Record):
    """``code.json``: the copy of a script's code that the launch made, from which every attempt runs."""

    folder: str
    """Its folder in ``code/``."""
    files: tuple[str, ...]
    """What the digest is over, relative to that folder."""
    sha256: str
    commit: str | None
    """The git commit that was checked out; None without git."""
    changed: tuple[str, ...] | None = None
    """The files that differ from that commit; None without git, and in records of earlier versions."""
    patch: KeptPatch | None = None
    sums: dict[str, str] = Field(default_factory=dict)
    """The sha256 of each file, so that one that changes can be named."""

    @property
    def state(self) -> str:
        """``commit 3adf61e, 3 files changed since``."""
        return code_state(self.commit, self.changed)


def code_state(commit: str | None, changed: Sequence[str] | None) -> str:
    """Code in words: its commit, and how many files differ from it."""
    if commit is None:
        return "not in a git commit"
    since = "" if changed is None else f", {plural(len(changed), 'file')} changed since" if changed else ", unchanged"
    return f"commit {commit[:12]}{since}"


class InterpreterRecord(Record):
    """``interpreter.json``: what is installed in the interpreter of a script, as it said at the newest attempt."""

    attempt: int
    program: str | None
    """Its path; None for a program that is no Python script."""
    version: str | None
    packages: dict[str, str]
    """Normalized name -> version."""
    sha256: str | None
    """Over these, as JSON with sorted keys; None where it did not say."""
    custom: dict[str, str] = Field(default_factory=dict)
    """Files that it runs at every start, such as sitecustomize.py -> sha256."""
    search: tuple[str, ...] = ()
    """PYTHONPATH as the script gets it: folders of the workspace's code are replaced by those of the copy."""
    outside: tuple[str, ...] = ()
    """Folders that it imports code from, by PYTHONPATH or an editable install, which no signature covers."""
    problem: str | None = None
    """Why it did not say."""
    changes: tuple[str, ...] = ()
    """What differed from the attempts before, a sentence for each attempt."""


class RemoteRun(Record):
    """``elsewhere.json``: a remote run, whose worker writes the run folder on its platform.

    Written before anything is started there, and updated with each step.
    """

    executor: str
    submission: str
    """The id of one submission, which tells its containers from those of others."""
    volume: str
    path: str
    """The run's folder on the volume."""
    app: str | None = None
    function: str | None = None
    call: str | None = None
    """None until it is known. A client that died in between may have started a call nevertheless."""
    workspace: str | None = None
    """The local workspace, if another machine launched the run."""
    page: str | None = None
    """The platform's own page about it."""
    live: bool = True
    """Whether it was alive when the platform was last asked."""
    ending: str | None = None
    """How it ended, according to the platform."""
    exit_code: int | None = None
    """The result of its last container; None if that was lost, cancelled or never began."""
    seen: str
    """When the platform was last asked."""


class CheckRow(Record):
    """A check of the checklist, run at the launch."""

    item: int
    """Counts from 1."""
    check: str
    """The command line, or the name of the built-in."""
    ok: bool
    ending: str
    """How it ended, such as ``exit code 0 after 0.3 s``."""
    output: str
    """The end of its output."""
    seconds: float
    at: str


class ChecksRecord(Record):
    """``checks.json``: the results of the checks at the launch."""

    rows: tuple[CheckRow, ...]


class GitTree(Record):
    """What a workspace holds beside its commit; ignored files do not count."""

    changed: int
    """Files that the commit has otherwise."""
    untracked: int
    """Files that it does not have, without those under ``.cardrunner/`` and in run folders."""
    admissions: int
    """Files under ``.cardrunner/`` that it does not have, or has otherwise."""
    card: Literal["committed", "changed", "untracked"] | None = None
    """The card's own file; None where it is not in this repository."""


class PluginCode(Record):
    """A package whose plug-ins a run uses."""

    package: str
    version: str
    adds: tuple[str, ...]
    """What it adds to this run, such as ``kill rule rises_by``."""
    sha256: str
    """The digest of its sources; see `cardrunner.runs.environment.code_sha256`."""


class Environment(Record):
    """Where an attempt ran."""

    python: str
    platform: str
    hostname: str
    cpu: str
    cores: int
    memory_bytes: int
    device: str
    threads: int
    packages: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    git_tree: GitTree | None = None
    """What makes it dirty; None where there is no git, and in records of earlier versions."""
    code_sha256: str | None = None
    """The digest of cardrunner's sources; see `cardrunner.runs.environment.code_sha256`."""
    plugins: tuple[PluginCode, ...] = ()
    """The other packages that the run uses, by name."""


class ImageRecord(Record):
    """What the image of a container was made from."""

    python: str
    """``3.11``."""
    packages: tuple[str, ...]
    """The lines that pip installed: those of cardrunner and its plug-ins, of the lock file, and of the card."""
    system_packages: tuple[str, ...]
    sources: str
    """The digest of cardrunner's sources; see `cardrunner.runs.environment.code_sha256`."""
    plugins: tuple[PluginCode, ...] = ()
    """The other packages whose sources it holds."""
    code: str | None = None
    """The digest of the script's code in it; None for a run without code of its own."""
    sha256: str
    """Over all of these, as JSON with sorted keys."""


DigestOrigin = Literal["computed", "remembered"]


class LoadRecord(Record):
    """``stages/load.json``: the opened data, compared with the card."""

    mode: str
    train_examples: int
    val_examples: int
    seconds: float
    identity: dict[str, Any]
    facts: tuple[FactRow, ...]
    digests: dict[str, DigestOrigin] = Field(default_factory=dict)
    """File, as the card names it -> whether this attempt computed its sha256 from the bytes. A pinned one always is."""


STATE = "state"
"""The role of a checkpoint from which training can resume."""
BEST, LATEST = "best", "latest"
"""The roles of the chosen checkpoint and of the newest one."""


class BestRecord(Record):
    """The best checkpoint so far and the metric that chose it."""

    metric: str
    mode: Literal["min", "max"]
    value: float
    epoch: int
    step: int


class BatchSplit(Record):
    """A step that ran out of memory, and how batches are split from there on."""

    step: int
    pieces: int
    """The number of pieces in which a batch goes through the model."""


class TrainRecord(Record):
    """``stages/train.json``; rewritten at every validation, so that it survives a run that dies."""

    epochs_planned: int
    """0 where epochs are not counted."""
    epochs_done: int
    steps: int
    steps_per_epoch: int
    examples: int
    parameters: int | None
    """None where the script does not say it."""
    device: str
    precision: str
    threads: int
    """Of each process."""
    reported: bool = False
    """Whether a script trained, which reported its figures; epochs, examples and the like are then left at 0."""
    ended: bool | None = None
    """Whether such a script has ended by itself, trained to its end."""
    processes: int = 1
    batch_size: int | None = None
    """Per forward pass and process."""
    effective_batch: int | None = None
    """Examples per optimizer step, of all processes and accumulated batches together."""
    splits: tuple[BatchSplit, ...] = ()
    seconds: float
    """Training and validation, without start-up, over all attempts."""
    train_seconds: float
    wait_seconds: float
    """The part of `train_seconds` spent waiting for batches."""
    best: BestRecord | None
    baselines: dict[str, dict[str, float]]
    """Trivial baseline -> validation metric -> value."""
    weights_sha256: str | None
    notes: tuple[str, ...] = ()
    facts: tuple[FactRow, ...] = ()
    """What such a script said of itself, against the card."""

    @property
    def done(self) -> bool:
        """Whether everything is trained."""
        return self.epochs_done >= self.epochs_planned if self.ended is None else self.ended


class CheckpointRecord(Record):
    """``stages/checkpoint.json``: the best weights, reloaded into a fresh model and validated again."""

    file: str
    sha256: str
    weights_sha256: str
    epoch: int
    recorded: dict[str, float]
    measured: dict[str, float]
    largest_difference: float
    tolerance: float
    agrees: bool
    reported: bool = False
    """Whether the metrics are a script's word, so that only the bytes were compared."""
    command: tuple[str, ...] = ()
    """The command line of the card that measured them; empty where this package did, or where they were not."""
    seconds: float


class DownloadRecord(Record):
    """``stages/download.json``: the last download of a checkpoint."""

    checkpoint: str
    source: str
    to: str
    bytes: int
    sha256: str
    seconds: float


class MadeFile(Record):
    """A file that a stage made, with its size and digest at that time."""

    path: str
    """Relative to the run folder."""
    bytes: int
    sha256: str


class DataMatchRecord(Record):
    """A `cardrunner.specs.DataMatch`, as JSON."""

    parts: dict[str, str]
    sentence: str
    agrees: bool | None


class DemoRecord(Record):
    """``stages/demo.json``: the demo's files and figures."""

    files: tuple[str, ...]
    made: tuple[MadeFile, ...] = ()
    """The same with sizes and digests; empty in runs of earlier versions."""
    copied_to: str | None
    summary: dict[str, Any]
    data_match: DataMatchRecord | None = None
    exhibits: tuple[Exhibit, ...] = ()
    seconds: float


class StageRecord(Record):
    """``stages/NAME.json`` of a stage that returns `Made`."""

    files: tuple[MadeFile, ...] = ()
    summary: dict[str, Any] = Field(default_factory=dict)
    seconds: float


class ManifestEntry(Record):
    """One file of the checkpoint manifest."""

    file: str
    """Its name relative to the run folder."""
    stored: str | None = None
    """A second file with the same bytes that is never overwritten, if there is one."""
    sha256: str
    bytes: int
    weights_sha256: str
    epoch: int
    step: int
    metrics: dict[str, float] = Field(default_factory=dict)
    metrics_step: int | None = None
    """The step of the validation that gave `metrics`, where that is not `step`."""
    step_reported: bool = False
    """Whether `step` is the newest that a script had reported when it wrote this, since nothing in it tells its own."""
    roles: tuple[str, ...] = ()
    content: str | None = None
    """The folder that is the checkpoint, relative to the run folder, where it is no file; `weights_sha256` is over its
    files, and `file` is a record of it."""

    @property
    def source(self) -> str:
        """The file to read, relative to the run folder."""
        return self.stored or self.file

    @property
    def whole(self) -> str:
        """What a download copies, relative to the run folder."""
        return self.content or self.source

    @property
    def whole_sha256(self) -> str:
        """The digest of what a download copies; see `cardrunner.runs.copies.sha256_at`."""
        return self.weights_sha256 if self.content else self.sha256


class Manifest(Record):
    """``checkpoints/manifest.json``: the checkpoints of a run."""

    entries: tuple[ManifestEntry, ...] = ()
    saves: int = 0
    """How often checkpoints were saved."""
    history: LinesAnchor | None = None
    """How far the history had come at the last save; None before the first, and in earlier versions."""
    ledger: LinesAnchor | None = None
    """The same of the ledger."""

    def find(self, name: str) -> ManifestEntry | None:
        """The checkpoint of a name: a file of the run folder, ``best.pt`` or ``latest.pt``.

        A script's checkpoints have no second names: the best one is found by its role, the latest by its place.
        """
        named = next((entry for entry in self.entries if entry.file == name), None)
        if named is not None or name not in (f"{BEST}.pt", f"{LATEST}.pt"):
            return named
        role = STATE if name == f"{LATEST}.pt" else BEST
        return next((entry for entry in reversed(self.entries) if role in entry.roles), None)


R = TypeVar("R", bound=Record)


_CHECKSUM = "record_sha256"
"""The last key of each record."""
_CHECKSUM_AT_END = re.compile(rb',?\n  "record_sha256": "([0-9a-f]{64})"\n\}\n$')


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically with its checksum, with the environment's secrets hidden in its texts."""
    write_text(path, record_text(record))


def record_text(record: Record) -> str:
    """A record as its file has it, with the environment's secrets hidden in its texts."""
    return with_checksum(hide_in(json.loads(record.model_dump_json())))


def with_checksum(content: Mapping[str, Any]) -> str:
    """A JSON object as a text whose last key is the sha256 of all bytes before that key."""
    head = json.dumps(content, indent=2, ensure_ascii=False).removesuffix("}").rstrip("\n")
    digest = hashlib.sha256(head.encode()).hexdigest()
    return f'{head}{"" if head == "{" else ","}\n  "{_CHECKSUM}": "{digest}"\n}}\n'


def checked_json(data: bytes, path: Path) -> bytes:
    """The JSON of a record without its checksum, compared with it; one of an earlier version has none.

    Args:
        data: the content of its file.
        path: for messages.

    Raises:
        IntegrityError: it is not what was written.
    """
    found = _CHECKSUM_AT_END.search(data)
    if found is None and _CHECKSUM.encode() not in data:
        return data
    if found is None or hashlib.sha256(data[: found.start()]).hexdigest() != found[1].decode():
        raise IntegrityError(
            f"{path} is not what was written: its checksum differs; put the file back as it was (a copy of the run "
            "folder has it), formatted as it was"
        )
    return data[: found.start()] + b"\n}"


def checksum_of(path: Path) -> str | None:
    """The checksum that the file of a record has; None for one of an earlier version.

    Raises:
        IntegrityError: it is missing, cannot be read, or is not what was written.
    """
    data = _content(path)
    checked_json(data, path)
    found = _CHECKSUM_AT_END.search(data)
    return found[1].decode() if found else None


def read_json(path: Path) -> Any:
    """The content of a JSON file of the launch, such as ``card.json``, without its checksum.

    Raises:
        IntegrityError: it is missing, is no JSON, or is not what was written.
    """
    try:
        return json.loads(checked_json(_content(path), path))
    except ValueError as error:
        raise IntegrityError(f"{path} is not readable JSON: {error}") from None


def read_record(path: Path, kind: type[R]) -> R:
    """Read a record.

    Raises:
        IntegrityError: it is missing, is not what was written, or is not a valid record of this kind.
    """
    return parse_record(_content(path), kind, path)


def parse_record(data: bytes, kind: type[R], path: Path) -> R:
    """The record that a file has.

    Args:
        data: its content.
        kind: the record's class.
        path: for messages.

    Raises:
        IntegrityError: it is not what was written, or is not a valid record of this kind.
    """
    try:
        return kind.model_validate_json(checked_json(data, path))
    except (ValidationError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path} is not a readable {kind.__name__}: {_first(error)}") from None


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; the run never got that far, or the file was removed") from None
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from None


def readable_record(path: Path, kind: type[R]) -> R | None:
    """The record; None if it is missing or damaged."""
    try:
        return find_record(path, kind)
    except IntegrityError:
        return None


def find_record(path: Path, kind: type[R]) -> R | None:
    """The record; None if the run has not written it.

    Raises:
        IntegrityError: it is not a valid record of this kind.
    """
    return read_record(path, kind) if path.exists() else None


def check_records(folder: RunFolder) -> list[Damage]:
    """Compare each record of a run with its checksum; a run of an earlier version has records without one."""
    launched = folder.card_json, folder.launch, folder.checks, folder.plan
    named = (*launched, folder.remote_run, folder.manifest, folder.interpreter)
    stages = sorted(folder.record("*").parent.glob("*.json"))
    return list(_record_damage(folder, [path for path in (*named, *stages) if path.is_file()]))


def _record_damage(folder: RunFolder, paths: Sequence[Path]) -> Iterator[Damage]:
    bare = []
    for path in paths:
        name = path.relative_to(folder.root).as_posix()
        try:
            if checksum_of(path) is None:
                json.loads(path.read_bytes())
                bare.append(name)
        except (IntegrityError, ValueError, OSError):
            yield Damage(file=name, kind="changed", what="it is not what was written: its checksum differs")
    own = folder.launch.relative_to(folder.root).as_posix()
    if bare and own not in bare:  # this version launched the run, so that it wrote each of them with a checksum
        yield from (Damage(file=name, kind="changed", what="its checksum was removed") for name in bare)
    elif bare:
        what = f"{plural(len(bare), 'record')} without a checksum: an earlier version wrote {listed(bare)}"
        yield Damage(file=own, kind="unsealed", what=what)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault: Mapping[str, Any] = dict(error.errors(include_input=False)[0])
        return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
    return str(error)
