"""The workspace's `revoked_keys`: keys whose signatures no longer count, whenever they were made.

One key a line: a fingerprint (``SHA256:...``) or a public key as in a ``.pub`` file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.reading.reader import Fault
from cardrunner.gate.ssh.keys import MalformedError, is_key_kind, parse_key_text
from cardrunner.gate.ssh.trust_files import UnreadableError, read_trust_file, text_lines, trust_fault

FILE_NAME = "revoked_keys"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, kw_only=True)
class RevokedKeys:
    """Fingerprints of revoked keys, each with the line that lists it.

    Args:
        data: the file's bytes; None if there is no file.
    """

    lines: dict[str, int]
    faults: tuple[Fault, ...] = ()
    data: bytes | None = None


def read_revoked_keys(root: Path) -> RevokedKeys:
    """Read the file of a workspace; without one, no key is revoked. Raises nothing: see `faults`."""
    try:
        data = read_trust_file(root / FILE_NAME)
    except UnreadableError as error:
        return RevokedKeys(lines={}, faults=(trust_fault(FILE_NAME, error.line, str(error)),))
    return RevokedKeys(lines={}) if data is None else parse_revoked_keys(data)


def revoked_since(approvals: Path, root: Path) -> Iterator[Fault]:
    """Faults in the approvals of a run: keys that the workspace revoked after the launch.

    Args:
        approvals: the run's ``approvals.json``.
        root: the workspace.
    """
    try:
        rows = json.loads(approvals.read_bytes())
        used = {row["fingerprint"]: row["id"] for row in rows if row.get("fingerprint")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return  # the approvals themselves are judged by their signatures
    revoked = read_revoked_keys(root)
    if used:
        yield from revoked.faults
    for fingerprint, reviewer in used.items():
        if line := revoked.lines.get(fingerprint):
            why = f"the key that {reviewer} approved this run with has been revoked, {fingerprint}"
            yield trust_fault(FILE_NAME, line, why)


def parse_revoked_keys(data: bytes) -> RevokedKeys:
    """Read the content of the file. Raises nothing: see `faults`."""
    lines: dict[str, int] = {}
    faults: list[Fault] = []
    try:
        for number, line in text_lines(data):
            try:
                lines.setdefault(_fingerprint(line), number)
            except MalformedError as error:
                faults.append(trust_fault(FILE_NAME, number, f"the line {error}"))
    except UnreadableError as error:
        faults.append(trust_fault(FILE_NAME, error.line, str(error)))
    return RevokedKeys(lines=lines, faults=tuple(faults), data=data)


def _fingerprint(line: str) -> str:
    words = line.split()
    if _FINGERPRINT.fullmatch(words[0]):
        return words[0]
    if is_key_kind(words[0]) and len(words) > 1:
        return parse_key_text(words[0], words[1]).fingerprint
    raise MalformedError(
        "is neither a fingerprint (SHA256:... with 43 characters, from ssh-keygen -l) nor a public key"
    )
