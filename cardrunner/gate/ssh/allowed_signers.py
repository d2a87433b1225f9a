"""The workspace's `allowed_signers`: whose key counts for whom, in OpenSSH's format (ssh-keygen(1), ALLOWED SIGNERS).

Read more strictly than ssh-keygen does: what it accepts here, ssh-keygen accepts too, but not the other way round.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardrunner.card.reading.reader import Fault
from cardrunner.common.text import listed
from cardrunner.gate.ssh.keys import MalformedError, PublicKey, is_key_kind, parse_key_text
from cardrunner.gate.ssh.signature import NAMESPACE
from cardrunner.gate.ssh.trust_files import (
    Named,
    RevokedKeys,
    UnreadableError,
    files_of,
    parse_revoked_keys,
    read_revoked_keys,
    read_trust_file,
    text_lines,
    trust_fault,
)

_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_REVIEWER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/:-]{0,127}")
_OPTIONS = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"\\]*)")?(,|$)')
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})?)?Z")


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key, whose it is, and when it counts (both ends included)."""

    line: int
    principals: tuple[str, ...]
    key: PublicKey
    valid_after: datetime.datetime | None = None
    valid_before: datetime.datetime | None = None


def parse_signer(line: str, *, number: int) -> Signer:
    """Read a line other than a comment.

    Raises:
        MalformedError: ssh-keygen would not read it either, or it trusts more than one key for one person and this use.
    """
    first, _, rest = line.replace("\t", " ").partition(" ")
    principals = _principals(first)
    options, words = _split_options(rest.strip(" "))
    if len(words) < 2:
        raise MalformedError("has no key; after the options follow the type and base64 of the .pub file")
    key = parse_key_text(words[0], words[1])
    after, before = _window(options)
    return Signer(line=number, principals=principals, key=key, valid_after=after, valid_before=before)


def _principals(field: str) -> tuple[str, ...]:
    principals = tuple(field.split(","))
    for principal in principals:
        if any(mark in principal for mark in "*?!"):
            raise MalformedError(
                f"names {principal[:60]!r}: patterns would trust a key for more than one person; write the plain id"
            )
        if not _PRINCIPAL.fullmatch(principal):
            raise MalformedError(
                f"does not begin with the id of a person: {principal[:60]!r}; write it as in the cards"
            )
    ids = list(dict.fromkeys(name for name in principals if _REVIEWER_ID.fullmatch(name)))
    if len(ids) > 1:
        raise MalformedError(f"gives one key to {listed(ids)}; distinct keys count, so each key has one owner")
    return principals


def _split_options(rest: str) -> tuple[dict[str, str | None], list[str]]:
    words = rest.split()
    if words and is_key_kind(words[0]):
        raise MalformedError(f'has no namespaces, which trusts the key for everything; add namespaces="{NAMESPACE}"')
    if not (found := _OPTIONS.match(rest)):
        raise MalformedError("ends after the id, or has an open quote; write ID namespaces=... and the key")
    options = dict(_options(found[0]))
    if NAMESPACE not in (options.get("namespaces") or "").split(","):
        raise MalformedError(f'does not trust the key for this use; add namespaces="{NAMESPACE}"')
    return options, rest[found.end() :].split()


def _options(text: str) -> Iterator[tuple[str, str | None]]:
    seen: set[str] = set()
    position = 0
    while position < len(text):
        found = _OPTION.match(text, position)
        if not found or (found[3] and found.end() == len(text)):
            raise MalformedError(
                f"has options that cannot be read: {text[position : position + 60]!r}; quote each value"
            )
        name, value = found[1].lower(), found[2]
        _check_option(name, value)
        if name in seen:
            raise MalformedError(f"has the option {name} twice; keep one")
        seen.add(name)
        yield name, value
        position = found.end()


def _check_option(name: str, value: str | None) -> None:
    if name == "cert-authority":
        raise MalformedError(
            "trusts a certificate authority, and so keys that are not listed here; list the keys themselves"
        )
    if name not in ("namespaces", "valid-after", "valid-before"):
        raise MalformedError(f"has the option {name[:40]}; known are namespaces, valid-after and valid-before")
    if not value:
        raise MalformedError(f'has the option {name} without a value; write {name}="..."')
    if name == "namespaces":
        for namespace in value.split(","):
            if not _NAMESPACE.fullmatch(namespace):
                raise MalformedError(f"has the namespace {namespace[:60]!r}; write plain names, without patterns")


def _window(options: dict[str, str | None]) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    after, before = (_moment(name, options.get(name)) for name in ("valid-after", "valid-before"))
    if after and before and before <= after:
        raise MalformedError("has a valid-before that is not later than its valid-after, so the key never counts")
    return after, before


def _moment(name: str, text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if not found:
        hint = "; the Z at its end makes it UTC, so that it means the same on every machine"
        raise MalformedError(f"has {name}={text[:40]!r}; write YYYYMMDDZ or YYYYMMDDHHMMSSZ{hint}")
    try:
        moment = datetime.datetime(*(int(part or 0) for part in found.groups()), tzinfo=datetime.UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        raise MalformedError(f"has {name}={text[:40]!r}, which is not a valid time") from None
    if moment.year < 2000:
        raise MalformedError(f"has {name}={text[:40]!r}, which is before any SSH key; correct the year")
    return moment


FILE_NAME = "allowed_signers"


@dataclass(frozen=True, kw_only=True)
class AllowedSigners:
    """The people whose keys count. A fault in either file makes every key not count.

    Args:
        faults: of `allowed_signers` and `revoked_keys`, each with its line.
        file: what messages call the file.
        data: the bytes of `allowed_signers`; None if there is no such file.
        others: the lists of the workspaces around this one; a key counts only if they list it too.
    """

    signers: tuple[Signer, ...]
    revoked: RevokedKeys
    faults: tuple[Fault, ...] = ()
    file: str = FILE_NAME
    data: bytes | None = None
    others: tuple[AllowedSigners, ...] = ()

    def with_key(self, key: PublicKey) -> Signer | None:
        """The one line that lists this key."""
        return next((signer for signer in self.signers if signer.key.blob == key.blob), None)

    def of(self, principal: str) -> tuple[Signer, ...]:
        """The lines of one person."""
        return tuple(signer for signer in self.signers if principal in signer.principals)


def read_allowed_signers(folders: Sequence[Path]) -> AllowedSigners:
    """Read both files of a workspace and of those around it, once each. Raises nothing: see `faults`.

    The nearest list says who may sign, and each one farther out may only take from it.

    Args:
        folders: as `cardrunner.workspace.Workspace.levels`.
    """
    return signers_in(files_of(folders, FILE_NAME), read_revoked_keys(folders))


def signers_in(files: Sequence[Named], revoked: RevokedKeys) -> AllowedSigners:
    """Read these lists, the workspace's own first. Raises nothing: see `faults`."""
    found = [read for path, file in files if (read := _read(path, file)) is not None]
    if not found:
        fault = trust_fault(FILE_NAME, 1, f"there is no such file in {files[0][0].parent}; {HOW_TO_LIST}")
        return AllowedSigners(signers=(), revoked=revoked, faults=(fault, *revoked.faults))
    faults = tuple(fault for each in found for fault in each.faults)
    return replace(found[0], revoked=revoked, faults=(*faults, *revoked.faults), others=tuple(found[1:]))


def _read(path: Path, file: str) -> AllowedSigners | None:
    """One list without what is revoked; None if there is no such file."""
    try:
        data = read_trust_file(path)
    except UnreadableError as error:
        fault = trust_fault(file, error.line, str(error))
        return AllowedSigners(signers=(), revoked=parse_revoked_keys(b""), faults=(fault,), file=file)
    return None if data is None else parse_allowed_signers(data, file=file)


HOW_TO_LIST = f'give each reviewer a line: ID namespaces="{NAMESPACE}" and the content of their key\'s .pub file'


def parse_allowed_signers(data: bytes, *, revoked: RevokedKeys | None = None, file: str = FILE_NAME) -> AllowedSigners:
    """Read the content of the file. Raises nothing: see `faults`."""
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
                faults.append(trust_fault(file, number, f"the line {error}"))
    except UnreadableError as error:
        faults.append(trust_fault(file, error.line, str(error)))
    faults += revoked.faults
    return AllowedSigners(signers=tuple(signers), revoked=revoked, faults=tuple(faults), file=file, data=data)


def refused_at(signer: Signer, at: datetime.datetime, *, file: str = FILE_NAME) -> str | None:
    """Why a signer's key does not count at a moment; None when it does."""
    if signer.valid_after and at < signer.valid_after:
        return f"counts only from {signer.valid_after:%Y-%m-%d %H:%M:%S} UTC on ({file}:{signer.line})"
    if signer.valid_before and at > signer.valid_before:
        return f"expired on {signer.valid_before:%Y-%m-%d %H:%M:%S} UTC ({file}:{signer.line})"
    return None
