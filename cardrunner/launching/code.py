"""The code of a script as a launch keeps it in the run folder: the copy, its record, and the patch since the commit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from cardrunner.gate.code import keep_code as copy_code
from cardrunner.gate.code_listing import FIELD
from cardrunner.gate.code_state import changed_files, patch_of
from cardrunner.plan import Planned
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import KeptCode, KeptPatch, write_record

MOST_BYTES: Final = 1_000_000
"""Of a patch that a run keeps."""


def keep_code(planned: Planned, staging: RunFolder) -> None:
    """Copy the code that the card names, and record which files it is and what they differ in from their commit.

    Raises:
        EnvironmentFailed: a file cannot be copied, or the copy is not what was signed.
        UsageError: the code folder is not usable.
    """
    card, workspace = planned.loaded.card, planned.workspace
    kept = copy_code(card, workspace, staging.code)
    if kept is None or card.code is None:
        return
    here = replace(kept, folder=workspace.inside(card.code.folder or ".", field=FIELD))
    changed = changed_files(here)
    patch, record = patch_of(here, changed or ()), None
    if patch is not None:
        data = patch.text.encode()
        whole = len(data) <= MOST_BYTES
        record = KeptPatch(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), whole=whole, hidden=patch.hidden)
        if whole:
            write_text(staging.code_patch, patch.text)
    code = KeptCode(
        folder=kept.folder.relative_to(staging.code).as_posix(),
        files=kept.files,
        sha256=kept.sha256,
        commit=kept.commit,
        changed=changed,
        patch=record,
        sums=kept.sums,
    )
    write_record(staging.code_record, code)
