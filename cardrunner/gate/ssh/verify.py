"""Verification: is it this reviewer's signature, over exactly this statement, with a key that counts?"""

from __future__ import annotations

import datetime
import hashlib

from cardrunner.gate.ssh.allowed_signers import AllowedSigners, refused_at
from cardrunner.gate.ssh.keys import EcPoint, EdPoint, MalformedError, PublicKey, Reader, RsaNumbers
from cardrunner.gate.ssh.signature import NAMESPACE, SshSignature, parse_signature


def verify_statement(
    statement: bytes, armored: str, *, reviewer: str, signers: AllowedSigners, at: datetime.datetime
) -> str | None:
    """Verify one signature; None if it counts, else a sentence saying why not.

    Args:
        statement: see `cardrunner.gate.ssh.signature.statement_bytes`.
        reviewer: whose signature it has to be.
        at: when the key has to count, with its zone: the time of the check, never the time that the statement itself
            claims, which anyone with an expired key could date back.
    """
    if signers.faults:
        return f"no signature can be verified: {_first(signers)}"
    try:
        signature = parse_signature(armored)
    except MalformedError as error:
        return f"the signature {error}"
    if signature.namespace != NAMESPACE:
        return f"the signature was made for {signature.namespace[:60]!r}, not for {NAMESPACE!r}; it does not count here"
    if reason := untrusted(signature.key, reviewer, signers, at):
        return reason
    if not fits(signature, statement):
        return (
            "the signature does not fit: the content, run name, reviewer, verdict, time, note or a condition "
            "is not what was signed"
        )
    return None


def untrusted(key: PublicKey, reviewer: str, signers: AllowedSigners, at: datetime.datetime) -> str | None:
    """Why a key does not count for a person at a time; None if it does."""
    if (revoked := signers.revoked.place(key.fingerprint)) is not None:
        return f"the signature was made with a revoked key, {key.fingerprint} ({revoked[0]}:{revoked[1]})"
    reasons = (_unlisted(key, reviewer, each, at) for each in (signers, *signers.others))
    return next(filter(None, reasons), None)


def _unlisted(key: PublicKey, reviewer: str, signers: AllowedSigners, at: datetime.datetime) -> str | None:
    signer = signers.with_key(key)
    if signer is None:
        return f"the signature was made with a key that is not in {signers.file}, {key.fingerprint}"
    if reviewer not in signer.principals:
        owner = signer.principals[0]
        return f"the signature was made with the key of {owner}, not of {reviewer} ({signers.file}:{signer.line})"
    reason = refused_at(signer, at, file=signers.file)
    return f"the key that made the signature {reason}" if reason else None


def _first(signers: AllowedSigners) -> str:
    more = len(signers.faults) - 1
    return f"{signers.faults[0]}" + (f" (and {more} more faults)" if more else "")


def fits(signature: SshSignature, message: bytes) -> bool:
    """Whether the signature's key made it over this message."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    data = _as_signed(signature, signature.signed_data(message))
    try:
        _verify(signature, signature.key.material, data)
    except (InvalidSignature, UnsupportedAlgorithm, MalformedError, ValueError):
        return False
    return True


def _as_signed(signature: SshSignature, data: bytes) -> bytes:
    """The bytes that the key's algorithm signed: a security key adds its application, flags and counter."""
    application = signature.key.application
    if application is None or signature.flags is None or signature.counter is None:
        return data
    head = hashlib.sha256(application).digest() + bytes([signature.flags]) + signature.counter.to_bytes(4)
    return head + hashlib.sha256(data).digest()


def _verify(signature: SshSignature, material: EdPoint | EcPoint | RsaNumbers, data: bytes) -> None:
    if isinstance(material, EdPoint):
        _verify_ed25519(signature.value, material, data)
    elif isinstance(material, EcPoint):
        _verify_ecdsa(signature.value, material, data)
    else:
        _verify_rsa(signature, material, data)


def _verify_ed25519(value: bytes, point: EdPoint, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(point.data).verify(value, data)


def _verify_ecdsa(value: bytes, point: EcPoint, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve, hashed = {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }[point.curve]
    numbers = Reader(value, "the signature's value")
    r, s = numbers.positive(), numbers.positive()
    numbers.end()
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point.data)
    key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashed))


def _verify_rsa(signature: SshSignature, numbers: RsaNumbers, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    hashed = hashes.SHA512() if signature.algorithm == "rsa-sha2-512" else hashes.SHA256()
    key = rsa.RSAPublicNumbers(numbers.exponent, numbers.modulus).public_key()
    # RFC 8332, section 3: some signers omit the leading zeros
    value = signature.value.rjust((numbers.modulus.bit_length() + 7) // 8, b"\0")
    key.verify(value, data, padding.PKCS1v15(), hashed)
