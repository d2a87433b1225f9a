"""May it run?"""

from __future__ import annotations

import datetime

from cardrunner.card.load import LoadedCard
from cardrunner.gate.case import Case, utc_now
from cardrunner.gate.checklist import open_items
from cardrunner.gate.findings import GateReport
from cardrunner.gate.sign_off import examine_sign_off
from cardrunner.workspace import Workspace


def examine_gate(loaded: LoadedCard, workspace: Workspace, *, now: datetime.datetime | None = None) -> GateReport:
    """Find every open box of a card. Executes nothing from the card and writes nothing.

    Args:
        loaded: the card, read once; what is judged here is what must run.
        workspace: where signed contents are kept.
        now: the current time with its zone, for signatures dated in the future; the system's clock where not given.
    """
    case = gate_case(loaded, workspace, now=now)
    signatures = examine_sign_off(case)
    return GateReport(
        findings=(*open_items(case), *signatures.findings),
        signed_by=tuple(approval.id for approval in signatures.approvals),
        approvals=tuple(approval.as_json() for approval in signatures.approvals),
    )


def gate_case(loaded: LoadedCard, workspace: Workspace, *, now: datetime.datetime | None = None) -> Case:
    """What the gate judges: the card with its digest, here and now."""
    return Case(
        file=str(loaded.path), card=loaded.card, digest=loaded.digest, records=workspace.records, now=now or utc_now()
    )
