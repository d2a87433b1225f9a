"""The record that the workspace keeps of the launch, against the run folder."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.gate.admission import Admission, read_launched, sha256_hex
from cardrunner.launching.admission import sums_of
from cardrunner.runs.files import explained, read_regular
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.findings import Finding, Notice, difference

CARD, LAUNCH = "card.yaml", "launch.json"


def admitted(run: Evidence) -> Iterator[Finding]:
    """The workspace admitted this run, with this card and these files."""
    found = _admission(run)
    if found is not None:
        yield from _differences(run, found)
    elif run.launch.recorded:
        assert run.workspace is not None  # see Check.workspace
        place = run.workspace.records / "launched" / f"{run.folder.name}.json"
        yield difference(LAUNCH, f"{place} has no admission of this launch", kind="unexpected")
    else:
        yield Notice("launched by an earlier version, which kept no record of the admission")


def _admission(run: Evidence) -> Admission | None:
    assert run.workspace is not None  # see Check.workspace
    with explained(run.folder.launch, "read"):
        launch = read_regular(run.folder.launch)
    return read_launched(run.workspace.record_places, run.folder.name).of(sha256_hex(launch))


def _differences(run: Evidence, found: Admission) -> Iterator[Finding]:
    if run.loaded.digest != found.digest:
        yield difference(CARD, f"its digest is {run.loaded.digest}, and the workspace admitted {found.digest}")
    here = sums_of(run.folder)
    for name in sorted(here.keys() | found.files.keys()):
        if name not in here:
            yield difference(name, "the launch wrote it, and it is gone", kind="missing")
        elif name not in found.files:
            yield difference(name, "the launch did not write it", kind="unexpected")
        elif here[name] != found.files[name]:
            yield difference(name, f"its sha256 is {here[name]}, and the launch wrote {found.files[name]}")
    if found.state == "returned" and run.rows:
        yield difference("history.jsonl", "it has rows, and the launch gave its approvals back without a step")
