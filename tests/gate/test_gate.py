from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from cardrunner.errors import CardError, UsageError
from cardrunner.gate.ssh import statement_bytes

if TYPE_CHECKING:
    from tests.gate.conftest import Desk

Reasons = Callable[[str], list[str]]
FUTURE = datetime.datetime(2026, 3, 1, 12, 6, tzinfo=datetime.UTC)


def test_a_card_that_is_done_and_signed_by_all_is_open(desk: Desk, signed_card: str) -> None:
    report = desk.gate(signed_card)
    assert report.open
    assert report.findings == ()
    assert report.signed_by == ("scav", "mattie")


def test_approvals_are_plain_rows_with_the_digest_that_was_signed(desk: Desk, signed_card: str) -> None:
    rows = desk.gate(signed_card).approvals
    assert rows[0] == {
        "id": "scav", "digest": desk.load(signed_card).digest, "verdict": "approve", "at": "2026-03-01T12:00:00Z",
        "note": None, "conditions": [], "met": [], "policy": "digest", "ssh": None, "fingerprint": None,
        "statement": statement_bytes(
            desk.load(signed_card).card.sign_off.reviewers[0].signed,  # type: ignore[arg-type]
            run="small-run", reviewer="scav", card_format=1,
        ).decode(),
    }  # fmt: skip


def test_every_missing_reviewer_is_named_with_the_command(reasons: Reasons, card_text: str) -> None:
    assert reasons(card_text) == [
        "reviewer scav (Scav): has not signed; run: cardrunner sign runcards/small-run.yaml --as scav",
        "reviewer mattie (Mattie): has not signed; run: cardrunner sign runcards/small-run.yaml --as mattie",
    ]


def test_one_of_two_reviewers_is_not_enough(desk: Desk, reasons: Reasons, card_text: str) -> None:
    assert [line.split(":")[0] for line in reasons(desk.sign(card_text, "scav"))] == ["reviewer mattie (Mattie)"]


def test_every_open_item_is_named_with_the_command_that_closes_it(reasons: Reasons, signed_card: str) -> None:
    assert reasons(signed_card.replace("done: true", "done: false")) == [
        "checklist 1 (the data is there): its check has not passed; run: cardrunner check runcards/small-run.yaml 1",
        "checklist 2 (somebody looked at the loss): is not done; "
        "run: cardrunner check runcards/small-run.yaml 2 --done --as YOUR-ID",
    ]


def test_ticking_after_signing_keeps_the_signatures(desk: Desk, card_text: str) -> None:
    early = desk.sign(card_text.replace("done: true", "done: false"), "scav", "mattie")
    assert desk.gate(early.replace("done: false", "done: true")).open


def test_a_reviewer_who_is_not_required_may_stay_silent(desk: Desk, card_text: str) -> None:
    optional = card_text.replace("name: Scav,", "name: Scav, required: false,")
    report = desk.gate(desk.sign(optional, "mattie"))
    assert report.open
    assert report.signed_by == ("mattie",)


# ---------------------------------------------------------------- blocks


def test_a_block_closes_the_gate_and_says_why(desk: Desk, reasons: Reasons, signed_card: str) -> None:
    blocked = desk.sign(signed_card, "scav", verdict="block", note="the split is wrong")
    assert reasons(blocked) == [
        'reviewer scav (Scav): blocks the launch ("the split is wrong"); only scav can sign again to lift it; '
        "run: cardrunner sign runcards/small-run.yaml --as scav"
    ]


def test_a_block_stays_when_the_card_changes(desk: Desk, reasons: Reasons, signed_card: str) -> None:
    changed = desk.sign(signed_card, "scav", verdict="block").replace("epochs: 5", "epochs: 6")
    assert "blocks the launch; the card has changed since: training.epochs: 5 → 6" in reasons(changed)[0]


def test_a_block_of_a_reviewer_who_is_not_required_closes_the_gate(desk: Desk, card_text: str) -> None:
    optional = card_text.replace("name: Scav,", "name: Scav, required: false,")
    assert not desk.gate(desk.sign(desk.sign(optional, "mattie"), "scav", verdict="block")).open


def test_a_block_counts_even_when_its_time_cannot_be(desk: Desk, reasons: Reasons, signed_card: str) -> None:
    blocked = desk.sign(signed_card, "scav", verdict="block", now=FUTURE)
    assert "blocks the launch" in reasons(blocked)[1]


def test_the_author_of_a_block_lifts_it(desk: Desk, signed_card: str) -> None:
    assert desk.gate(desk.sign(desk.sign(signed_card, "scav", verdict="block"), "scav")).open


# ---------------------------------------------------------------- what a signature is bound to


def test_a_change_of_content_closes_the_gate_and_is_shown(desk: Desk, reasons: Reasons, signed_card: str) -> None:
    before, after = desk.load(signed_card).digest, desk.load(signed_card.replace("epochs: 5", "epochs: 6")).digest
    assert reasons(signed_card.replace("epochs: 5", "epochs: 6"))[0] == (
        f"reviewer scav (Scav): signed different content ({before[:12]}, now {after[:12]}): "
        "training.epochs: 5 → 6; "
        "only scav can sign again to sign what it is now; run: cardrunner sign runcards/small-run.yaml --as scav"
    )


def test_many_changes_are_shortened(reasons: Reasons, signed_card: str) -> None:
    changed = signed_card
    for old, new in (
        ("epochs: 5", "epochs: 6"),
        ("seed: 7", "seed: 8"),
        ("size: 32", "size: 64"),
        ("12h", "11h"),
        ("$30", "$40"),
        ("Tiny", "Big"),
    ):
        changed = changed.replace(old, new, 1)
    assert "; and 2 more; only scav" in reasons(changed)[0]


def test_a_signed_content_that_is_not_kept_is_said(desk: Desk, reasons: Reasons, card_text: str) -> None:
    signed = desk.sign(card_text, "scav", "mattie", keep=False)
    assert desk.gate(signed).open
    assert (
        "what changed is unknown, because the signed content is not in .cardrunner/signed"
        in reasons(signed.replace("seed: 7", "seed: 8"))[0]
    )


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"name": NaN}', b"[" * 100_000, b"\xff"])
def test_a_damaged_signed_content_is_as_good_as_none(
    desk: Desk, reasons: Reasons, signed_card: str, damage: bytes
) -> None:
    desk.keep(desk.load(signed_card)).write_bytes(damage)
    assert "what changed is unknown" in reasons(signed_card.replace("seed: 7", "seed: 8"))[0]


def test_a_signature_moved_to_a_card_of_another_name_does_not_count(
    desk: Desk, reasons: Reasons, signed_card: str
) -> None:
    lines = reasons(signed_card.replace("name: small-run", "name: large-run"))
    assert len(lines) == 2
    assert 'name: "small-run" → "large-run"' in lines[0]


def test_dropping_a_reviewer_closes_the_gate(reasons: Reasons, signed_card: str) -> None:
    dropped = signed_card[: signed_card.index("    - id: mattie")]
    assert [line.split(":")[0] for line in reasons(dropped)] == ["reviewer scav (Scav)"]


def test_making_a_reviewer_optional_closes_the_gate(desk: Desk, card_text: str) -> None:
    signed = desk.sign(card_text, "mattie")
    assert not desk.gate(signed.replace("name: Scav,", "name: Scav, required: false,")).open


def test_lowering_the_policy_to_boxes_closes_the_gate(reasons: Reasons, signed_card: str) -> None:
    lines = reasons(signed_card.replace("policy: digest", "policy: boxes"))
    assert len(lines) == 2
    assert all('sign_off.policy: "digest" → "boxes"' in line for line in lines)


def test_a_signature_copied_under_another_reviewer_is_still_bound_to_the_content(desk: Desk, card_text: str) -> None:
    """Policy digest does not authenticate the signer: this is what ssh is for."""
    signed = desk.sign(card_text, "scav")
    mark = signed.partition("name: Scav, signed: ")[2].partition("}\n")[0]
    assert desk.gate(f"{signed.rpartition('null')[0]}{mark}\n").open
    assert not desk.gate(f"{signed.rpartition('null')[0]}{mark}\n".replace("epochs: 5", "epochs: 6")).open


# ---------------------------------------------------------------- marks that are no signature


def test_a_bare_true_does_not_count_under_digest(reasons: Reasons, card_text: str) -> None:
    assert reasons(card_text.replace("signed: null", "signed: true"))[0] == (
        "reviewer scav (Scav): a bare `signed: true` is not bound to the content and does not count under policy "
        "digest; run: cardrunner sign runcards/small-run.yaml --as scav"
    )


@pytest.mark.parametrize("mark", ["null", "false", ""])
def test_an_empty_box_is_not_signed(reasons: Reasons, card_text: str, mark: str) -> None:
    text = card_text.replace("      signed: null", f"      signed: {mark}")
    assert "has not signed" in reasons(text)[1]


@pytest.mark.parametrize(
    "mark", ["yes", "APPROVED", "1", "{}", "{verdict: approve}", "{digest: abc, verdict: approve, at: now}", "[true]"]
)
def test_a_mark_of_another_kind_makes_the_card_invalid(desk: Desk, card_text: str, mark: str) -> None:
    with pytest.raises(CardError, match=r"sign_off\.reviewers"):
        desk.gate(card_text.replace("      signed: null", f"      signed: {mark}"))


@pytest.mark.parametrize("line", ["status: APPROVED\n", "approved: true\n"])
def test_a_typed_status_makes_the_card_invalid(desk: Desk, signed_card: str, line: str) -> None:
    with pytest.raises(CardError, match="unknown"):
        desk.gate(signed_card + line)


def test_an_author_who_reviews_makes_the_card_invalid(desk: Desk, signed_card: str) -> None:
    with pytest.raises(CardError, match="author"):
        desk.gate(signed_card.replace("author: ada", "author: Scav"))


def test_a_truncated_signature_makes_the_card_invalid(desk: Desk, signed_card: str) -> None:
    digest = desk.load(signed_card).digest
    with pytest.raises(CardError, match="digest"):
        desk.gate(signed_card.replace(digest, digest[:-1]))


# ---------------------------------------------------------------- time


def test_a_signature_from_the_future_does_not_count(desk: Desk, reasons: Reasons, card_text: str) -> None:
    lines = reasons(desk.sign(card_text, "scav", "mattie", now=FUTURE))
    assert len(lines) == 3
    assert lines[0] == (
        "clock: it is 2026-03-01T12:00:00Z here, earlier than the signature of scav of 2026-03-01T12:06:00+00:00; "
        "set this machine's clock, or correct that time"
    )
    assert (
        "the signature is dated in the future (2026-03-01T12:06:00Z, and it is 2026-03-01T12:00:00Z here)" in lines[1]
    )


def test_a_clock_a_little_ahead_is_forgiven(desk: Desk, card_text: str) -> None:
    assert desk.gate(desk.sign(card_text, "scav", "mattie", now=FUTURE - datetime.timedelta(minutes=1))).open


@pytest.mark.parametrize(
    "time",
    [
        "2026-13-45T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "yesterday",
        "2026-02-26T10:00:00",
        "2026-02-26",
        "2026-02-26T25:00:00Z",
    ],
)
def test_an_impossible_time_does_not_count(reasons: Reasons, signed_card: str, time: str) -> None:
    lines = reasons(signed_card.replace("2026-03-01T12:00:00Z", time))
    assert len(lines) == 2
    assert f"the signature's time '{time}' is not a valid time" in lines[0]


# ---------------------------------------------------------------- conditions


def test_conditions_of_an_approval_are_open_items(desk: Desk, reasons: Reasons, card_text: str) -> None:
    signed = desk.sign(desk.sign(card_text, "mattie"), "scav", conditions=("rerun the baseline", "tell the team"))
    assert reasons(signed) == [
        "condition 1 of scav (rerun the baseline): is not met; "
        "run: cardrunner check runcards/small-run.yaml condition:scav:1 --done --as YOUR-ID",
        "condition 2 of scav (tell the team): is not met; "
        "run: cardrunner check runcards/small-run.yaml condition:scav:2 --done --as YOUR-ID",
    ]


def test_met_conditions_open_the_gate_and_are_recorded(desk: Desk, card_text: str) -> None:
    signed = desk.sign(desk.sign(card_text, "mattie"), "scav", conditions=("tell the team",))
    met = signed.replace(
        '"tell the team"]', '"tell the team"], met: [{condition: tell the team, by: ada, at: "2026-03-01T11:00:00Z"}]'
    )
    report = desk.gate(met)
    assert report.open
    assert report.approvals[0]["met"] == [{"condition": "tell the team", "by": "ada", "at": "2026-03-01T11:00:00Z"}]


def test_a_met_condition_that_was_never_asked_for_meets_nothing(desk: Desk, card_text: str) -> None:
    signed = desk.sign(desk.sign(card_text, "mattie"), "scav", conditions=("tell the team",))
    met = signed.replace('"tell the team"]', '"tell the team"], met: [{condition: tell nobody, by: ada, at: now}]')
    assert not desk.gate(met).open


# ---------------------------------------------------------------- policies


def test_under_boxes_a_tick_counts_and_is_bound_to_nothing(desk: Desk, card_text: str) -> None:
    ticked = card_text.replace("policy: digest", "policy: boxes").replace("signed: null", "signed: true")
    report = desk.gate(ticked)
    assert report.open
    assert report.approvals[0]["policy"] == "boxes"
    assert report.approvals[0]["digest"] is None
    assert desk.gate(ticked.replace("epochs: 5", "epochs: 6")).open


def test_under_boxes_an_open_box_is_missing(reasons: Reasons, card_text: str) -> None:
    assert len(reasons(card_text.replace("policy: digest", "policy: boxes"))) == 2


@pytest.mark.parametrize("extra", [{"verdict": "block"}, {"note": "fine"}, {"conditions": ("more tea",)}])
def test_under_boxes_there_is_only_a_tick(desk: Desk, card_text: str, extra: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="policy boxes is a plain tick"):
        desk.sign(card_text.replace("policy: digest", "policy: boxes"), "scav", **extra)  # type: ignore[arg-type]


def test_a_finding_is_one_line_whatever_the_card_says(reasons: Reasons, signed_card: str) -> None:
    changed = signed_card.replace("goal: Learn whether it works.", f"goal: |\n  One\n  two {'three ' * 200}")
    assert all(len(line.splitlines()) == 1 and len(line) < 700 for line in reasons(changed))
