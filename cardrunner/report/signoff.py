"""Who signed what, and the checklist with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cardrunner.card.schema.sign_off import ChecklistItem
from cardrunner.gate.policies import POLICIES
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, sentence, when
from cardrunner.runs.records import CheckRow


@dataclass(frozen=True, kw_only=True)
class SignOffFacts:
    """What `signoff.md.j2` shows."""

    policy: str
    remark: str | None
    digest: Code
    """Digest of the card in the run folder, computed again for this page."""
    unchanged: bool | None
    """Whether it is the digest that was launched; None if the launch left no record."""
    launched: Code | None
    floors: tuple[Code, ...]
    """The files whose rules the launch was judged by, the workspace's own first."""
    approvals: Table
    checklist: Table


def sign_off_facts(run: RecordedRun) -> SignOffFacts:
    """Collect what the section "Sign-off" shows."""
    policy = run.card.sign_off.policy
    launched = run.launch.card_digest if run.launch else None
    return SignOffFacts(
        policy=policy,
        remark=sentence(remark) if (remark := POLICIES[policy].remark) else None,
        digest=Code(run.loaded.digest),
        unchanged=None if launched is None else launched == run.loaded.digest,
        launched=Code(launched) if launched else None,
        floors=tuple(map(Code, run.launch.floors if run.launch else ())),
        approvals=_approvals(run),
        checklist=_checklist(run),
    )


def _approvals(run: RecordedRun) -> Table:
    heads = ("Reviewer", "Verdict", "When", "Digest", "Conditions", "Note")
    rows = tuple(_approval(run, entry) for entry in run.approvals)
    keys = tuple(_text(entry.get("fingerprint")) for entry in run.approvals)
    if not any(keys):
        return Table(heads, "llllll", rows)
    with_keys = tuple((*row, Code(key) if key else None) for row, key in zip(rows, keys, strict=True))
    return Table((*heads, "Key"), "lllllll", with_keys)


def _approval(run: RecordedRun, entry: Mapping[str, Any]) -> tuple[Cell, ...]:
    digest = entry.get("digest")
    return (
        _text(entry.get("id")),
        _text(entry.get("verdict")),
        when(_text(entry.get("at"))),
        _digest_cell(digest if isinstance(digest, str) else None, run.loaded.digest),
        "; ".join(_conditions(entry)) or None,
        _text(entry.get("note")),
    )


def _conditions(entry: Mapping[str, Any]) -> Iterator[str]:
    met = {tick.get("condition"): tick for tick in entry.get("met") or ()}
    for condition in entry.get("conditions") or ():
        tick = met.get(condition)
        unsigned = "; ticked, not signed" if entry.get("fingerprint") else ""
        met_by = f"(met: {tick.get('by')}, {when(str(tick.get('at')))}{unsigned})" if tick else "(open)"
        yield f"{condition} {met_by}"


def _digest_cell(signed: str | None, own: str) -> Cell:
    if signed is None:
        return "not bound to a digest"
    return Code(signed[:12]) if signed == own else Strong(f"{signed[:12]}, not this card's")


def _checklist(run: RecordedRun) -> Table:
    heads = ("", "Item", "Done", "By", "When", "Evidence")
    keys = POLICIES[run.card.sign_off.policy].takes_key
    rows = [_item(number, item, keys=keys) for number, item in enumerate(run.card.checklist, start=1)]
    checks = {row.item: row for row in run.checks.rows} if run.checks else {}
    if not checks:
        return Table(heads, "rlllll", tuple(rows))
    at_launch = [_at_launch(checks.get(number)) for number in range(1, len(rows) + 1)]
    with_checks = tuple((*row, cell) for row, cell in zip(rows, at_launch, strict=True))
    return Table((*heads, "Checked at the launch"), "rllllll", with_checks)


def _item(number: int, item: ChecklistItem, *, keys: bool) -> tuple[Cell, ...]:
    ticked = "ticked, not signed" if keys and not item.check else "yes"
    return str(number), item.item, ticked if item.done else Strong("no"), item.by, when(item.at), item.evidence


def _at_launch(row: CheckRow | None) -> Cell:
    if row is None:
        return None
    passed = "passed" if row.ok else "failed"
    return f"{passed} on {when(row.at)}: {row.ending}" + (f"\n{row.output}" if row.output else "")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
