"""Making a run folder: everything the worker needs is in it before it appears, and each name is made once."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cardrunner.errors import NameTaken
from cardrunner.runs.events import Created
from cardrunner.runs.files import explained, flush_folder, write_bytes, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import ChecksRecord, LaunchRecord, with_checksum, write_record
from cardrunner.runs.seals import seal_launch


def create_run(
    folder: RunFolder,
    *,
    launch: LaunchRecord,
    card: bytes,
    effective: Mapping[str, Any],
    approvals: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
    checks: ChecksRecord | None = None,
    trust: Mapping[str, bytes] | None = None,
    sources: Sequence[tuple[str, bytes]] = (),
    keep_code: Callable[[RunFolder], object] = lambda _: None,
    admit: Callable[[RunFolder], object] = lambda _: None,
) -> None:
    """Make the folder of a run, whole or not at all.

    Args:
        folder: the folder to make.
        launch: how the run is started.
        card: the exact bytes of the card.
        effective: the card with its defaults, as JSON.
        approvals: who signed what.
        plan: what the launch means to do.
        checks: the results of the checklist's checks.
        trust: the workspace's rules and keys that the gate used, by file name.
        sources: the cards that it extends, nearest first, each with its name and its exact bytes.
        keep_code: called with the folder before it is sealed, to copy the code that the card names.
        admit: called with the complete folder before it appears under its name; what it raises ends the launch.

    Raises:
        NameTaken: a run of this name was made meanwhile.
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    runs = folder.root.parent
    with explained(runs, "write"):
        runs.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=runs))
    try:
        staging.chmod(0o755)  # mkdtemp makes it private, but a run is shared with the team
        _fill(RunFolder(staging), launch, card, {"effective": effective, "approvals": approvals, "plan": plan})
        _keep_gate(RunFolder(staging), checks, trust or {})
        for number, (name, data) in enumerate(sources, 1):
            write_bytes(RunFolder(staging).source(number, name), data)
        keep_code(RunFolder(staging))
        seal_launch(RunFolder(staging))
        admit(RunFolder(staging))
        _publish(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(staging: RunFolder, launch: LaunchRecord, card: bytes, texts: Mapping[str, Any]) -> None:
    write_bytes(staging.card_yaml, card)
    write_text(staging.card_json, with_checksum(texts["effective"]))
    write_text(staging.approvals, _json(texts["approvals"]))  # a list has no place for a checksum: the seal has it
    write_text(staging.plan, with_checksum(texts["plan"]))
    write_record(staging.launch, launch)
    created = Created(
        run=launch.run,
        workload=launch.workload,
        card_digest=launch.card_digest,
        executor=launch.executor,
        signed_by=launch.signed_by,
        launcher=ProcessIdentity.here(),
    )
    Ledger(staging.ledger).append(created)


def _keep_gate(staging: RunFolder, checks: ChecksRecord | None, trust: Mapping[str, bytes]) -> None:
    for name, data in trust.items():
        write_bytes(staging.trust / name, data)
    if checks is not None:
        write_record(staging.checks, checks)


def _publish(staging: Path, folder: RunFolder) -> None:
    """Rename, which fails if a non-empty folder has the name, so that only one of many launches wins."""
    with explained(folder.root, "write"):
        try:
            staging.rename(folder.root)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise NameTaken(f"{folder.root} exists; another launch took the name {folder.name}") from None
            raise
        flush_folder(folder.root.parent)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
