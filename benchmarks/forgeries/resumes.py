"""The same cards at a resume: as the frozen card of a run that crashed, and in a run folder made by hand."""

from __future__ import annotations

import shutil
from unittest import mock

from benchmarks.forgeries.office import NOW, Case, Office, load
from cardrunner.common.clock import timestamp
from cardrunner.errors import CardrunnerError
from cardrunner.gate import examine_gate
from cardrunner.launching import admission, judgement
from cardrunner.launching.admission import record_admission
from cardrunner.runs.create import create_run
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord
from cardrunner.workspace import Workspace
from tests.forgeries.rewritten import as_older


def resumes_after_a_crash(office: Office, case: Case, launched: str) -> bool:
    """Whether a crashed run would go on with this card in place of the one that was launched.

    Args:
        office: where it is tried.
        case: the card that the folder has now.
        launched: the text of the card that was admitted.
    """
    workspace = office.workspace(case.workspace)
    folder = _folder(workspace, launched, recorded=True)
    loaded, usual = load(launched), examine_gate(load(launched), office.workspace("usual"), now=NOW)
    with mock.patch.object(admission, "utc_now", return_value=timestamp(NOW)):
        record_admission(folder, workspace, loaded, usual, name=folder.name, runs=folder.root.parent)
    folder.card_yaml.write_bytes(case.text.encode())
    return _goes_on(folder, workspace)


def resumes_made_by_hand(workspace: Workspace, text: str) -> bool:
    """Whether a folder that no launch has made would go on with this card."""
    return _goes_on(_folder(workspace, text, recorded=False), workspace)


def _folder(workspace: Workspace, text: str, *, recorded: bool) -> RunFolder:
    loaded = load(text)
    name = loaded.card.name
    record = LaunchRecord(
        run=name,
        workload=loaded.card.workload,
        workspace=str(workspace.root),
        executor="inline",
        card_file=f"runcards/{name}.yaml",
        card_digest=loaded.digest,
        signed_by=(),
        created=timestamp(NOW),
        recorded=recorded,
    )
    folder = RunFolder(workspace.runs / name, workspace.root)
    create_run(folder, launch=record, card=loaded.data, effective={}, approvals=[], plan={})
    if not recorded:
        as_older(folder.root)
    return folder


def _goes_on(folder: RunFolder, workspace: Workspace) -> bool:
    try:
        with mock.patch.object(judgement, "now", return_value=NOW):
            judgement.check_launched(folder)
    except CardrunnerError:
        return False
    finally:
        shutil.rmtree(folder.root)
        shutil.rmtree(workspace.records, ignore_errors=True)
    return True
