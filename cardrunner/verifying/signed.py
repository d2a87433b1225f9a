"""The sign-off: the frozen card's digest, and its approvals by the files of the launch and by those of today."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cardrunner.common.clock import parse_timestamp
from cardrunner.errors import IntegrityError
from cardrunner.gate.case import Case, late_clock
from cardrunner.gate.checklist import open_items
from cardrunner.gate.findings import Finding as GateFinding
from cardrunner.gate.policies import POLICIES
from cardrunner.gate.records import recorded_blocks
from cardrunner.gate.sign_off import examine_sign_off
from cardrunner.gate.trust import Trust, read_kept_trust, read_trust
from cardrunner.runs.records import ChecksRecord, find_record
from cardrunner.verifying.evidence import Evidence, json_of
from cardrunner.verifying.findings import Finding, Notice, difference

CARD, APPROVALS, LAUNCH = "card.yaml", "approvals.json", "launch.json"


def digest_is_launched(run: Evidence) -> Iterator[Finding]:
    """The digest of the frozen card, computed again, is the one that was launched."""
    if run.loaded.digest != run.launch.card_digest:
        yield difference(CARD, f"its digest is {run.loaded.digest}, and launch.json has {run.launch.card_digest}")


def approved_at_launch(run: Evidence) -> Iterator[Finding]:
    """The approvals in the frozen card open the gate by the files and the time of the launch."""
    case = _then(run)
    report = examine_sign_off(case)
    for finding in (*late_clock(case), *open_items(case), *report.findings):
        yield difference(CARD, f"{finding.what}: {finding.why}")
    signed_by = tuple(approval.id for approval in report.approvals)
    if signed_by != run.launch.signed_by:
        what = f"signed_by is {list(run.launch.signed_by)}, and the card has the approvals of"
        yield difference(LAUNCH, f"{what} {list(signed_by)}")
    rows = json_of(run.folder.approvals)
    recorded: dict[str, Any] = (
        {str(row.get("id")): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    )
    found = {approval.id: json.loads(json.dumps(approval.as_json())) for approval in report.approvals}
    if recorded.keys() != found.keys():
        yield difference(APPROVALS, f"has {sorted(recorded)}, and the card is approved by {sorted(found)}")
    for name in recorded.keys() & found.keys():
        for key in recorded[name].keys() & found[name].keys():
            if recorded[name][key] != found[name][key]:
                what = f"{key} of {name} is {recorded[name][key]!r}, and the card has {found[name][key]!r}"
                yield difference(APPROVALS, what)


def checks_passed(run: Evidence) -> Iterator[Finding]:
    """Every check of the checklist passed at the launch."""
    record = find_record(run.folder.checks, ChecksRecord)
    for row in record.rows if record is not None else ():
        if not row.ok:
            yield difference("checks.json", f"checklist {row.item}: {row.check} did not pass, and the run was launched")


def keys_of_today(run: Evidence) -> Iterator[Finding]:
    """The approvals count by the workspace's keys of today."""
    then, today = _then(run), _today(run)
    judged = replace(then, trust=Trust(signers=today.signers, floors=then.trust.floors))
    for finding in _added(judged, then):
        yield difference(CARD, f"by the keys of today {finding.what}: {finding.why}")


def floor_of_today(run: Evidence) -> Iterator[Finding]:
    """Whether the workspace asks for more today than at the launch, or a reviewer has blocked the run since."""
    then, today = _then(run), _today(run)
    raised = replace(then, trust=Trust(signers=then.trust.signers, floors=today.floors))
    for finding in _added(raised, then):
        yield Notice(f"by today's rules of the workspace, {finding.what}: {finding.why}")
    assert run.workspace is not None  # see Check.workspace
    for block in recorded_blocks(run.workspace.record_places, run.launch.repeat_of or run.launch.run):
        yield Notice(f"reviewer {block.reviewer} {block}")


def _then(run: Evidence) -> Case:
    """What the gate judges: the frozen card at the time of its launch, by the rules and keys in the run folder."""
    return Case(
        file=run.folder.card_yaml.name,
        card=run.loaded.card,
        digest=run.loaded.digest,
        records=(),  # blocks are the workspace's
        now=_launched(run),
        trust=read_kept_trust(run.folder.trust, keys=_takes_keys(run)),
    )


def _today(run: Evidence) -> Trust:
    """The rules and keys of the workspace as they are today."""
    assert run.workspace is not None  # see Check.workspace
    return read_trust(run.workspace, keys=_takes_keys(run))


def _takes_keys(run: Evidence) -> bool:
    return POLICIES[run.loaded.card.sign_off.policy].takes_key


def _added(case: Case, then: Case) -> Iterator[GateFinding]:
    """What the gate finds in one case and not in the other."""
    known = set(map(str, examine_sign_off(then).findings))
    yield from (finding for finding in examine_sign_off(case).findings if str(finding) not in known)


def _launched(run: Evidence) -> datetime.datetime:
    try:
        return parse_timestamp(run.launch.created)
    except ValueError:
        raise IntegrityError(f"{LAUNCH}: created: {run.launch.created!r} is not a time") from None
