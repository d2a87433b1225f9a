from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cardrunner.errors import CardError, EnvironmentFailed, GateClosed, UsageError
from cardrunner.gate.ssh import parse_signature

if TYPE_CHECKING:
    from tests.gate.conftest import Desk

Reasons = Callable[[str], list[str]]
NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(days=40)


def block_of(text: str, person: str) -> str:
    """The armored block of a reviewer, as it stands on the card's line."""
    return text.partition(f"id: {person}")[2].partition('ssh: "')[2].partition('"')[0]


def test_signatures_made_with_the_reviewers_own_keys_open_the_gate(ssh_desk: Desk, ssh_signed: str) -> None:
    report = ssh_desk.gate(ssh_signed)
    assert report.findings == ()
    assert report.signed_by == ("scav", "mattie")


def test_an_approval_keeps_the_exact_statement_the_block_and_the_key(
    ssh_desk: Desk, ssh_signed: str, ssh_keygen: str, tmp_path: Path
) -> None:
    """What ssh-keygen says of the row alone, as anybody could ask it later."""
    row = json.loads(json.dumps(ssh_desk.gate(ssh_signed).approvals[0]))
    (tmp_path / "signature").write_text(row["ssh"] + "\n")
    argv = [ssh_keygen, "-Y", "verify", "-n", "cardrunner", "-I", "scav", "-s", str(tmp_path / "signature")]
    argv += ["-f", str(tmp_path / "allowed_signers")]
    ran = subprocess.run(argv, input=row["statement"].encode(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert row["fingerprint"] in ran.stdout.decode()
    assert row["fingerprint"] == parse_signature(row["ssh"]).key.fingerprint


def test_the_files_that_were_trusted_are_in_the_report(ssh_desk: Desk, ssh_signed: str, tmp_path: Path) -> None:
    ssh_desk.floor("sign_off: {policy: ssh}\n")
    (tmp_path / "revoked_keys").write_text("# none\n")
    files = ssh_desk.gate(ssh_signed).trust_files
    assert {name: hashlib.sha256(data).digest() for name, data in files.items()} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).digest()
        for name in ("cardrunner.yaml", "allowed_signers", "revoked_keys")
    }


def test_a_signature_without_a_key_does_not_count(ssh_desk: Desk, reasons: Reasons, ssh_signed: str) -> None:
    block = block_of(ssh_signed, "scav")
    assert reasons(ssh_signed.replace(f', ssh: "{block}"', "")) == [
        "reviewer scav (Scav): the signature was not made with a key; "
        "run: cardrunner sign runcards/small-run.yaml --as scav"
    ]


def test_a_bare_tick_does_not_count(ssh_desk: Desk, reasons: Reasons, ssh_card: str) -> None:
    assert "a bare `signed: true` is not signed" in reasons(ssh_card.replace("signed: null", "signed: true"))[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T11:59:59Z"),
        ("verdict: approve", "verdict: approve, note: fine"),
        ("verdict: approve", "verdict: approve, conditions: [nothing]"),
    ],
)
def test_no_part_of_a_statement_can_be_changed(
    ssh_desk: Desk, reasons: Reasons, ssh_signed: str, old: str, new: str
) -> None:
    lines = reasons(ssh_signed.replace(old, new, 1))
    assert len(lines) == 1
    assert "the signature does not fit" in lines[0]


def test_a_signature_of_one_reviewer_does_not_count_for_another(
    ssh_desk: Desk, reasons: Reasons, ssh_signed: str
) -> None:
    copied = ssh_signed.replace(block_of(ssh_signed, "mattie"), block_of(ssh_signed, "scav"))
    assert "was made with the key of scav, not of mattie" in reasons(copied)[0]


def test_a_signature_for_another_run_does_not_count(ssh_desk: Desk, reasons: Reasons, ssh_card: str) -> None:
    """Even where somebody makes the digest fit by hand."""
    other = ssh_desk.sign(ssh_card.replace("name: small-run", "name: other-run"), "scav", "mattie")
    moved = other.replace("name: other-run", "name: small-run")
    digests = ssh_desk.load(other).digest, ssh_desk.load(moved).digest
    assert "signed different content" in reasons(moved)[0]
    assert "the signature does not fit" in reasons(moved.replace(*digests))[0]


def test_a_block_counts_even_when_its_signature_does_not(ssh_desk: Desk, reasons: Reasons, ssh_signed: str) -> None:
    assert "blocks the launch" in reasons(ssh_signed.replace("verdict: approve", "verdict: block", 1))[0]
    assert ssh_desk.gate(ssh_signed).open


# ---------------------------------------------------------------- keys that do not count


def test_a_stranger_cannot_sign(ssh_desk: Desk, ssh_card: str) -> None:
    ssh_desk.keys["scav"] = ssh_desk.keys["eve"]
    with pytest.raises(
        GateClosed, match=r"a key that is not in allowed_signers.*give each reviewer a line|lists for scav"
    ):
        ssh_desk.sign(ssh_card, "scav")


def test_a_reviewer_without_a_listed_key_is_told_before_anybody_is_asked(ssh_desk: Desk, ssh_card: str) -> None:
    ssh_desk.list_keys("mattie")
    with pytest.raises(GateClosed, match=r"reviewer scav .*allowed_signers lists no key for them; give each reviewer"):
        ssh_desk.sign(ssh_card, "scav")


def test_the_authors_key_cannot_review_under_another_name(ssh_desk: Desk, ssh_card: str) -> None:
    ssh_desk.keys["scav"] = ssh_desk.keys["ada"]
    with pytest.raises(GateClosed, match="was made with the key of ada, not of scav"):
        ssh_desk.sign(ssh_card, "scav")


def test_a_key_is_judged_at_the_time_of_the_launch(ssh_desk: Desk, ssh_card: str) -> None:
    expiring = 'scav namespaces="cardrunner",valid-before="20260315Z"'
    ssh_desk.list_keys("scav", "mattie", scav=expiring)
    signed = ssh_desk.sign(ssh_card, "scav", "mattie")
    assert ssh_desk.gate(signed).open
    (finding,) = ssh_desk.gate(signed, now=LATER).findings
    assert "expired on 2026-03-15" in finding.why


def test_a_revoked_key_counts_no_more(ssh_desk: Desk, reasons: Reasons, ssh_signed: str, tmp_path: Path) -> None:
    (tmp_path / "revoked_keys").write_text(ssh_desk.public("scav") + " lost at the station\n")
    (line,) = reasons(ssh_signed)
    assert "made with a revoked key" in line
    assert "revoked_keys:1" in line


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('* namespaces="cardrunner" {eve}\n', "patterns would trust a key for more than one person"),
        (
            'scav namespaces="cardrunner" {scav}\nmattie namespaces="cardrunner" {scav}\n',
            "lists the key of line 1 again",
        ),
        ('scav,mattie namespaces="cardrunner" {scav}\n', "distinct keys count, so each key has one owner"),
        ("scav {scav}\n", "has no namespaces, which trusts the key for everything"),
        ("", "lists no key|not in allowed_signers"),
        ("scav\x00", "may not hold|U+0000|NUL|control"),
    ],
)
def test_a_list_of_signers_that_trusts_too_much_closes_the_gate(
    ssh_desk: Desk, ssh_signed: str, reasons: Reasons, tmp_path: Path, content: str, sentence: str
) -> None:
    text = content.replace("{scav}", ssh_desk.public("scav")).replace("{eve}", ssh_desk.public("eve"))
    (tmp_path / "allowed_signers").write_text(text)
    lines = reasons(ssh_signed)
    assert len(lines) == 2
    assert any(part in lines[0] for part in sentence.split("|")), lines[0]


@pytest.mark.parametrize("name", ["allowed_signers", "revoked_keys"])
def test_a_fifo_in_place_of_a_list_closes_the_gate_at_once(
    ssh_desk: Desk, reasons: Reasons, ssh_signed: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    assert "is not a regular file" in reasons(ssh_signed)[0]


def test_without_a_list_nobody_counts(ssh_desk: Desk, reasons: Reasons, ssh_signed: str, tmp_path: Path) -> None:
    (tmp_path / "allowed_signers").unlink()
    lines = reasons(ssh_signed)
    assert len(lines) == 2
    assert "allowed_signers:1:1: there is no such file" in lines[0]


# ---------------------------------------------------------------- the block itself


@pytest.mark.parametrize("cut", [1, 10, 40, 100, 200])
def test_a_truncated_block_does_not_count(ssh_desk: Desk, reasons: Reasons, ssh_signed: str, cut: int) -> None:
    block = block_of(ssh_signed, "scav")
    (line,) = reasons(ssh_signed.replace(block, block[:-cut]))
    assert "reviewer scav (Scav): the signature " in line


def test_two_signatures_in_one_block_do_not_count(ssh_desk: Desk, reasons: Reasons, ssh_signed: str) -> None:
    block = block_of(ssh_signed, "scav")
    (line,) = reasons(ssh_signed.replace(block, f"{block}\\n{block_of(ssh_signed, 'mattie')}"))
    assert "holds more than one signature" in line


@pytest.mark.parametrize("text", ["", " ", "APPROVED", "-----BEGIN SSH SIGNATURE-----", "a" * 20_000])
def test_something_else_in_its_place_does_not_count(
    ssh_desk: Desk, reasons: Reasons, ssh_signed: str, text: str
) -> None:
    changed = ssh_signed.replace(block_of(ssh_signed, "scav"), text)
    if text.strip():
        assert "reviewer scav (Scav): the signature " in reasons(changed)[0]
    else:
        with pytest.raises(CardError, match=r"signed\.ssh: is empty"):
            ssh_desk.gate(changed)


def test_a_block_written_over_several_lines_counts_as_well(ssh_desk: Desk, ssh_signed: str) -> None:
    """Formatting is not content: a person may lay the block out as a literal text."""
    mark = ssh_signed.partition("      signed: ")[2].rstrip("\n")
    fields, _, block = mark.strip("{}").partition(', ssh: "')
    lines = block.rstrip('"').split("\\n")
    loose = "\n".join(f"        {field}" for field in fields.split(", "))
    armored = "\n".join(f"          {line}" for line in lines)
    text = ssh_signed.replace(mark, f"\n{loose}\n        ssh: |\n{armored}")
    assert text != ssh_signed
    assert ssh_desk.gate(text).findings == ()


def test_verifying_a_card_with_two_signatures_takes_less_than_five_milliseconds_each(
    ssh_desk: Desk, ssh_signed: str
) -> None:
    def once(text: str) -> float:
        begun = time.perf_counter()
        ssh_desk.gate(text)
        return time.perf_counter() - begun

    ssh_desk.gate(ssh_signed)
    with_keys = sorted(once(ssh_signed) for _ in range(15))[7]
    plain = sorted(once(ssh_signed.replace("policy: ssh", "policy: digest")) for _ in range(15))[7]
    assert (with_keys - plain) / 2 < 0.005


# ---------------------------------------------------------------- making one without what it needs


def test_verifying_needs_no_ssh_keygen(
    ssh_desk: Desk, ssh_signed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ssh_desk.gate(ssh_signed).open


def test_signing_without_ssh_keygen_says_what_to_install(
    ssh_desk: Desk, ssh_card: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        EnvironmentFailed, match="ssh-keygen was not found, and policy ssh signs with it; install OpenSSH"
    ):
        ssh_desk.sign(ssh_card, "scav")


def test_signing_without_a_key_and_without_an_agent_says_so(
    ssh_desk: Desk, ssh_card: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh_desk.keys.clear()
    with pytest.raises(UsageError, match="--key: no ssh-agent is running; name the key to sign with"):
        ssh_desk.sign(ssh_card, "scav")
