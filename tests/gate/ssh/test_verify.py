from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from cardrunner.gate.ssh import NAMESPACE, parse_allowed_signers, parse_signature, verify_statement
from cardrunner.gate.ssh.keys import MalformedError
from cardrunner.gate.ssh.trust_files import parse_revoked_keys

if TYPE_CHECKING:
    from tests.gate.ssh.conftest import Keyring

KINDS = ("ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048", "sk-ed25519", "sk-ecdsa256")
Verify = Callable[..., str | None]


@pytest.fixture
def verify(keyring: Keyring) -> Verify:
    """Verify a signature of scav, whose key is ed25519; the key of mattie is ecdsa256."""
    everybody = keyring.line("scav", "ed25519") + keyring.line("mattie", "ecdsa256")

    def run(armored: str, *, signers: str = everybody, reviewer: str = "scav", revoked: str = "") -> str | None:
        parsed = parse_allowed_signers(signers.encode(), revoked=parse_revoked_keys(revoked.encode()))
        return verify_statement(keyring.statement, armored, reviewer=reviewer, signers=parsed, at=keyring.now)

    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hashed", ["sha256", "sha512"])
def test_what_a_key_of_each_kind_signs_is_accepted(keyring: Keyring, verify: Verify, kind: str, hashed: str) -> None:
    assert verify(keyring.sign(kind, hashed=hashed), signers=keyring.line("scav", kind)) is None


def test_a_changed_statement_does_not_fit(keyring: Keyring, verify: Verify) -> None:
    reason = verify(keyring.sign("ed25519", keyring.statement + b" "))
    assert reason is not None
    assert reason.startswith("the signature does not fit: the content, run name, reviewer, verdict")


def test_a_strangers_key_is_named_by_its_fingerprint(keyring: Keyring, verify: Verify) -> None:
    reason = verify(keyring.sign("rsa2048"))
    assert reason is not None
    assert reason.startswith("the signature was made with a key that is not in allowed_signers, SHA256:")


def test_another_reviewers_key_does_not_count(keyring: Keyring, verify: Verify) -> None:
    reason = verify(keyring.sign("ecdsa256"))
    assert reason == "the signature was made with the key of mattie, not of scav (allowed_signers:2)"


def test_a_signature_for_another_namespace_says_nothing(keyring: Keyring, verify: Verify) -> None:
    reason = verify(keyring.sign("ed25519", namespace="git"))
    assert reason == "the signature was made for 'git', not for 'cardrunner'; it does not count here"


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(keyring: Keyring) -> None:
    key = parse_signature(keyring.sign("ed25519")).key
    assert key.text == keyring.public("ed25519")
    assert key.fingerprint == keyring.fingerprint("ed25519")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ('valid-before="20260301Z"', "expired on 2026-03-01 00:00:00 UTC (allowed_signers:1)"),
        ('valid-before="20260301115959Z"', "expired on 2026-03-01 11:59:59 UTC (allowed_signers:1)"),
        ('valid-after="20260302Z"', "counts only from 2026-03-02 00:00:00 UTC on (allowed_signers:1)"),
        ('valid-after="20260301Z",valid-before="202603011200Z"', None),
        ('valid-after="202603011200Z"', None),
    ],
)
def test_a_key_counts_within_its_time_alone(keyring: Keyring, verify: Verify, options: str, reason: str | None) -> None:
    signers = keyring.line("scav", "ed25519", f'namespaces="cardrunner",{options}')
    expected = reason and f"the key that made the signature {reason}"
    assert verify(keyring.sign("ed25519"), signers=signers) == expected


def test_an_expired_key_does_not_count_whatever_time_the_statement_claims(keyring: Keyring) -> None:
    signers = parse_allowed_signers(
        keyring.line("scav", "ed25519", 'namespaces="cardrunner",valid-before="20260301Z"').encode()
    )
    dated_back = b'{"at":"2026-02-01T00:00:00Z"}'
    armored = keyring.sign("ed25519", dated_back)
    late, early = keyring.now, keyring.now - datetime.timedelta(days=9)
    assert verify_statement(dated_back, armored, reviewer="scav", signers=signers, at=late) is not None
    assert verify_statement(dated_back, armored, reviewer="scav", signers=signers, at=early) is None


def test_a_revoked_key_counts_no_more_by_key_or_fingerprint(keyring: Keyring, verify: Verify) -> None:
    armored = keyring.sign("ed25519")
    fingerprint = keyring.fingerprint("ed25519")
    expected = f"the signature was made with a revoked key, {fingerprint} (revoked_keys:2)"
    for line in (fingerprint, f"{fingerprint} lost laptop", keyring.public("ed25519")):
        assert verify(armored, revoked=f"# lost\n{line}\n") == expected
    assert verify(armored, revoked=keyring.public("ecdsa256")) is None


@pytest.mark.parametrize("revoked", ["SHA256:short\n", "sha256:abc\n", "garbage", "ssh-ed25519\n", "\xe9", "SHA1:x"])
def test_a_list_of_revoked_keys_that_cannot_be_read_closes_the_gate(
    keyring: Keyring, verify: Verify, revoked: str
) -> None:
    reason = verify(keyring.sign("ed25519"), revoked=revoked)
    assert reason is not None
    assert reason.startswith("no signature can be verified: revoked_keys:1:1: ")


def test_one_fault_in_allowed_signers_closes_the_gate_for_all(keyring: Keyring, verify: Verify) -> None:
    signers = keyring.line("scav", "ed25519") + keyring.line("*", "ecdsa256") + keyring.line("!scav", "ecdsa384")
    reason = verify(keyring.sign("ed25519"), signers=signers)
    assert reason == (
        "no signature can be verified: allowed_signers:2:1: the line names '*': patterns would trust a key for more "
        "than one person; write the plain id (and 1 more faults)"
    )


def test_a_block_must_stand_alone_and_whole(keyring: Keyring, verify: Verify) -> None:
    armored = keyring.sign("ed25519")
    lines = armored.splitlines()
    for text, reason in [
        (armored + armored, "holds more than one signature"),
        (armored + keyring.sign("ecdsa256"), "holds more than one signature"),
        (armored + "and more\n", "has something after"),
        (armored + "\n\n", "is not an armored SSH signature"),
        ("\n" + armored, "does not begin with"),
        ("", "does not begin with"),
        ("APPROVED", "does not begin with"),
        ("\n".join(lines[:-1]), "is truncated"),
        ("\n".join([*lines[:-2], lines[-1]]), ""),
        ("\n".join([lines[0], lines[-1]]), "is not an armored"),
        (armored.replace("\n", "\r\n"), "is not an armored"),
        (armored.replace("U1NI", "U1N\xe9"), "is not an armored"),
        (lines[0] + "\n" + "U1NI" * 5000 + "\n" + lines[-1], "is longer than 16384"),
        (keyring.armor(b""), "is not an armored"),
        (keyring.armor(b"SSHSIG"), "is truncated inside the signature"),
        (keyring.armor(b"SSHSIX\0\0\0\1"), "is not one that ssh-keygen"),
    ]:
        answer = verify(text)
        assert answer is not None, text
        assert answer.startswith(f"the signature {reason}"), answer
    assert verify(armored.rstrip("\n")) is None


def test_every_truncation_is_refused(keyring: Keyring, verify: Verify) -> None:
    armored = keyring.sign("ed25519")
    blob = keyring.unarmor(armored)
    assert all(verify(armored[:length]) for length in range(len(armored) - 1))
    assert all(verify(keyring.armor(blob[:length])) for length in range(len(blob)))
    assert verify(keyring.armor(blob + b"\0")) == "the signature has 1 bytes too many in the signature"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "the signature has version 2; only version 1 is known"),
        ({"namespace": b"cardrunner\0"}, "the signature has a name in the signature that is not plain ASCII"),
        ({"namespace": b""}, "the signature was made for '', not for 'cardrunner'; it does not count here"),
    ],
)
def test_another_head_is_refused(
    keyring: Keyring, verify: Verify, changes: dict[str, bytes | int], reason: str
) -> None:
    public = base64.b64decode(keyring.public("ed25519").split()[1])
    value = keyring.string(b"ssh-ed25519") + keyring.string(bytes(64))
    assert verify(keyring.armor(keyring.signature_blob(public, value, **changes))) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", [b"ssh-rsa", b"ssh-ed25519", b"rsa-sha2-1024"])
def test_an_rsa_key_signs_with_sha2_alone(keyring: Keyring, verify: Verify, algorithm: bytes) -> None:
    public = base64.b64decode(keyring.public("rsa2048").split()[1])
    value = keyring.string(algorithm) + keyring.string(bytes(256))
    reason = verify(keyring.armor(keyring.signature_blob(public, value)))
    assert reason == (
        f"the signature uses the algorithm {algorithm.decode()}; a key of type ssh-rsa must use "
        "rsa-sha2-512 or rsa-sha2-256"
    )


@pytest.mark.parametrize("hashed", [b"md5", b"sha1", b"sha384", b"", b"SHA512"])
def test_other_message_hashes_are_refused(keyring: Keyring, verify: Verify, hashed: bytes) -> None:
    blob = keyring.unarmor(keyring.sign("ed25519"))
    changed = blob.replace(keyring.string(b"sha512"), keyring.string(hashed), 1)
    reason = verify(keyring.armor(changed))
    assert reason is not None
    assert reason.startswith(f"the signature uses the hash {hashed.decode()};")


def test_the_place_kept_for_the_future_must_be_empty(keyring: Keyring, verify: Verify) -> None:
    blob = keyring.unarmor(keyring.sign("ed25519"))
    hidden = blob.replace(b"cardrunner" + bytes(4), b"cardrunner" + keyring.string(b"hidden"), 1)
    assert verify(keyring.armor(hidden)) == "the signature has content in a place that version 1 leaves empty"


@pytest.mark.parametrize("kind", KINDS)
def test_verifying_takes_less_than_five_milliseconds(keyring: Keyring, kind: str) -> None:
    armored = keyring.sign(kind)
    signers = parse_allowed_signers(keyring.line("scav", kind).encode())

    def once() -> float:
        begun = time.perf_counter()
        assert verify_statement(keyring.statement, armored, reviewer="scav", signers=signers, at=keyring.now) is None
        return time.perf_counter() - begun

    assert sorted(once() for _ in range(15))[7] < 0.005


def test_the_parser_says_what_is_wrong_and_raises_nothing_else(keyring: Keyring) -> None:
    with pytest.raises(MalformedError, match="does not begin"):
        parse_signature("no signature")
    assert parse_signature(keyring.sign("ed25519")).namespace == NAMESPACE
