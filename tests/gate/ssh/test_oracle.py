"""ssh-keygen judges the same signatures: what counts here counts there, and every difference is one made on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cardrunner.gate.ssh import parse_allowed_signers, verify_statement
from cardrunner.gate.ssh.trust_files import parse_revoked_keys

if TYPE_CHECKING:
    from tests.gate.ssh.conftest import Judge, Keyring

KINDS = ("ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048", "sk-ed25519", "sk-ecdsa256")
STRICTER_BINARY = (
    "the signature has content in a place that version 1 leaves empty",  # ssh-keygen skips the reserved field
    "the signature has a name in the signature that is not plain ASCII",  # it drops a NUL at the end of a name
)
STRICTER_TEXT = (
    "the signature does not begin with",
    "the signature has something after",  # ssh-keygen stops reading at the end line
    "the signature holds more than one",
    "the signature is not an armored SSH signature",  # and skips white space between base64 characters
)
STRICTER_FILE = "no signature can be verified: "  # a line that ssh-keygen passes over closes the gate


@dataclass(frozen=True)
class Verdicts:
    reason: str | None
    oracle: bool

    def agree_but_for(self, *prefixes: str) -> bool:
        """Both say the same, or only this side refuses, for one of the reasons that are meant."""
        if self.oracle and self.reason is not None:
            return self.reason.startswith(prefixes)
        return self.oracle == (self.reason is None)


Ask = Callable[..., Verdicts]


@pytest.fixture
def ask(keyring: Keyring, judge: Judge) -> Ask:
    def run(armored: str, signers: str, *, message: bytes = b"", reviewer: str = "scav", revoked: str = "") -> Verdicts:
        message = message or keyring.statement
        parsed = parse_allowed_signers(signers.encode(), revoked=parse_revoked_keys(revoked.encode()))
        reason = verify_statement(message, armored, reviewer=reviewer, signers=parsed, at=keyring.now)
        return Verdicts(reason, judge.accepts(message, armored, signers, reviewer=reviewer, revoked=revoked))

    return run


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One small change: a bit, a byte more, a byte less, a part doubled, two bytes exchanged, the end cut off."""
    place = chance.randrange(len(data))
    other = chance.randrange(place, len(data) + 1)
    return chance.choice(
        [
            data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :],
            data[:place] + bytes([chance.randrange(256)]) + data[place:],
            data[:place] + data[place + 1 :],
            data[:other] + data[place:],
            data[:place] + data[place + 1 : place + 2] + data[place : place + 1] + data[place + 2 :],
            data[:place],
        ]
    )


@pytest.mark.parametrize("hashed", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_accept_a_signature_of_each_kind(keyring: Keyring, ask: Ask, kind: str, hashed: str) -> None:
    assert ask(keyring.sign(kind, hashed=hashed), keyring.line("scav", kind)) == Verdicts(None, True)


@pytest.mark.parametrize("kind", KINDS)
def test_both_judge_mutated_signatures_alike(keyring: Keyring, ask: Ask, kind: str) -> None:
    chance = random.Random(f"signature {kind}")
    blob, signers = keyring.unarmor(keyring.sign(kind)), keyring.line("scav", kind)
    for _ in range(40):
        changed = mutated(blob, chance)
        verdicts = ask(keyring.armor(changed), signers)
        assert verdicts.agree_but_for(*STRICTER_BINARY), (changed.hex(), verdicts)
        assert verdicts.reason is not None or changed == blob


@pytest.mark.parametrize("kind", KINDS)
def test_both_refuse_every_other_message(keyring: Keyring, ask: Ask, kind: str) -> None:
    chance = random.Random(f"message {kind}")
    armored, signers = keyring.sign(kind), keyring.line("scav", kind)
    for _ in range(10):
        message = mutated(keyring.statement, chance)
        verdicts = ask(armored, signers, message=message)
        assert verdicts.agree_but_for()
        assert (verdicts.reason is None) == (message in (keyring.statement, b""))


def test_what_is_accepted_as_text_ssh_keygen_accepts_too(keyring: Keyring, ask: Ask) -> None:
    chance = random.Random("text")
    armored, signers = keyring.sign("ed25519"), keyring.line("scav", "ed25519")
    for _ in range(120):
        changed = mutated(armored.encode(), chance).decode("latin-1")
        verdicts = ask(changed, signers)
        assert verdicts.agree_but_for(*STRICTER_TEXT), (changed, verdicts)


@pytest.mark.parametrize("reviewer", ["scav", "mattie", "Scav", "sca", "scav,mattie", "*", ""])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa256", "rsa2048"])
def test_both_count_a_key_for_its_owner_alone(keyring: Keyring, ask: Ask, kind: str, reviewer: str) -> None:
    signers = keyring.line("scav", "ed25519") + keyring.line("mattie,mattie@example.org", "ecdsa256")
    assert ask(keyring.sign(kind), signers, reviewer=reviewer).agree_but_for()


@pytest.mark.parametrize(
    "before", [None, "20260301Z", "202603011159Z", "20260301120000Z", "20260301120001Z", "20270101Z"]
)
@pytest.mark.parametrize(
    "after", [None, "20250301Z", "202603011159Z", "20260301120000Z", "20260301120001Z", "20270101Z"]
)
def test_both_count_a_key_within_its_time_alone(
    keyring: Keyring, ask: Ask, after: str | None, before: str | None
) -> None:
    limits = [f',valid-after="{after}"' if after else "", f',valid-before="{before}"' if before else ""]
    signers = keyring.line("scav", "ed25519", 'namespaces="cardrunner"' + "".join(limits))
    assert ask(keyring.sign("ed25519"), signers).agree_but_for(STRICTER_FILE)


@pytest.mark.parametrize("namespace", ["cardrunner", "git", "Cardrunner", "cardrunner2", "file"])
def test_both_refuse_another_namespace(keyring: Keyring, ask: Ask, namespace: str) -> None:
    verdicts = ask(keyring.sign("ed25519", namespace=namespace), keyring.line("scav", "ed25519"))
    assert verdicts.agree_but_for()
    assert verdicts.oracle == (namespace == "cardrunner")


@pytest.mark.parametrize("revoked", ["ed25519", "ecdsa256", "rsa2048"])
def test_both_refuse_a_revoked_key(keyring: Keyring, ask: Ask, revoked: str) -> None:
    for kind in ("ed25519", "ecdsa256"):
        verdicts = ask(keyring.sign(kind), keyring.line("scav", kind), revoked=keyring.public(revoked) + "\n")
        assert verdicts.agree_but_for()
        assert verdicts.oracle == (kind != revoked)


def test_what_a_mutated_list_of_signers_accepts_ssh_keygen_accepts_too(keyring: Keyring, ask: Ask) -> None:
    chance = random.Random("signers")
    armored = keyring.sign("ed25519")
    options = 'namespaces="cardrunner,git",valid-after="20250101Z",valid-before="20270101Z"'
    text = keyring.line("scav,scav@example.org", "ed25519", options) + keyring.line("mattie", "ecdsa256")
    accepted = 0
    for _ in range(300):
        changed = mutated(text.encode(), chance).decode("latin-1")
        verdicts = ask(armored, changed)
        assert verdicts.agree_but_for(STRICTER_FILE), (changed, verdicts)
        accepted += verdicts.reason is None
    assert accepted > 5


def test_lists_of_signers_made_of_pieces_are_read_no_wider_than_by_ssh_keygen(keyring: Keyring, ask: Ask) -> None:
    chance = random.Random("pieces")
    armored = keyring.sign("ed25519")
    principals = [
        "scav",
        "scav",
        "scav",
        "mattie",
        "scav,scav@x.org",
        "scav,scav@x.org",
        "scav,mattie",
        "*",
        "!scav,*",
        "sc?v",
        "SCAV",
    ]
    options = ['namespaces="cardrunner"', 'NameSpaces="git,cardrunner"', 'namespaces="*"', 'namespaces="git"', ""]
    more = ["", "", ",cert-authority", *(f',valid-{end}Z"' for end in ('after="20270101', 'before="20300101'))]
    more += [',valid-before="20250101"', ',valid-after="20250101Z"']
    accepted = 0
    for _ in range(200):
        rows = ""
        for _ in range(chance.randrange(1, 3)):
            key = keyring.public(chance.choice(["ed25519", "ed25519", "ecdsa256", "sk-ed25519"]))
            gap, end = chance.choice([" ", "\t"]), chance.choice(["", " me", "\r"])
            rows += f"{chance.choice(principals)}{gap}{chance.choice(options)}{chance.choice(more)} {key}{end}\n"
        verdicts = ask(armored, rows)
        assert verdicts.agree_but_for(STRICTER_FILE), (rows, verdicts)
        accepted += verdicts.reason is None
    assert accepted > 3
