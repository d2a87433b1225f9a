"""Whom a workspace trusts: its rules and its keys, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cardrunner.gate.floor import FILE_NAME as FLOOR_FILE, Floor, read_floor
from cardrunner.gate.ssh.allowed_signers import FILE_NAME as SIGNERS_FILE, AllowedSigners, read_allowed_signers
from cardrunner.gate.ssh.revoked_keys import FILE_NAME as REVOKED_FILE, RevokedKeys


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The root of trust.

    Args:
        signers: whose keys count.
        floor: what every sign-off has to fulfil.
    """

    signers: AllowedSigners = field(default_factory=lambda: AllowedSigners(signers=(), revoked=RevokedKeys(lines={})))
    floor: Floor = field(default_factory=Floor)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The bytes that were read, by file name; a run folder keeps them."""
        read = {
            FLOOR_FILE: self.floor.data,
            SIGNERS_FILE: self.signers.data,
            REVOKED_FILE: self.signers.revoked.data,
        }
        return {name: data for name, data in read.items() if data is not None}


def read_trust(root: Path, *, keys: bool) -> Trust:
    """Read the files of a workspace, or the copies of a run folder. Raises nothing: their faults are in the parts.

    Args:
        keys: read `allowed_signers` and `revoked_keys` too, which only `policy: ssh` needs.
    """
    floor = read_floor(root)
    return Trust(floor=floor, signers=read_allowed_signers(root)) if keys else Trust(floor=floor)
