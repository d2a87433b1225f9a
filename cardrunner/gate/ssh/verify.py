"""Is it this reviewer's signature, over exactly this statement, with a key that counts?"""

from __future__ import annotations

import datetime

from cardrunner.gate.ssh.allowed_signers import FILE_NAME, AllowedSigners, refused_at
from cardrunner.gate.ssh.cryptographic import fits
from cardrunner.gate.ssh.keys import PublicKey
from cardrunner.gate.ssh.revoked_keys import FILE_NAME as REVOKED
from cardrunner.gate.ssh.signature import NAMESPACE, parse_signature
from cardrunner.gate.ssh.wire import MalformedError


def verify_statement(
    statement: bytes, armored: str, *, reviewer: str, signers: AllowedSigners, at: datetime.datetime
) -> str | None:
    """Verify one signature. None means that it counts; a sentence says why it does not.

    Args:
        statement: see `cardrunner.gate.ssh.statement.statement_bytes`.
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
        return f"the signature was made for {signature.namespace[:60]!r}, not for {NAMESPACE!r}; it says nothing here"
    if reason := _untrusted(signature.key, reviewer, signers, at):
        return reason
    if not fits(signature, statement):
        return (
            "the signature does not fit: the content, run name, reviewer, verdict, time, note or a condition "
            "is not what was signed"
        )
    return None


def _untrusted(key: PublicKey, reviewer: str, signers: AllowedSigners, at: datetime.datetime) -> str | None:
    line = signers.revoked.lines.get(key.fingerprint)
    if line is not None:
        return f"the signature was made with a revoked key, {key.fingerprint} ({REVOKED}:{line})"
    signer = signers.with_key(key)
    if signer is None:
        return f"the signature was made with a key that is not in {FILE_NAME}, {key.fingerprint}"
    if reviewer not in signer.principals:
        owner = signer.principals[0]
        return f"the signature was made with the key of {owner}, not of {reviewer} ({FILE_NAME}:{signer.line})"
    reason = refused_at(signer, at)
    return f"the key that made the signature {reason}" if reason else None


def _first(signers: AllowedSigners) -> str:
    more = len(signers.faults) - 1
    return f"{signers.faults[0]}" + (f" (and {more} more faults)" if more else "")
