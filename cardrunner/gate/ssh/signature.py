"""One armored SSH signature (OpenSSH PROTOCOL.sshsig), read strictly: one text, one meaning."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import rfc8785

from cardrunner.card.schema.sign_off import Signature
from cardrunner.gate.ssh.keys import MalformedError, PublicKey, Reader, decode_base64, encode_string, parse_key

NAMESPACE = "cardrunner"
LARGEST_ARMOR = 16384
"""Characters; the largest RSA key that is accepted needs about 6,000."""
_MAGIC = b"SSHSIG"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_ARMOR = re.compile(rf"{_BEGIN}\n((?:[A-Za-z0-9+/=]{{1,76}}\n)+){_END}\n?")
_HASHES = ("sha256", "sha512")


@dataclass(frozen=True, kw_only=True)
class SshSignature:
    """What an armored block says.

    Args:
        value: the signature itself, in the encoding of its algorithm.
        flags: what a security key asserts, as one byte; None for other keys.
        counter: how often a security key has signed; None for other keys.
    """

    key: PublicKey
    namespace: str
    hash_name: str
    algorithm: str
    value: bytes
    flags: int | None = None
    counter: int | None = None

    def signed_data(self, message: bytes) -> bytes:
        """The bytes that a key signs for this message."""
        hashed = hashlib.new(self.hash_name, message).digest()
        parts = (self.namespace.encode(), b"", self.hash_name.encode(), hashed)
        return _MAGIC + b"".join(map(encode_string, parts))


def parse_signature(armored: str) -> SshSignature:
    """Read one armored signature; nothing may stand before or after it.

    Raises:
        MalformedError: it is anything else; the text continues "the signature ...".
    """
    reader = Reader(_unarmor(armored), "the signature")
    if reader.read(len(_MAGIC)) != _MAGIC:
        raise MalformedError("is not one that ssh-keygen -Y sign makes")
    if (version := reader.number()) != 1:
        raise MalformedError(f"has version {version}; only version 1 is known")
    key = parse_key(reader.string())
    namespace = reader.name()
    if reader.string():
        raise MalformedError("has content in a place that version 1 leaves empty")
    hash_name = reader.name()
    if hash_name not in _HASHES:
        raise MalformedError(f"uses the hash {hash_name[:40]}; only sha256 and sha512 are accepted")
    made = Reader(reader.string(), "the signature's value")
    reader.end()
    return _with_value(made, key=key, namespace=namespace, hash_name=hash_name)


def _with_value(made: Reader, *, key: PublicKey, namespace: str, hash_name: str) -> SshSignature:
    algorithm = made.name()
    if algorithm not in key.algorithms:
        allowed = " or ".join(key.algorithms)
        raise MalformedError(f"uses the algorithm {algorithm[:60]}; a key of type {key.kind} must use {allowed}")
    value = made.string()
    on_security_key = key.application is not None
    flags = made.read(1)[0] if on_security_key else None
    counter = made.number() if on_security_key else None
    made.end()
    return SshSignature(
        key=key,
        namespace=namespace,
        hash_name=hash_name,
        algorithm=algorithm,
        value=value,
        flags=flags,
        counter=counter,
    )


def _unarmor(armored: str) -> bytes:
    if len(armored) > LARGEST_ARMOR:
        raise MalformedError(f"is longer than {LARGEST_ARMOR} characters, more than any accepted key makes")
    if armored.count(_BEGIN) > 1 or armored.count(_END) > 1:
        raise MalformedError("holds more than one signature; keep exactly one")
    found = _ARMOR.fullmatch(armored)
    if not found:
        raise MalformedError(_armor_fault(armored))
    return decode_base64(found[1].replace("\n", ""))


def _armor_fault(armored: str) -> str:
    if not armored.startswith(_BEGIN):
        return f"does not begin with {_BEGIN}"
    if _END not in armored:
        return f"is truncated: {_END} is missing"
    if not armored.rstrip("\r\n").endswith(_END):
        return f"has something after {_END}"
    return "is not an armored SSH signature: its lines must be base64, at most 76 characters each"


DOMAIN = b"cardrunner sign-off 1\0"
"""Keeps a sign-off apart from anything else the same key may sign in this namespace."""


def statement_bytes(signature: Signature, *, run: str, reviewer: str, card_format: int) -> bytes:
    """A reviewer's statement in its canonical form: the domain, then canonical JSON (RFC 8785).

    Who ticked a condition later (`met`) is not part of it.

    Args:
        run: the card's name, so that an approval cannot be copied to another run.
        reviewer: the reviewer's id.
        card_format: the number after ``card:``.
    """
    return DOMAIN + rfc8785.dumps(
        {
            "at": signature.at,
            "card": card_format,
            "conditions": list(signature.conditions),
            "digest": signature.digest,
            "note": signature.note,
            "reviewer": reviewer,
            "run": run,
            "verdict": signature.verdict,
        }
    )
