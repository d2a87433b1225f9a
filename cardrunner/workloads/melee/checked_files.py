"""Digests and value checks of encoded files, each file read at most once and then remembered."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from cardrunner.contracts import Progress
from cardrunner.runs.file_memo import Memo, MemoPlace, unchanged
from cardrunner.workloads.melee.encoded_data import EncodedData
from cardrunner.workloads.melee.encoded_file import EncodedFile
from cardrunner.workloads.melee.file_scan import VERSION, FileScan, scan_file
from cardrunner.workloads.melee.scan import ScanReport, report


class CheckedFiles:
    """What reading every byte of some files says.

    Args:
        data: the opened files.
        scratch: where memos go when the files' own folder cannot be written.
        progress: shown while a file is read.
    """

    def __init__(self, data: EncodedData, *, scratch: Path, progress: Progress) -> None:
        self._data, self._scratch, self._progress = data, scratch, progress

    def digests(self) -> tuple[str, ...]:
        """The sha256 of each file."""
        return tuple(digest for digest, _ in self._known)

    def report(self) -> ScanReport:
        """What the values are."""
        return report(self._data, [scan for _, scan in self._known])

    @cached_property
    def _known(self) -> tuple[tuple[str, FileScan], ...]:
        return tuple(self._check(file) for file in self._data.files)

    def _check(self, file: EncodedFile) -> tuple[str, FileScan]:
        place = MemoPlace(file.path, self._scratch)
        memo = place.recall()
        if memo is not None and (scan := _remembered(memo)) is not None:
            return memo.sha256, scan
        label = f"reading {file.path.name}"
        with unchanged(file.path) as marks, self._progress.task(label, file.size, unit="B") as task:
            found = scan_file(file, hashed=memo is None, progress=task.advance)
        digest = found.sha256 or (memo.sha256 if memo else "")
        checks = {**(memo.checks if memo else {}), VERSION: found.scan.model_dump(mode="json")}
        if problem := place.remember(Memo(marks=marks, sha256=digest, checks=checks)):
            self._progress.note(problem)
        return digest, found.scan


def _remembered(memo: Memo) -> FileScan | None:
    try:
        return FileScan.model_validate(memo.checks[VERSION])
    except (KeyError, ValidationError):
        return None
