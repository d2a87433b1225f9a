"""Runs a launcher stage on Modal, such as a demo that needs the data on the volume, and downloads its files."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import modal

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Progress
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.executors.modal_cloud.advice import advised, check_answer
from cardrunner.executors.modal_cloud.app import app_name, memory_of
from cardrunner.executors.modal_cloud.functions import later_stage
from cardrunner.executors.modal_cloud.image import Contents, image_of
from cardrunner.executors.modal_cloud.job import ModalJob
from cardrunner.executors.modal_cloud.orders import order_of
from cardrunner.executors.modal_cloud.spec import infra_of
from cardrunner.executors.modal_cloud.volumes import Mirror, VolumeFolder, inside
from cardrunner.runs.files import write_bytes
from cardrunner.runs.folder import RunFolder

_SECONDS = 4 * 3600
_CORES = 4.0


def run_remotely(folder: RunFolder, card: Card, stage: str, files: dict[str, Path], *, progress: Progress) -> None:
    """Run a stage in a container without a GPU, on the committed run.

    Args:
        folder: the run.
        card: its card.
        stage: the stage.
        files: the files that the stage reads from the workspace, by their paths there.
        progress: where to show it.

    Raises:
        CardrunnerError: the stage failed, or Modal cannot be reached.
    """
    job = ModalJob(folder)
    progress.note(f"the data is on the volume: the stage {stage} runs there, without a GPU")
    with advised(f"run the stage {stage} on Modal"), _running(folder, card) as function:
        _send(job.volume_folder, files)
        order = order_of(folder, job.record, app=job.record.app or "")
        answer: dict[str, Any] = function.remote(order.model_dump(mode="json"), stage)
    check_answer(answer, "on Modal")
    with advised(f"download what the stage {stage} made"):
        Mirror(folder, job.volume_folder).pull()
        _download(job.volume_folder, folder, stage, progress)


@contextmanager
def _running(folder: RunFolder, card: Card) -> Iterator[Any]:
    infra = infra_of(card)
    app = modal.App(f"{app_name(folder.name)}-after", include_source=False)
    contents = Contents.of(folder, card, importlib.import_module(WORKER).used_plugins(folder))
    with image_of(contents) as image:
        function = app.function(
            name=later_stage.__name__,
            image=image,
            include_source=False,
            single_use_containers=True,
            volumes={MOUNT: modal.Volume.from_name(infra.volume)},
            cpu=_CORES,
            memory=memory_of(infra),
            timeout=_SECONDS,
        )(later_stage)
        with app.run():
            yield function


def _send(volume_folder: VolumeFolder, files: dict[str, Path]) -> None:
    if not files:
        return
    with volume_folder.volume.batch_upload(force=True) as batch:
        for name, path in files.items():
            batch.put_file(path, f"{volume_folder.path}/{RunFolder(Path()).borrowed.name}/{name}")


def _download(volume_folder: VolumeFolder, folder: RunFolder, stage: str, progress: Progress) -> None:
    """Download the files that the stage made."""
    made = [name for name in volume_folder.files() if name.startswith(f"{folder.made(stage).name}/")]
    with progress.task("files from Modal", len(made), unit="files") as task:
        for name in made:
            data = volume_folder.read(name) or b""
            write_bytes(inside(folder.root, name), data)
            task.advance()
