"""Seals that a person signed with an SSH key: they hold also against somebody who can write the whole run folder."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rfc8785

from cardrunner.errors import EnvironmentFailed, IntegrityError, NameTaken, UsageError
from cardrunner.gate.ssh import AllowedSigners, parse_signature
from cardrunner.gate.ssh.allowed_signers import FILE_NAME
from cardrunner.gate.ssh.keys import MalformedError
from cardrunner.gate.ssh.sign import sign_text
from cardrunner.gate.ssh.verify import fits, untrusted
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.inspect import in_lines, run_damage
from cardrunner.runs.records import LaunchRecord, read_record
from cardrunner.runs.seals import KeptSeal, changing, is_open, newest_seal, read_seal
from cardrunner.runs.status import derive_status

NAMESPACE = "cardrunner-seal"
"""So that a signed seal is no approval of a card, and the other way round."""


@dataclass(frozen=True, kw_only=True)
class SignedSeal:
    """What a signature in a run folder says."""

    number: int
    """The seal's."""
    file: str
    signer: str
    """Whose key it is, by the workspace's `allowed_signers`."""
    problem: str | None
    """Why it does not count; None if it does."""


def sign_seal(
    folder: RunFolder, *, key: Path, signers: AllowedSigners, at: datetime.datetime, say: Callable[[str], object]
) -> Path:
    """Sign the newest seal of a run, after sealing what a killed command or attempt left open.

    Args:
        folder: the run.
        key: a private key, or a public one whose private half an agent holds; `allowed_signers` has to list it.
        signers: those of the workspace.
        at: the current time with its zone.
        say: called with what the person at the keyboard has to do.

    Returns:
        the signature's file.

    Raises:
        NameTaken: the run is live.
        IntegrityError: the run is damaged, so that its seal is not worth a signature.
        UsageError: the key cannot be used, or does not count.
        EnvironmentFailed: ssh-keygen is not installed, or the folder cannot be written.
    """
    kept = _sealed_whole(folder)
    armored = sign_text(signed_text(folder, kept), key=key, namespace=NAMESPACE, say=say)
    public = parse_signature(armored).key
    signer = signers.with_key(public)
    reason = None if signer is None else untrusted(public, signer.principals[0], signers, at)
    if signer is None or reason:
        raise UsageError(f"--key: the key {reason or f'is not in {FILE_NAME}'}; a seal is signed with one that counts")
    path = folder.seal_signature(kept.seal.number, signer.principals[0])
    write_text(path, armored)
    return path


def signed_seals(folder: RunFolder, *, signers: AllowedSigners, at: datetime.datetime) -> tuple[SignedSeal, ...]:
    """Every signature over a seal of the run, oldest first, and whether it counts."""
    paths = sorted(folder.seals.glob("*.sig")) if folder.seals.is_dir() else []
    return tuple(_checked(folder, path, signers, at) for path in paths)


def signed_text(folder: RunFolder, kept: KeptSeal) -> bytes:
    """What is signed: the run, the seal's number and its sha256, as JSON by RFC 8785.

    Raises:
        IntegrityError: ``launch.json`` is missing or damaged.
    """
    run = read_record(folder.launch, LaunchRecord).run
    return rfc8785.dumps({"run": run, "seal": kept.seal.number, "sha256": kept.digest})


def _sealed_whole(folder: RunFolder) -> KeptSeal:
    if derive_status(folder).live:
        raise NameTaken(f"run {folder.name} is live; its end seals it")
    if found := [one for one in run_damage(folder) if one.grave]:
        listed = "\n  ".join(in_lines(found))
        raise IntegrityError(f"run {folder.name} is damaged, so that its seal is not worth a signature:\n  {listed}")
    if is_open(folder):
        with changing(folder, "seal", warn=lambda _: None):
            pass
    kept = newest_seal(folder)
    if kept is None:
        raise EnvironmentFailed(f"{folder.seals} has no seal, and could not be written; see whether the disk is full")
    return kept


def _checked(folder: RunFolder, path: Path, signers: AllowedSigners, at: datetime.datetime) -> SignedSeal:
    number, _, claimed = path.stem.partition("-")
    said = SignedSeal(
        number=int(number) if number.isdigit() else 0,
        file=path.relative_to(folder.root).as_posix(),
        signer=claimed,
        problem=None,
    )
    try:
        signature = parse_signature(path.read_text("ascii", errors="replace"))
        text = signed_text(folder, read_seal(folder, said.number))
    except MalformedError as error:
        return _refused(said, f"the signature {error}")
    except IntegrityError as error:
        return _refused(said, str(error))
    if signature.namespace != NAMESPACE:
        return _refused(said, f"the signature was made for {signature.namespace[:60]!r}, not for a seal")
    if reason := untrusted(signature.key, claimed, signers, at):
        return _refused(said, reason)
    return said if fits(signature, text) else _refused(said, "the signature does not fit the seal: one was changed")


def _refused(said: SignedSeal, why: str) -> SignedSeal:
    return SignedSeal(number=said.number, file=said.file, signer=said.signer, problem=why)
