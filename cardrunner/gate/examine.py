"""The examination of a card by the gate: may it run?"""

from __future__ import annotations

import datetime

from cardrunner.card.load import LoadedCard
from cardrunner.common.clock import moment
from cardrunner.gate.case import Case, late_clock
from cardrunner.gate.checklist import open_items
from cardrunner.gate.code import code_findings
from cardrunner.gate.findings import GateReport
from cardrunner.gate.policies import POLICIES
from cardrunner.gate.sign_off import examine_sign_off
from cardrunner.gate.trust import read_trust
from cardrunner.workspace import Workspace


def examine_gate(
    loaded: LoadedCard, workspace: Workspace, *, now: datetime.datetime | None = None, admitted: bool = False
) -> GateReport:
    """Find every open box of a card. Executes nothing from the card and writes nothing.

    Args:
        loaded: the card, read once; what is judged here is what must run.
        workspace: where its rules, its keys and signed contents are kept.
        now: the time at which approvals have to count, with its zone; the system's clock where not given.
        admitted: it was admitted before, at `now`: its approvals do not expire any more.
    """
    case = gate_case(loaded, workspace, now=now, admitted=admitted)
    signatures = examine_sign_off(case)
    code = () if admitted else tuple(code_findings(loaded.card, workspace))  # a run has its own copy
    return GateReport(
        findings=(*late_clock(case), *open_items(case), *signatures.findings, *code),
        signed_by=tuple(approval.id for approval in signatures.approvals),
        approvals=tuple(approval.as_json() for approval in signatures.approvals),
        trust_files=case.trust.files,
        floors=tuple(str(floor.path) for floor in case.trust.floors),
    )


def gate_case(
    loaded: LoadedCard, workspace: Workspace, *, now: datetime.datetime | None = None, admitted: bool = False
) -> Case:
    """What the gate judges: the card with its digest, here and now."""
    return Case(
        file=str(loaded.path),
        card=loaded.card,
        digest=loaded.digest,
        records=workspace.record_places,
        now=now or moment(),
        trust=read_trust(workspace, keys=POLICIES[loaded.card.sign_off.policy].takes_key),
        admitted=admitted,
    )
