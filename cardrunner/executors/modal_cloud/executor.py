"""modal: a run is submitted as one detached call, which goes on without this machine."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import modal

from cardrunner.card.schema.card import Card
from cardrunner.common.clock import utc_now
from cardrunner.contracts import Archive, Fact, Job, Progress
from cardrunner.errors import EnvironmentFailed, IntegrityError, UsageError
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud import NAME
from cardrunner.executors.modal_cloud.advice import REFUSALS, advised, check_answer
from cardrunner.executors.modal_cloud.app import Built, built, check_recorded
from cardrunner.executors.modal_cloud.archives import encode_archive
from cardrunner.executors.modal_cloud.image import Contents
from cardrunner.executors.modal_cloud.job import ModalJob, update_record
from cardrunner.executors.modal_cloud.later_stages import run_remotely
from cardrunner.executors.modal_cloud.orders import Order, order_of
from cardrunner.executors.modal_cloud.preflight import find_volume, preflight, reach, unreachable_reason
from cardrunner.executors.modal_cloud.snapshot import unpack
from cardrunner.executors.modal_cloud.spec import infra_of, storage_of
from cardrunner.executors.modal_cloud.uploads import upload
from cardrunner.executors.modal_cloud.volumes import Mirror, VolumeFolder, inside
from cardrunner.runs.events import ContainerStarted, parse
from cardrunner.runs.files import explained, sha256_file, write_bytes
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import launched_workspace
from cardrunner.runs.records import Manifest, RemoteRun, find_record, write_record
from cardrunner.workspace import Workspace


@dataclass(frozen=True)
class ModalExecutor:
    """Runs the worker in Modal's containers; see `cardrunner.executors.modal_cloud`."""

    name: ClassVar[str] = NAME
    survives_client: ClassVar[bool] = True
    finishes_unattended: ClassVar[bool] = False
    start_seconds: ClassVar[float] = 24 * 3600.0
    """Waiting for a GPU may take long. Whether the call is alive is asked of Modal itself."""

    def unreachable_reason(self) -> str | None:
        """Why Modal cannot be asked, such as a missing token; None if it can."""
        return unreachable_reason()

    def preflight(self, card: Card, run: str) -> Iterator[Fact]:
        """Check everything that Modal can tell without a container; see `preflight.preflight`."""
        yield from preflight(card, run)

    def submit(self, folder: RunFolder) -> Job:
        """Start the run on Modal, after a preflight in a container without a GPU.

        The record of the remote run is written first, and updated after each step.

        Raises:
            EnvironmentFailed: Modal refused, or cannot be reached.
            IntegrityError: the data is not what the card says, or the run on the volume differs from the launch.
            NameTaken: another run of that name is on the volume.
        """
        card = importlib.import_module(WORKER).launched_card(folder)
        infra, before = infra_of(card), find_record(folder.remote_run, RemoteRun)
        record = RemoteRun(
            executor=NAME,
            submission=uuid.uuid4().hex,
            volume=infra.volume,
            path=storage_of(infra).folder_of(folder.name),
            workspace=str(launched_workspace(folder).root),
            seen=utc_now(),
        )
        write_record(folder.remote_run, record)
        try:
            _submit(folder, card, record, follows=before.submission if before and not before.live else None)
        except BaseException as error:
            update_record(folder, live=isinstance(error, _Unknown), ending=_ending(error))
            raise
        return ModalJob(folder)

    def attach(self, folder: RunFolder, job_id: str = "") -> Job:  # noqa: ARG002 - the folder has the id
        """The newest submission of a run.

        Raises:
            UsageError: the run was never submitted to Modal.
        """
        if not folder.remote_run.exists():
            raise UsageError(f"run {folder.name} was never submitted to Modal; see `cardrunner status {folder.name}`")
        return _job(folder.root)

    def fetch(self, folder: RunFolder, file: str, *, progress: Progress) -> Path:
        """Download a checkpoint and verify it against the manifest, unless it is here already.

        Raises:
            IntegrityError: the manifest has no such file.
            EnvironmentFailed: it cannot be downloaded completely.
        """
        manifest = find_record(folder.manifest, Manifest) or Manifest()
        if (entry := manifest.find(file)) is None:
            known = ", ".join(entry.file for entry in manifest.entries) or "none was saved"
            raise IntegrityError(f"run {folder.name} has no checkpoint {file}; it has: {known}")
        if entry.content is not None:
            return _fetch_folder(folder, entry.content, progress)
        target = inside(folder.root, entry.source)
        if not (target.is_file() and sha256_file(target) == entry.sha256):
            volume_folder = _job(folder.root).volume_folder
            with progress.task(f"{file} from Modal", entry.bytes, unit="B") as task, advised(f"download {file}"):
                volume_folder.download(
                    entry.source, target, size=entry.bytes, sha256=entry.sha256, advance=lambda n: task.advance(n)
                )
        return target

    def run_remotely(
        self, folder: RunFolder, card: Card, stage: str, files: dict[str, Path], *, progress: Progress
    ) -> None:
        """Run a launcher stage in a container; see `later_stages.run_remotely`."""
        run_remotely(folder, card, stage, files, progress=progress)

    def upload(self, file: Path, *, volume: str, path: str, sha256: str | None, force: bool, progress: Progress) -> str:
        """Upload a file to a volume; see `uploads.upload`."""
        return upload(file, volume=volume, path=path, sha256=sha256, force=force, progress=progress)

    def encode(self, card: Card, archive: Archive, *, progress: Progress) -> tuple[str, ...]:
        """Encode an archive on the card's volume; see `archives.encode_archive`."""
        return encode_archive(card, archive, progress=progress)

    def has_run(self, volume: str, path: str) -> bool:
        """Whether a folder on a volume is a run folder.

        Raises:
            EnvironmentFailed: Modal cannot be reached, or there is no such volume.
        """
        reach()
        with advised(f"look for the run in {path} on the volume {volume}"):
            return VolumeFolder(find_volume(volume), path).has(RunFolder(Path()).launch.name)

    def adopt(self, runs: Path, run: str, *, volume: str, path: str) -> RunFolder:
        """Make the local folder of a run that another machine launched.

        Args:
            runs: the folder to make it in.
            run: its name.
            volume: where the run lives.
            path: its folder there.

        Raises:
            EnvironmentFailed: Modal cannot be reached, or the local disk cannot be written.
        """
        with advised(f"bring the run {run} here"):
            return _adopted(RunFolder.of(runs, run), VolumeFolder(modal.Volume.from_name(volume), path))


def _fetch_folder(folder: RunFolder, content: str, progress: Progress) -> Path:
    """Download a checkpoint that is a folder, and the record with its digest, with which the copy is compared later."""
    place, record = PurePosixPath(content), str(PurePosixPath(content).parent / "checkpoint.json")
    volume_folder = _job(folder.root).volume_folder
    with advised(f"download {content}"):
        names = [name for name in volume_folder.files() if name == record or PurePosixPath(name).is_relative_to(place)]
        with progress.task(f"{place.name} from Modal", len(names), unit="files") as task:
            for name in names:
                volume_folder.fetch(name, inside(folder.root, name))
                task.advance()
    return inside(folder.root, content)


@lru_cache(maxsize=64)
def _job(root: Path) -> ModalJob:
    """One job per folder, which limits how often Modal is asked: commands poll in short loops."""
    return ModalJob(RunFolder(root))


class _Unknown(EnvironmentFailed):
    """The call may or may not have been made."""


def _submit(folder: RunFolder, card: Card, record: RemoteRun, *, follows: str | None) -> None:
    called = False
    doing = advised(f"start the run {folder.name} on Modal")
    contents = Contents.of(folder, card, importlib.import_module(WORKER).used_plugins(folder))
    with doing, built(contents, folder.name, record.submission) as made, _shown(), made.app.run(detach=True):
        app = str(made.app.app_id)
        update_record(folder, app=app, function=made.train.object_id, page=f"https://modal.com/id/{app}")
        check_recorded(made.train, card)
        image, retries = contents.record, contents.infra.retries
        order = order_of(folder, record, app=app, image=image, retries=retries, follows=follows)
        _rehearse(made, order)
        VolumeFolder(modal.Volume.from_name(record.volume), record.path).remove(folder.stop_request.name)
        update_record(folder, call=_spawn(made, order))
        called = True
    if not called:  # the SDK swallows a Ctrl-C in this block
        raise KeyboardInterrupt


def _shown() -> AbstractContextManager[object]:
    """Show Modal's output on a terminal: building the image takes minutes the first time."""
    return modal.enable_output() if sys.stdout.isatty() else nullcontext()


def _rehearse(made: Built, order: Order) -> None:
    """Check in a container without a GPU that an attempt can begin."""
    found: dict[str, Any] = made.preflight.remote(order.model_dump(mode="json"))
    check_answer(found, "found on Modal, before any GPU")


def _spawn(made: Built, order: Order) -> str:
    try:
        return str(made.train.spawn(order.model_dump(mode="json")).object_id)
    except REFUSALS:
        raise
    except Exception as error:
        raise _Unknown(
            f"Modal did not say whether it took the run ({type(error).__name__}: {error}); "
            f"`cardrunner status {order.run}` finds out"
        ) from error


def _ending(error: BaseException) -> str | None:
    return None if isinstance(error, _Unknown) else f"never started: {str(error) or type(error).__name__}"


def _adopted(folder: RunFolder, volume_folder: VolumeFolder) -> RunFolder:
    """Copy the run's folder here, atomically. It replaces a folder that has only the records of the launch."""
    with explained(folder.root.parent, "write"):
        folder.root.parent.mkdir(parents=True, exist_ok=True)
        above = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.root.parent))
        try:
            staging = RunFolder(above / folder.name)
            for name in volume_folder.files():
                if staging.is_frozen(inside(staging.root, name)):
                    data = volume_folder.read(name) or b""
                    write_bytes(staging.root / name, data)
            if (code := volume_folder.read(staging.code_archive.name)) is not None:
                write_bytes(staging.code_archive, code)
                unpack(staging.code_archive, staging)
            write_record(staging.remote_run, _record_of(volume_folder, Workspace.around(folder.root.parent)))
            Mirror(staging, volume_folder).pull()
            if folder.root.exists() and set(folder.root.iterdir()) <= {folder.remote_run, folder.launch}:
                shutil.rmtree(folder.root)
            staging.root.rename(folder.root)
        finally:
            shutil.rmtree(above, ignore_errors=True)
    return folder


def _record_of(volume_folder: VolumeFolder, workspace: Workspace) -> RemoteRun:
    """The record of a remote run, from the events of its containers."""
    events = map(parse, (volume_folder.read(RunFolder(Path()).ledger.name) or b"").split(b"\n"))
    said = [event for event in events if isinstance(event, ContainerStarted)]
    last = said[-1] if said else ContainerStarted()
    return RemoteRun(
        executor=NAME,
        submission=last.submission,
        volume=str(volume_folder.volume.name),
        path=volume_folder.path,
        workspace=str(workspace.root),
        app=last.app,
        call=last.call,
        seen=utc_now(),
    )
