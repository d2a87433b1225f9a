"""Defaults of a stage, so that a stage of another package is one class with a name, a side and `run`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Made, RunContext, Side
from cardrunner.errors import EnvironmentFailed, PluginFailed
from cardrunner.runs.copies import sha256_at
from cardrunner.runs.files import explained, sha256_file
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import MadeFile, Record, StageRecord, readable_record


class BaseStage:
    """Defaults of a `cardrunner.contracts.Stage`: the record is a `StageRecord`; done while its files are intact.

    A stage of another package is a class that its entry point in the group ``cardrunner.stages`` names::

        class Listing(BaseStage):
            name = "listing"
            side = "launcher"

            def run(self, ctx: RunContext) -> Made:
                path = ctx.folder.root / "files.txt"
                names = sorted(path.name for path in ctx.folder.root.iterdir())
                path.write_text("\\n".join(names))
                return Made(files=(path,), summary={"files": len(names)})

    A card asks for it with ``extra_stages: [listing]``.
    """

    name: ClassVar[str]
    side: ClassVar[Side]
    after: ClassVar[str | None] = None
    long: ClassVar[bool] = True
    record: ClassVar[type[Record]] = StageRecord

    def run(self, ctx: RunContext) -> Made | None:
        """Do the work of the stage.

        Returns:
            the files and figures for its record; None from a stage that writes its record itself.
        """
        raise NotImplementedError

    def done(self, folder: RunFolder, card: Card) -> bool:  # noqa: ARG002
        """Whether its record exists and the files in it are unchanged."""
        record = readable_record(folder.record(self.name), StageRecord)
        return record is not None and all(is_whole(folder.root / file.path, file.sha256) for file in record.files)

    def absence(self, card: Card) -> str | None:  # noqa: ARG002
        """None: a card leaves the stage out by not listing it."""
        return None

    def outcome(self, record: Record) -> Mapping[str, Any]:
        """The summary of a `StageRecord`; of another record, every field."""
        return record.summary if isinstance(record, StageRecord) else record.model_dump(mode="json")

    def checkpoints(self, card: Card) -> Sequence[str]:  # noqa: ARG002
        """Empty: it reads no checkpoint."""
        return ()

    def needs_data(self, card: Card) -> bool:  # noqa: ARG002
        """False: it opens no data."""
        return False

    def reads(self, card: Card) -> Iterable[str]:  # noqa: ARG002
        """Empty: it reads only the run folder."""
        return ()

    def after_remote_run(self, ctx: RunContext) -> None:
        """Nothing to do: its files stay in the run folder."""


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file or folder exists with the recorded digest; see `cardrunner.runs.copies.sha256_at`."""
    try:
        return path.exists() and sha256_at(path) == sha256
    except EnvironmentFailed:
        return False


def record_of(folder: RunFolder, stage: str, made: Made, seconds: float) -> StageRecord:
    """Make the record of a stage that returned `Made`.

    Args:
        folder: the run.
        stage: its name.
        made: what it made.
        seconds: how long it took.

    Raises:
        PluginFailed: a file is absent or outside the run folder, or the summary is not JSON.
        EnvironmentFailed: a file cannot be read.
    """
    try:
        summary = json.loads(json.dumps(dict(made.summary), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PluginFailed(f"the summary of the stage {stage} cannot be written as JSON: {error}") from None
    files = tuple(made_file(folder, stage, path) for path in made.files)
    return StageRecord(files=files, summary=summary, seconds=seconds)


def made_file(folder: RunFolder, stage: str, path: Path) -> MadeFile:
    """The record of a file that a stage made; raises as `record_of`."""
    root, found = folder.root.resolve(), path.resolve()
    if not found.is_relative_to(root):
        raise PluginFailed(f"the stage {stage} names {path} as made, which lies outside the run folder {folder.root}")
    if not found.is_file():
        raise PluginFailed(f"the stage {stage} names {path} as made, and there is no such file")
    with explained(path, "read"):
        size = found.stat().st_size
    return MadeFile(path=found.relative_to(root).as_posix(), bytes=size, sha256=sha256_file(found))
