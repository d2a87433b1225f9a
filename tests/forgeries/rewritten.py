"""What somebody does to a run folder who knows how its checksums are made.

They are no secret: `reseal` recomputes all of them after an edit, and `as_older` takes them away, so that the folder
looks like one of an earlier version.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import line_of, parse_object
from cardrunner.runs.lines import LinesAnchor, seal_of, sealed
from cardrunner.runs.records import with_checksum
from cardrunner.runs.seals import seal_launch

_SEALING = ("sealed", "opened")
_CHECKSUM = "record_sha256"


def reseal(root: Path) -> None:
    """Recompute the checksum of every record and line, and make one seal of it all in place of those there are."""
    folder, sums = RunFolder(root), dict[str, str]()
    for file in (folder.history, folder.ledger):
        _rewrite(file, b"".join(_chained(file, sums)))
    for path in _records(folder):
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            content.pop(_CHECKSUM, None)
            _rewrite(path, with_checksum(_anchored(content, sums)).encode())
    shutil.rmtree(folder.seals, ignore_errors=True)
    seal_launch(folder)


def as_older(root: Path) -> None:
    """Take away all that earlier versions did not write: checksums, chains, anchors, seals, what the launch noted."""
    folder = RunFolder(root)
    for file in (folder.history, folder.ledger):
        rows = [row for _, row in _rows(file) if row.get("event") not in (*_SEALING, "history_cut")]
        _rewrite(file, b"".join(line_of(_bare(row)) for row in rows))
    for path in _records(folder):
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            _rewrite(path, (json.dumps(_bare(content), indent=2) + "\n").encode())
    launch = json.loads(folder.launch.read_text())
    kept = {name: value for name, value in launch.items() if name not in ("recorded", "floors")}
    folder.launch.write_text(json.dumps(kept, indent=2) + "\n")
    shutil.rmtree(folder.seals, ignore_errors=True)


def _records(folder: RunFolder) -> Iterator[Path]:
    named = (folder.card_json, folder.launch, folder.checks, folder.plan, folder.remote_run, folder.manifest)
    yield from (path for path in (*named, *folder.record("*").parent.glob("*.json")) if path.is_file())


def _rows(file: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for line in file.read_bytes().splitlines() if file.exists() else ():
        if (row := parse_object(line)) is not None:
            yield line, row


def _chained(file: Path, sums: dict[str, str]) -> Iterator[bytes]:
    """The lines with right checksums, and without events that name a seal; `sums` gets the new one of each line."""
    last: dict[str, str] = {}
    by = "f0f0f0f0"
    for line, row in _rows(file):
        if row.get("event") == "sealed":
            continue
        seal = seal_of(line)
        by = seal.by if seal else by
        made = sealed(line_of(_anchored(row, sums)), by=by, after=last.get(by))
        new = seal_of(made.rstrip(b"\n"))
        assert new is not None
        last[by] = new.sum
        if seal is not None:
            sums[seal.sum] = new.sum
        yield made


def _anchored(content: Mapping[str, Any], sums: Mapping[str, str]) -> dict[str, Any]:
    """The content with anchors at the lines that are there now; one whose line is gone says nothing."""
    return {
        name: {**value, "last": sums.get(value["last"])} if _is_anchor(value) else value
        for name, value in content.items()
    }


def _bare(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != _CHECKSUM and not _is_anchor(value)}


def _is_anchor(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == LinesAnchor.model_fields.keys()


def _rewrite(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() != data:
        path.write_bytes(data)
