"""The code of a run on its way to a container: one archive, in which modes and links stay what they are."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Final

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import KeptCode, find_record, read_record

ARCHIVE: Final = "cardrunner-code.tar"


def pack(folder: RunFolder, target: Path) -> None:
    """Pack the code that the launch has copied; the same code gives the same bytes.

    Raises:
        IntegrityError: a file of it is gone.
        EnvironmentFailed: it cannot be read or written.
    """
    kept = read_record(folder.code_record, KeptCode)
    with explained(target, "write"), tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in kept.files:
            path = folder.code / kept.folder / name
            try:
                archive.add(path, f"{kept.folder}/{name}", recursive=False, filter=_plain)
            except FileNotFoundError:
                raise IntegrityError(f"{path} is gone; put the copy of the code back as the launch made it") from None


def bring(archive: Path, folder: RunFolder) -> None:
    """Unpack the code that an image holds, and keep the archive with the run, from which another machine takes it.

    Raises:
        IntegrityError: see `unpack`.
        EnvironmentFailed: the disk is full or failing.
    """
    if find_record(folder.code_record, KeptCode) is None:
        return
    unpack(archive, folder)
    with explained(folder.code_archive, "write"):
        shutil.copyfile(archive, folder.code_archive)


def unpack(archive: Path, folder: RunFolder) -> None:
    """Make the copy of the code in a run folder from the archive, in place of what is there.

    Raises:
        IntegrityError: the archive is missing, or leads out of the folder.
        EnvironmentFailed: the disk is full or failing.
    """
    if find_record(folder.code_record, KeptCode) is None:
        return
    with explained(folder.code, "write"):
        shutil.rmtree(folder.code, ignore_errors=True)
        folder.code.mkdir(parents=True)
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(folder.code, filter="data")
        except FileNotFoundError:
            raise IntegrityError(f"{archive} is missing: the image was made without the code of the run") from None
        except tarfile.TarError as error:
            raise IntegrityError(f"{archive} is not the code of a run: {error}") from None


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
