"""Whether a run that was launched may train: its folder held against the workspace's record, and the rules of today.

No file of the run folder and no environment variable says which workspace judges. It is found from where the command
is given, and handed to every process that is started on the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.schema.sign_off import Signature
from cardrunner.common.clock import moment as now, parse_timestamp
from cardrunner.errors import CardrunnerError, GateClosed, IntegrityError
from cardrunner.gate.admission import Admission, launched_path, read_launched, sha256_hex
from cardrunner.gate.examine import examine_gate
from cardrunner.gate.findings import Finding, GateReport
from cardrunner.gate.records import recorded_blocks
from cardrunner.gate.ssh.allowed_signers import FILE_NAME as SIGNERS_FILE, read_allowed_signers
from cardrunner.gate.ssh.keys import MalformedError
from cardrunner.gate.ssh.signature import parse_signature
from cardrunner.gate.ssh.trust_files import read_revoked_keys, revoked_since
from cardrunner.launching.admission import admission_of, admitting, record_admission, sums_of
from cardrunner.runs.files import explained, open_regular, read_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import launched_workspace, load_frozen
from cardrunner.runs.lines import seal_of
from cardrunner.runs.records import STATE, LaunchRecord, Manifest, read_record, readable_record
from cardrunner.workspace import Workspace


def judged_from_here(folder: RunFolder) -> RunFolder:
    """The folder together with the workspace that judges its run, found from where the command is given.

    It is the workspace that the folder of runs is in; where that is in none, the one around the current folder. A
    workspace inside it, which the record names, adds its own rules.
    """
    if folder.workspace is not None:
        return folder
    around = Workspace.marked_around(folder.root.parent) or Workspace.around(Path.cwd())
    with contextlib.suppress(CardrunnerError, OSError):  # told where the run is judged
        launch = sha256_hex(read_regular(folder.launch))
        if (found := read_launched(around.record_places, folder.name).of(launch)) is not None:
            inner = around.records.parent / found.workspace
            around = Workspace(inner) if inner.is_dir() else around
    return replace(folder, workspace=around.root)


def judges_of(folder: RunFolder) -> Workspace:
    """The workspace that judges a run; see `judged_from_here`."""
    judged = judged_from_here(folder).workspace
    assert judged is not None
    return Workspace(judged)


def check_launched(folder: RunFolder) -> str:
    """Judge a run where it is about to train: against the record of its admission, and by the rules of today.

    Keys have to count at the time of the admission, and approvals expire at the launch alone. A folder of an earlier
    version has no record: its card is judged as a launch would, and the admission is written.

    Returns:
        the digest that the gate approved.

    Raises:
        IntegrityError: it is not the run that was admitted.
        GateClosed: the gate is closed for its content.
        EnvironmentFailed: the admission cannot be written.
    """
    workspace = judges_of(folder)
    launch = read_record(folder.launch, LaunchRecord)
    if launch.run != folder.name:
        raise IntegrityError(f"{folder.root} is a copy of the run {launch.run}; an approval is for one run")
    admission = admission_of(folder, workspace)
    if admission is None and is_of_this_version(folder, launch):
        raise GateClosed((_unrecorded(folder, workspace),))
    if admission is not None and admission.digest != launch.card_digest:
        where = launched_path(workspace.records, folder.name)
        raise IntegrityError(
            f"{where} admitted the card {admission.digest[:12]}, and launch.json, which it holds, has "
            f"{launch.card_digest[:12]}; restore it from git"
        )
    loaded = load_frozen(folder, registry.workload_spec, digest=admission.digest if admission else None)
    if admission is None and folder.name != loaded.card.name and not loaded.card.repeat:
        raise IntegrityError(f"{folder.root} is a run of the card {loaded.card.name}; an approval is for one run")
    report = _judged(folder, loaded, workspace, admission)
    if admission is not None:
        _check_files(folder, admission)
        _refuse_a_copy(folder, workspace, admission)
    else:
        with admitting(workspace, folder.name):
            record_admission(folder, workspace, loaded, report, name=folder.name, runs=folder.root.parent)
    return loaded.digest


def remarks(folder: RunFolder) -> tuple[str, ...]:
    """What would keep a run from training on, for commands that only read or collect; without judging signatures."""
    workspace = judges_of(folder)
    try:
        launch = read_record(folder.launch, LaunchRecord)
        admission = admission_of(folder, workspace)
    except CardrunnerError as error:
        return (f"not admitted: {error}",)
    if admission is None:
        if is_of_this_version(folder, launch):
            return (f"not admitted: {_unrecorded(folder, workspace).why}",)
        earlier = "launched by an earlier version, which kept no record of the admission; a resume judges it again"
        return (earlier, *_blocks(launch, workspace, launch.repeat_of or launch.run))
    used = {statement.key: statement.reviewer for statement in admission.statements if statement.key}
    return (*_blocks(launch, workspace, admission.card), *_keys(used, workspace))


def _judged(folder: RunFolder, loaded: LoadedCard, workspace: Workspace, admission: Admission | None) -> GateReport:
    """What the gate of today finds.

    Raises:
        GateClosed: something speaks against the run.
    """
    launch = read_record(folder.launch, LaunchRecord)
    used = _keys_of(loaded)
    if revoked := tuple(revoked_since(used, read_revoked_keys(workspace.levels))):
        raise GateClosed((*revoked, _advice(folder)))
    since = parse_timestamp(admission.at) if admission else now()
    report = examine_gate(loaded, workspace, now=since, admitted=admission is not None or _has_trained(folder))
    blocks = tuple(_blocks(launch, workspace, loaded.card.name))
    told = {line.partition(": has blocked")[0] for line in blocks}
    others = [replace(found, command=None) for found in report.findings if found.what not in told]
    if others or blocks:
        raise GateClosed((*others, *blocks, *((_advice(folder),) if others else ())))
    return report


def _advice(folder: RunFolder) -> str:
    return (
        f"run {folder.name} keeps the card it was launched with: once this is settled, go on with `cardrunner resume "
        f"{folder.name}`; otherwise give the card a new name, have it signed, and launch that"
    )


def is_of_this_version(folder: RunFolder, launch: LaunchRecord) -> bool:
    """Whether a version that records admissions made the folder: it says so, or its lines have checksums."""
    with explained(folder.ledger, "read"), open_regular(folder.ledger) as ledger:
        return launch.recorded or seal_of(ledger.readline()) is not None


def _unrecorded(folder: RunFolder, workspace: Workspace) -> Finding:
    path = launched_path(workspace.records, folder.name)
    why = f"there is no record of its admission in {path}; restore the file from git, where it belongs with the cards"
    return Finding(f"run {folder.name}", f"{why}, give the command in the workspace of the launch, or launch anew")


def _check_files(folder: RunFolder, admission: Admission) -> None:
    found, recorded = sums_of(folder), admission.files
    for name in sorted(found.keys() | recorded.keys()):
        if found.get(name) != recorded.get(name):
            what = "added" if name not in recorded else "removed" if name not in found else "changed"
            raise IntegrityError(
                f"{folder.root / name} was {what} after the launch, by .cardrunner/launched/{folder.name}.json; "
                "put the launched one back"
            )


def _refuse_a_copy(folder: RunFolder, workspace: Workspace, admission: Admission) -> None:
    """Refuse a copy of a run whose folder is still where it was launched."""
    original = RunFolder(workspace.records.parent / admission.runs / folder.name)
    with contextlib.suppress(OSError):
        if original.root.samefile(folder.root) or read_regular(original.launch) != read_regular(folder.launch):
            return
        raise IntegrityError(f"{folder.root} is a copy of {original.root}; an approval is for one run: resume that one")


def _has_trained(folder: RunFolder) -> bool:
    """Whether it has a full state. A run without one would begin anew, as a launch does."""
    manifest = readable_record(folder.manifest, Manifest)
    return manifest is not None and any(STATE in entry.roles for entry in manifest.entries)


def _keys_of(loaded: LoadedCard) -> Mapping[str, str]:
    """The fingerprint of each key that signed the card, and who signed with it."""
    used: dict[str, str] = {}
    for reviewer in loaded.card.sign_off.reviewers:
        if isinstance(reviewer.signed, Signature) and reviewer.signed.ssh is not None:
            with contextlib.suppress(MalformedError):  # the gate says what is wrong with it
                used[parse_signature(reviewer.signed.ssh).key.fingerprint] = reviewer.id
    return used


def _keys(used: Mapping[str, str], workspace: Workspace) -> Iterator[str]:
    """Keys of a run that do not count today."""
    if not used:
        return
    signers = read_allowed_signers(workspace.levels)
    yield from map(str, revoked_since(used, signers.revoked))
    known = {signer.key.fingerprint for signer in signers.signers}
    for fingerprint, reviewer in used.items():
        if fingerprint not in known:
            yield f"the key that {reviewer} approved this run with is not in {SIGNERS_FILE} any more, {fingerprint}"


def _blocks(launch: LaunchRecord, workspace: Workspace, card: str) -> Iterator[str]:
    """Blocks of a card by reviewers: those on record, and those that the card itself has today."""
    recorded = {block.reviewer: str(block) for block in recorded_blocks(workspace.record_places, card)}
    with contextlib.suppress(CardrunnerError):  # the file may be gone or half edited; the run has its own copy
        loaded = load_card(workspace.root / launch.card_file, registry.workload_spec)
        recorded |= {
            reviewer.id: f"has blocked this card on {reviewer.signed.at}"
            for reviewer in loaded.card.sign_off.reviewers
            if isinstance(reviewer.signed, Signature) and reviewer.signed.verdict == "block"
        }
    yield from (f"reviewer {name}: {what}; only {name} can lift it" for name, what in recorded.items())


def card_of_today(folder: RunFolder) -> LoadedCard | None:
    """The card as it is in the workspace now; None if it is gone or has faults."""
    with contextlib.suppress(CardrunnerError):
        file = read_record(folder.launch, LaunchRecord).card_file
        return load_card(launched_workspace(folder).root / file, registry.workload_spec)
    return None
