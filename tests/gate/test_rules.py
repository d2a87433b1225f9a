from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.errors import CardError, GateClosed
from cardrunner.gate.sign_off import predicted_cost

if TYPE_CHECKING:
    from tests.gate.conftest import Desk

ROOT = Path(__file__).parents[2]
Reasons = Callable[[str], list[str]]
NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
THREE = "    - {id: scav, name: Scav, roles: [infra], signed: null}\n    - {id: lee, roles: lead, signed: null}\n"


def asking(card_text: str, extra: str = "", *, policy: str = "digest") -> str:
    """The card with three reviewers (scav: infra, lee: lead, mattie: none) and more of `sign_off`."""
    text = card_text.replace("    - {id: scav, name: Scav, signed: null}\n", THREE)
    return text.replace("policy: digest", f"policy: {policy}\n{extra}".rstrip("\n"))


# ---------------------------------------------------------------- all, or N of M


def test_without_a_number_everybody_has_to_sign(desk: Desk, card_text: str) -> None:
    assert not desk.gate(desk.sign(asking(card_text), "scav", "lee")).open
    assert desk.gate(desk.sign(asking(card_text), "scav", "lee", "mattie")).open


@pytest.mark.parametrize("people", [("scav", "lee"), ("lee", "mattie"), ("mattie", "scav")])
def test_any_two_of_three_are_enough_where_two_are_needed(desk: Desk, card_text: str, people: tuple[str, ...]) -> None:
    report = desk.gate(desk.sign(asking(card_text, "  need: 2\n"), *people))
    assert report.open
    assert sorted(report.signed_by) == sorted(people)


def test_one_of_three_is_not_enough_and_who_can_help_is_named(desk: Desk, reasons: Reasons, card_text: str) -> None:
    assert reasons(desk.sign(asking(card_text, "  need: 2\n"), "lee")) == [
        "sign_off.need: needs 2 approvals of scav, lee or mattie, and has 1; scav or mattie can give them; "
        "run: cardrunner sign runcards/small-run.yaml --as scav"
    ]


def test_where_some_are_enough_a_block_of_another_still_closes_the_gate(desk: Desk, card_text: str) -> None:
    text = desk.sign(asking(card_text, "  need: 2\n"), "scav", "lee")
    (finding,) = desk.gate(desk.sign(text, "mattie", verdict="block")).findings
    assert "blocks the launch" in finding.why


def test_where_some_are_missing_a_stale_signature_is_shown(desk: Desk, reasons: Reasons, card_text: str) -> None:
    text = desk.sign(asking(card_text, "  need: 2\n"), "scav", "lee").replace("epochs: 5", "epochs: 6")
    lines = reasons(desk.sign(text, "mattie"))
    assert [line.split(":")[0] for line in lines] == ["reviewer scav (Scav)", "reviewer lee", "sign_off.need"]
    assert "training.epochs: 5 → 6" in lines[0]
    assert desk.gate(desk.sign(desk.sign(text, "mattie"), "lee")).open, "scav's stale signature is not needed"


# ---------------------------------------------------------------- rules of the card


@pytest.mark.parametrize(
    ("rule", "enough", "short"),
    [
        ("{role: lead}", ("scav", "lee"), ("scav", "mattie")),
        ("{of: mattie}", ("scav", "mattie"), ("scav", "lee")),
        ("{of: [lee, mattie], need: 2}", ("lee", "mattie"), ("scav", "mattie")),
        ("{need: 3}", ("scav", "lee", "mattie"), ("scav", "lee")),
        ("{over: $15, role: lead}", ("lee",), ("scav",)),
        ("{over: $5, role: lead}", ("lee",), ("scav",)),
        ("{gpu: T4, role: lead}", ("lee",), ("scav",)),
        ("{gpu: [A100, 'nvidia t4'], role: lead}", ("scav",), ()),
        ("{over: $500, role: lead}", ("scav",), ()),
        ("{gpu: [A100, T40, T], role: lead}", ("scav",), ()),
    ],
)
def test_a_rule_asks_for_more(
    desk: Desk, card_text: str, rule: str, enough: tuple[str, ...], short: tuple[str, ...]
) -> None:
    """The card costs $4.52 at its slowest calibration; where a case says $15 its price is made ten times that."""
    text = asking(card_text, f"  need: 1\n  rules: [{rule}]\n")
    text = text.replace("$0.60/h", "$6/h").replace("$30", "$300")
    assert desk.gate(desk.sign(text, *enough)).open
    assert not short or not desk.gate(desk.sign(text, *short)).open


def test_a_rule_says_why_it_applies_and_who_can_sign(desk: Desk, reasons: Reasons, card_text: str) -> None:
    text = asking(card_text, "  need: 1\n  rules: [{over: $3, role: lead}, {gpu: T4, of: mattie}]\n")
    assert reasons(desk.sign(text, "scav")) == [
        "sign_off.rules[0]: needs 1 approval of role lead (it may cost $4.52, over $3.00), and has 0; lee can give it; "
        "run: cardrunner sign runcards/small-run.yaml --as lee",
        "sign_off.rules[1]: needs 1 approval of mattie (it uses a T4), and has 0; mattie can give it; "
        "run: cardrunner sign runcards/small-run.yaml --as mattie",
    ]


def test_a_run_whose_cost_cannot_be_told_counts_as_dear(desk: Desk, reasons: Reasons, card_text: str) -> None:
    text = asking(card_text, "  need: 1\n  rules: [{over: $500, role: lead}]\n")
    text = text.replace("  price: $0.60/h\n", "").replace("  budget: $30\n", "")
    assert "what the run costs is unknown without infra.price" in reasons(desk.sign(text, "scav"))[0]
    free = text.replace("  gpu: T4\n", "")
    assert desk.gate(desk.sign(free, "scav")).open, "this machine without a GPU costs nothing"


@pytest.mark.parametrize(
    ("price", "cost"),
    [("  price: $0.59/h\n", 11.37), ("  price: $0.01/h\n", 11.37), ("  price: $5/h\n", 67.23), ("", 11.37)],
)
def test_what_a_run_may_cost_has_cpu_and_memory_in_it_and_no_price_below_the_table(price: str, cost: float) -> None:
    """Or a card could write itself a price that keeps it below every tier."""
    text = (ROOT / "runcards" / "policy-22k.yaml").read_text().replace("  price: $0.59/h\n", price)
    text = text.replace("  budget: $7.50\n", "").replace("    cost: [$1.50, $4.50, $7.50]\n", "")
    loaded = load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)
    assert predicted_cost(loaded.card) == pytest.approx(cost, abs=0.005)


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("  need: 4\n", "sign_off.need: needs 4 of 3 required reviewers"),
        ("  need: 0\n", "sign_off.need: must be at least 1"),
        ("  need: most\n", "sign_off.need: must be all"),
        ("  rules: [{role: boss}]\n", "sign_off.rules[0].role: needs 1 with the role boss, and the card gives it to 0"),
        (
            "  rules: [{role: lead, need: 2}]\n",
            "sign_off.rules[0].role: needs 2 with the role lead, and the card gives it to 1",
        ),
        ("  rules: [{of: eve}]\n", "sign_off.rules[0].of: eve is not one of the reviewers"),
        ("  rules: [{of: lee, need: 2}]\n", "sign_off.rules[0].need: needs more people than the 1 that `of` names"),
        ("  rules: [{of: [lee, lee], need: 2}]\n", "needs more people than the 1 that `of` names"),
        ("  rules: [{need: 4}]\n", "sign_off.rules[0].need: needs 4 people, and there are 3 reviewers"),
        ("  rules: [{of: lee, role: lead}]\n", "sign_off.rules[0].of: is given besides role"),
        ("  rules: [{over: $1, gpu: T4}]\n", "sign_off.rules[0].gpu: is given besides over; write two rules"),
        ("  rules: [{over: 15}]\n", "sign_off.rules[0].over"),
        ("  expires: 0s\n", "sign_off.expires: must be more than 0"),
        ("  expires: soon\n", "sign_off.expires"),
    ],
)
def test_a_rule_that_nobody_could_fulfil_makes_the_card_invalid(
    desk: Desk, card_text: str, extra: str, fault: str
) -> None:
    with pytest.raises(CardError) as caught:
        desk.load(asking(card_text, extra))
    (line,) = str(caught.value).splitlines()
    assert fault in line
    assert line.startswith("runcards/small-run.yaml:")


def test_rules_need_and_roles_are_part_of_what_is_signed(desk: Desk, card_text: str) -> None:
    text = asking(card_text, "  need: 2\n  rules: [{role: lead}]\n  expires: 30d\n")
    changes = {"need: 2": "need: 1", "[{role: lead}]": "[]", "expires: 30d": "expires: 31d", "[infra]": "[infra, lead]"}
    others = [text.replace(old, new) for old, new in changes.items()]
    assert len({desk.load(other).digest for other in (text, *others)}) == 5


# ---------------------------------------------------------------- expiry


def test_an_approval_expires(desk: Desk, reasons: Reasons, card_text: str) -> None:
    text = desk.sign(asking(card_text, "  need: 1\n  expires: 30d\n"), "scav")
    assert desk.gate(text, now=NOW + datetime.timedelta(days=30)).open
    findings = desk.gate(text, now=NOW + datetime.timedelta(days=30, seconds=1)).findings
    assert "the approval of 2026-03-01T12:00:00Z has expired: approvals count for 720h" in str(findings[0])


def test_a_block_does_not_expire(desk: Desk, card_text: str) -> None:
    text = desk.sign(asking(card_text, "  need: 1\n  expires: 30d\n"), "scav", verdict="block")
    text = desk.sign(text, "lee", now=NOW + datetime.timedelta(days=60))
    assert not desk.gate(text, now=NOW + datetime.timedelta(days=60)).open


def test_under_boxes_nothing_can_expire(desk: Desk, card_text: str) -> None:
    with pytest.raises(CardError, match=r"sign_off\.expires: a tick has no time; use policy: digest or ssh"):
        desk.load(asking(card_text, "  expires: 30d\n", policy="boxes"))


# ---------------------------------------------------------------- the workspace's floor


def test_an_empty_file_only_marks_the_workspace(desk: Desk, signed_card: str) -> None:
    for text in ("", "\n", "# our rules will stand here\n", "sign_off: {}\n"):
        desk.floor(text)
        assert desk.gate(signed_card).open, text


@pytest.mark.parametrize(
    ("asked", "has", "opens"),
    [("ssh", "digest", False), ("ssh", "boxes", False), ("digest", "boxes", False), ("digest", "digest", True),
     ("boxes", "digest", True)],
)  # fmt: skip
def test_a_card_cannot_go_below_the_workspaces_policy(
    desk: Desk, reasons: Reasons, card_text: str, asked: str, has: str, opens: bool
) -> None:
    desk.floor(f"sign_off: {{policy: {asked}}}\n")
    signed = desk.sign(card_text.replace("policy: digest", f"policy: {has}"), "scav", "mattie")
    assert desk.gate(signed).open == opens
    assert opens or reasons(signed) == [
        f"sign_off.policy: is {has}, and cardrunner.yaml asks for {asked}; write policy: {asked} and have it signed"
    ]


def test_the_workspace_gives_roles_and_a_card_cannot_take_one(desk: Desk, reasons: Reasons, card_text: str) -> None:
    desk.floor("sign_off:\n  roles: {lead: [mattie]}\n  rules:\n    - {role: lead}\n")
    text = asking(card_text, "  need: 1\n")
    assert desk.gate(desk.sign(text, "mattie")).open
    assert reasons(desk.sign(text, "lee")) == [
        "cardrunner.yaml: sign_off.rules[0]: needs 1 approval of role lead, and has 0; mattie can give it; "
        "run: cardrunner sign runcards/small-run.yaml --as mattie"
    ]


def test_a_card_that_does_not_ask_whom_the_workspace_wants_is_told(
    desk: Desk, reasons: Reasons, signed_card: str
) -> None:
    desk.floor("sign_off: {rules: [{over: $4, of: lee}]}\n")
    assert reasons(signed_card) == [
        "cardrunner.yaml: sign_off.rules[0]: needs 1 approval of lee (it may cost $4.52, over $4.00), and has 0; "
        "the card does not ask enough of them: add them to sign_off.reviewers"
    ]


def test_the_shorter_expiry_counts(desk: Desk, card_text: str) -> None:
    text = desk.sign(asking(card_text, "  need: 1\n  expires: 30d\n"), "scav")
    after = NOW + datetime.timedelta(days=8)
    assert desk.gate(text, now=after).open
    desk.floor("sign_off: {expires: 7d}\n")
    assert not desk.gate(text, now=after).open
    desk.floor("sign_off: {expires: 300d}\n")
    assert not desk.gate(text, now=NOW + datetime.timedelta(days=31)).open


def test_where_approvals_expire_a_tick_does_not_count(desk: Desk, reasons: Reasons, card_text: str) -> None:
    desk.floor("sign_off: {expires: 7d}\n")
    ticked = desk.sign(card_text.replace("policy: digest", "policy: boxes"), "scav", "mattie")
    assert "the tick has no time, and approvals expire here" in reasons(ticked)[0]


def test_a_workspace_may_want_to_know_who_wrote_a_card(desk: Desk, reasons: Reasons, card_text: str) -> None:
    desk.floor("sign_off: {author: named}\n")
    assert desk.gate(desk.sign(card_text, "scav", "mattie")).open
    nobody = desk.sign(card_text.replace("author: ada\n", ""), "scav", "mattie")
    assert reasons(nobody) == ["author: is missing, and cardrunner.yaml requires it; state who wrote the card"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sign_of: {}\n", 'cardrunner.yaml:1:1: sign_of: unknown key; did you mean "sign_off"?'),
        ("sign_off:\n  polcy: ssh\n", 'cardrunner.yaml:2:3: sign_off.polcy: unknown key; did you mean "policy"?'),
        ("sign_off:\n  policy: sshh\n", "cardrunner.yaml:2:11: sign_off.policy: must be boxes, digest or ssh"),
        (
            "sign_off:\n  rules:\n    - {role: lead}\n",
            "cardrunner.yaml:3:14: sign_off.rules[0].role: needs 1 with the role lead, and roles gives it to 0",
        ),
        ("sign_off:\n  rules:\n    - {over: 15}\n", "cardrunner.yaml:3:14: sign_off.rules[0].over:"),
        ("- sign_off\n", "cardrunner.yaml:1:1:"),
        ("sign_off: &a {}\n", "cardrunner.yaml:1:11:"),
        ("sign_off: {}\nsign_off: {}\n", "cardrunner.yaml:2:1:"),
        ("\x00", "cardrunner.yaml:1:1:"),
    ],
)
def test_a_fault_in_the_workspaces_rules_closes_the_gate(
    desk: Desk, reasons: Reasons, signed_card: str, text: str, fault: str
) -> None:
    assert desk.gate(signed_card).open
    desk.floor(text)
    assert reasons(signed_card)[0].startswith(fault)


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "too large"])
def test_rules_that_cannot_be_read_close_the_gate(desk: Desk, reasons: Reasons, signed_card: str, kind: str) -> None:
    path = desk.workspace.root / "cardrunner.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "link to nothing":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(b"#" * 300_000)
    assert reasons(signed_card)[0].startswith("cardrunner.yaml:1:1: ")


# ---------------------------------------------------------------- keys count, not names


def test_two_keys_of_two_people_count_twice(ssh_desk: Desk, card_text: str) -> None:
    text = asking(card_text, "  need: 1\n  rules: [{need: 2}]\n", policy="ssh")
    assert not ssh_desk.gate(ssh_desk.sign(text, "scav")).open
    assert ssh_desk.gate(ssh_desk.sign(text, "scav", "lee")).open


def test_one_key_for_two_people_is_refused_where_keys_are_listed(ssh_desk: Desk, card_text: str) -> None:
    ssh_desk.keys["lee"] = ssh_desk.keys["scav"]
    ssh_desk.list_keys("scav", "lee", "mattie")
    with pytest.raises(GateClosed, match="lists the key of line 1 again; each key has one owner and one line"):
        ssh_desk.sign(asking(card_text, policy="ssh"), "lee")
