"""The record that the workspace keeps of the launch, against the run folder."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.errors import IntegrityError
from cardrunner.gate.admission import Admission, launched_path, read_launched, sha256_hex
from cardrunner.launching.admission import sums_of
from cardrunner.launching.judgement import is_of_this_version
from cardrunner.runs.files import explained, read_regular
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.findings import Finding, Notice, difference
from cardrunner.workspace import Workspace

CARD, LAUNCH = "card.yaml", "launch.json"


def admitted(run: Evidence) -> Iterator[Finding]:
    """The workspace admitted this run, with this card and these files."""
    assert run.workspace is not None  # see Check.workspace
    try:
        found = _admission(run, run.workspace)
    except IntegrityError as error:  # the record itself is damaged, or left in conflict by a merge
        yield difference(_place(run), " ".join(str(error).split()))
        return
    if found is not None:
        yield from _differences(run, found)
    elif is_of_this_version(run.folder, run.launch):
        place = launched_path(run.workspace.records, run.folder.name)
        yield difference(LAUNCH, f"{place} has no admission of this launch", kind="unexpected")
    else:
        yield Notice("launched by an earlier version, which kept no record of the admission")


def _place(run: Evidence) -> str:
    """The file of the record, as people find it in the workspace."""
    return f".cardrunner/launched/{run.folder.name}.json"


def _admission(run: Evidence, workspace: Workspace) -> Admission | None:
    with explained(run.folder.launch, "read"):
        launch = read_regular(run.folder.launch)
    return read_launched(workspace.record_places, run.folder.name).of(sha256_hex(launch))


def _differences(run: Evidence, found: Admission) -> Iterator[Finding]:
    if run.launch.card_digest != found.digest:
        what = f"it admitted the card {found.digest}, and {LAUNCH}, which it holds, has {run.launch.card_digest}"
        yield difference(_place(run), what)
    elif run.loaded.digest != found.digest:
        yield difference(CARD, f"its digest is {run.loaded.digest}, and the workspace admitted {found.digest}")
    here = sums_of(run.folder)
    for name in sorted(here.keys() | found.files.keys()):
        if name not in here:
            yield difference(name, f"by {_place(run)} the launch wrote it, and it is gone", kind="missing")
        elif name not in found.files:
            yield difference(name, f"by {_place(run)} the launch did not write it", kind="unexpected")
        elif here[name] != found.files[name]:
            what = f"its sha256 is {here[name]}, and by {_place(run)} the launch wrote {found.files[name]}"
            yield difference(name, what)
    if found.state == "returned" and run.rows:
        yield difference("history.jsonl", "it has rows, and the launch gave its approvals back without a step")
