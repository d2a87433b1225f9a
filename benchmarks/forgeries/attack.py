"""Everything tried once, and counted."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.forgeries.approvals import forged
from benchmarks.forgeries.changes import changed_defaults, changed_leaves
from benchmarks.forgeries.controls import controls, reformatted
from benchmarks.forgeries.office import CARDS, NOW, Case, Office, Verdict, base_card, load
from benchmarks.forgeries.resumes import resumes_after_a_crash, resumes_made_by_hand
from cardrunner.card.schema.sign_off import Signature
from cardrunner.gate.ssh import parse_allowed_signers, statement_bytes, verify_statement


@dataclass(frozen=True)
class Tally:
    """The results of the cases of a policy."""

    forgeries: Counter[tuple[str, Verdict]]
    escaped: tuple[Case, ...]
    resumed: tuple[Case, ...]
    """Those that a resume would have gone on with."""
    controls: int
    refused_controls: tuple[Case, ...]
    layouts: int
    broken_layouts: tuple[str, ...]

    @property
    def total(self) -> int:
        """Forgeries in all."""
        return sum(self.forgeries.values())


def attack(
    office: Office,
    *,
    seed: int,
    layouts: int,
    kept: int = 3,
    tries: int = 30,
    every: int = 1,
    resumed: int = 1,
    names: Sequence[str] = CARDS,
) -> Tally:
    """Try everything once.

    Args:
        seed: of every random choice.
        layouts: how many formatting-only edits.
        kept: how many changes of each leaf.
        tries: how many values are tried for them.
        every: try one in this many of all changes.
        resumed: try one in this many of all forgeries at a resume too.
        names: the shipped cards to begin with.
    """
    chance = random.Random(seed)
    cards = [base_card(name, office.policy) for name in names]
    signed = [office.signed(text) for text in cards]
    cases = [
        case
        for text in signed
        for case in (*changed_leaves(text, chance, kept=kept, tries=tries), *changed_defaults(text, tries=tries))
    ][::every]
    if office.policy == "ssh":
        cases += forged(office, cards, chance)
    verdicts = [(case, office.launches(case)) for case in cases]
    honest = [case for text in cards for case in controls(office, text)]
    other = [reformatted(signed[number % len(signed)], chance) for number in range(layouts)]
    return Tally(
        forgeries=Counter((case.kind, verdict) for case, verdict in verdicts),
        escaped=tuple(case for case, verdict in verdicts if verdict == "launched"),
        resumed=tuple(
            case for case, verdict in verdicts[::resumed] if verdict != "invalid" and _resumes(office, case, signed)
        ),
        controls=len(honest),
        refused_controls=tuple(case for case in honest if not _passes(office, case)),
        layouts=len(other),
        broken_layouts=tuple(
            text for text in other if text in signed or office.launches(Case("layout", text)) != "launched"
        ),
    )


def _resumes(office: Office, case: Case, signed: Sequence[str]) -> bool:
    """Whether a forgery goes on in any of the folders that it is put in."""
    by_hand = resumes_made_by_hand(office.workspace(case.workspace), case.text)
    return by_hand or any(resumes_after_a_crash(office, case, text) for text in signed)


def _passes(office: Office, case: Case) -> bool:
    """Whether an honest card is launched, and resumed in both kinds of folder."""
    workspace = office.workspace(case.workspace)
    again = resumes_made_by_hand(workspace, case.text) and resumes_after_a_crash(office, case, case.text)
    return again and office.launches(case) == "launched"


def verifying_seconds(office: Office, *, repetitions: int = 51) -> float:
    """The median time to verify one signature against a list of signers."""
    loaded = load(office.signed(base_card(CARDS[0], "ssh")))
    signature = loaded.card.sign_off.reviewers[0].signed
    assert isinstance(signature, Signature)
    assert signature.ssh is not None
    signers = parse_allowed_signers((office.workspace("usual").root / "allowed_signers").read_bytes())
    message = statement_bytes(signature, run=loaded.card.name, reviewer="scav", card_format=1)
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        reason = verify_statement(message, signature.ssh, reviewer="scav", signers=signers, at=NOW)
        times.append(time.perf_counter() - begun)
        assert reason is None
    return statistics.median(times)
