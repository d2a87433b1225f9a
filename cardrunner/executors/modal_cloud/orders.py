"""What travels to a container: the run as it was launched, as plain JSON, which Modal keeps unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from cardrunner.errors import IntegrityError, NameTaken
from cardrunner.gate.admission import judging_files, read_launched, sha256_hex
from cardrunner.runs.files import explained, write_bytes
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import ImageRecord, LaunchRecord, Record, RemoteRun, parse_record
from cardrunner.workspace import RULES, Workspace


class Order(Record):
    """One submission of a run, given to each of its attempts on Modal."""

    run: str
    volume: str
    path: str
    """The run's folder on the volume, such as ``/checkpoints/policy-22k``."""
    submission: str
    app: str
    files: dict[str, str]
    """The content of each file that the launch wrote, by its path in the run folder."""
    events: tuple[str, ...]
    """The lines of the local ledger."""
    follows: str | None = None
    """The submission before this one, which is known to be over."""
    retries: int
    """How often Modal starts another attempt after one that raised."""
    image: ImageRecord | None = None
    """What the image of its containers was made from; None for one of a later stage."""
    judges: dict[str, str] = Field(default_factory=dict)
    """What judges the run there: the content of a small workspace with the admission, the rules, keys and blocks."""
    judged_in: str = "."
    """The folder in it that stands for the workspace."""


def order_of(
    folder: RunFolder,
    record: RemoteRun,
    *,
    app: str,
    image: ImageRecord | None = None,
    retries: int = 0,
    follows: str | None = None,
) -> Order:
    """The order that submits the run in a folder.

    Raises:
        IntegrityError: a file of the launch is no longer text, or the record of the admission cannot be used.
        EnvironmentFailed: one cannot be read.
    """
    judges, judged_in = _judges(folder)
    return Order(
        run=folder.name,
        volume=record.volume,
        path=record.path,
        submission=record.submission,
        app=app,
        files=frozen_texts(folder),
        events=Ledger(folder.ledger).lines(),
        follows=follows,
        retries=retries,
        image=image,
        judges=judges,
        judged_in=judged_in,
    )


def _judges(folder: RunFolder) -> tuple[dict[str, str], str]:
    """What judges a run that is about to train; nothing for a stage after that."""
    if folder.workspace is None:
        return {}, "."
    workspace = Workspace(folder.workspace)
    launch = sha256_hex(frozen_texts(folder)[folder.launch.name].encode())
    admission = read_launched(workspace.record_places, folder.name).of(launch)
    return ({}, ".") if admission is None else judging_files(workspace, folder.name, admission)


def write_judges(root: Path, order: Order) -> Path:
    """Write what judges a run, and return the folder that stands for its workspace.

    Raises:
        IntegrityError: a path leaves the folder.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    workspace = root / order.judged_in
    for path, text in {f"{order.judged_in}/{RULES}": "", **order.judges}.items():
        target = root / path
        if not target.resolve().is_relative_to(root.resolve()):
            raise IntegrityError(f"{path} leaves the folder of the rules")
        write_bytes(target, text.encode())
    return workspace


def frozen_texts(folder: RunFolder) -> dict[str, str]:
    """The files of the launch, by their path in the folder.

    Raises:
        IntegrityError: one is no longer text.
        EnvironmentFailed: one cannot be read.
    """
    return {path.relative_to(folder.root).as_posix(): _text(path) for path in folder.frozen}


def check_same(folder: RunFolder, files: Mapping[str, str], *, where: str) -> None:
    """Compare a run folder with the launch, byte for byte.

    Args:
        folder: the folder to check.
        files: the files of the launch.
        where: the name of the folder in messages.

    Raises:
        NameTaken: it is another run of that name.
        IntegrityError: it is this run, and a file of the launch was changed, added or removed.
    """
    found = frozen_texts(folder)
    name = folder.launch.name
    if found.get(name) != files.get(name):
        raise NameTaken(
            f"{where} holds another run{_launched(found.get(name))}; move it away, or give the card a new name; "
            f"if it is the same run, put its own {name} back"
        )
    for path in sorted(found.keys() | files.keys()):
        if found.get(path) != files.get(path):
            raise IntegrityError(
                f"{where}/{path} differs from what was launched: it was {_change(path, found, files)}; "
                "restore the launched one"
            )


def write_files(folder: RunFolder, files: Mapping[str, str]) -> None:
    """Write the files of a launch. The launch record, which makes a folder a run, comes last.

    Raises:
        IntegrityError: a path leaves the folder.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    for path in sorted(files, key=lambda path: path == folder.launch.name):
        target = folder.root / path
        if not target.resolve().is_relative_to(folder.root.resolve()):
            raise IntegrityError(f"{path} leaves the run folder")
        data = files[path].encode()
        write_bytes(target, data)


def _text(path: Path) -> str:
    with explained(path, "read"):
        data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise IntegrityError(f"{path} is no longer UTF-8 text; restore the launched file") from None


def _launched(text: str | None) -> str:
    try:
        launch = parse_record((text or "").encode(), LaunchRecord, Path("launch.json"))
    except IntegrityError:
        return ""
    return f", launched at {launch.created} from a card with the digest {launch.card_digest[:12]}"


def _change(path: str, found: Mapping[str, str], files: Mapping[str, str]) -> str:
    return "removed" if path not in found else "added" if path not in files else "changed"
