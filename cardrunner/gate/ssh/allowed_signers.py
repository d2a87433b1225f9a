"""The workspace's `allowed_signers`: whose key counts for whom, in OpenSSH's format (ssh-keygen(1), ALLOWED SIGNERS).

Read more strictly than ssh-keygen does: what it accepts here, ssh-keygen accepts too, but not the other way round.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.reader import Fault
from cardrunner.gate.ssh.keys import PublicKey
from cardrunner.gate.ssh.revoked_keys import RevokedKeys, parse_revoked_keys, read_revoked_keys
from cardrunner.gate.ssh.signature import NAMESPACE
from cardrunner.gate.ssh.signer_line import Signer, parse_signer
from cardrunner.gate.ssh.trust_files import UnreadableError, read_trust_file, text_lines, trust_fault
from cardrunner.gate.ssh.wire import MalformedError

FILE_NAME = "allowed_signers"


@dataclass(frozen=True, kw_only=True)
class AllowedSigners:
    """Everybody whose key counts. With a fault in either file nobody's does.

    Args:
        faults: of `allowed_signers` and `revoked_keys`, each with its line.
        data: the bytes of `allowed_signers`; None where there is no such file.
    """

    signers: tuple[Signer, ...]
    revoked: RevokedKeys
    faults: tuple[Fault, ...] = ()
    data: bytes | None = None

    def with_key(self, key: PublicKey) -> Signer | None:
        """The one line that lists this key."""
        return next((signer for signer in self.signers if signer.key.blob == key.blob), None)

    def of(self, principal: str) -> tuple[Signer, ...]:
        """The lines of one person."""
        return tuple(signer for signer in self.signers if principal in signer.principals)


def read_allowed_signers(root: Path) -> AllowedSigners:
    """Read both files of a workspace, once. Raises nothing: see `faults`."""
    revoked = read_revoked_keys(root)
    try:
        data = read_trust_file(root / FILE_NAME)
        if data is None:
            raise UnreadableError(f"there is no such file in {root}; {HOW_TO_LIST}")
    except UnreadableError as error:
        fault = trust_fault(FILE_NAME, error.line, str(error))
        return AllowedSigners(signers=(), revoked=revoked, faults=(fault, *revoked.faults))
    return parse_allowed_signers(data, revoked=revoked)


HOW_TO_LIST = f'give each reviewer a line: ID namespaces="{NAMESPACE}" and the content of their key\'s .pub file'


def parse_allowed_signers(data: bytes, *, revoked: RevokedKeys | None = None) -> AllowedSigners:
    """Read the content of such a file. Raises nothing: see `faults`."""
    revoked = revoked or parse_revoked_keys(b"")
    signers: list[Signer] = []
    faults: list[Fault] = []
    listed: dict[bytes, int] = {}
    try:
        for number, line in text_lines(data):
            try:
                signer = parse_signer(line, number=number)
                if (first := listed.setdefault(signer.key.blob, number)) != number:
                    raise MalformedError(f"lists the key of line {first} again; each key has one owner and one line")
                signers.append(signer)
            except MalformedError as error:
                faults.append(trust_fault(FILE_NAME, number, f"the line {error}"))
    except UnreadableError as error:
        faults.append(trust_fault(FILE_NAME, error.line, str(error)))
    return AllowedSigners(signers=tuple(signers), revoked=revoked, faults=(*faults, *revoked.faults), data=data)


def refused_at(signer: Signer, at: datetime.datetime) -> str | None:
    """Why a signer's key does not count at a moment; None when it does."""
    if signer.valid_after and at < signer.valid_after:
        return f"counts only from {signer.valid_after:%Y-%m-%d %H:%M:%S} UTC on ({FILE_NAME}:{signer.line})"
    if signer.valid_before and at > signer.valid_before:
        return f"has expired on {signer.valid_before:%Y-%m-%d %H:%M:%S} UTC ({FILE_NAME}:{signer.line})"
    return None
