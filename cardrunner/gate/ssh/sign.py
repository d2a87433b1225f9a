"""Making a signature with `ssh-keygen -Y sign`: any key it can use, agents and security keys included."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cardrunner.common.terminal import at_terminal
from cardrunner.errors import EnvironmentFailed, GateClosed, UsageError
from cardrunner.gate.ssh.allowed_signers import FILE_NAME, HOW_TO_LIST, AllowedSigners
from cardrunner.gate.ssh.signature import LARGEST_ARMOR, NAMESPACE
from cardrunner.gate.ssh.trust_files import UnreadableError, read_trust_file
from cardrunner.gate.ssh.verify import verify_statement

LONGEST_WAIT = 300.0
"""Seconds for typing a passphrase and touching a security key."""
Say = Callable[[str], object]


def sign_statement(
    statement: bytes,
    *,
    reviewer: str,
    signers: AllowedSigners,
    at: datetime.datetime,
    key: Path | None = None,
    say: Say = lambda _: None,
) -> str:
    """Sign a statement, and return the signature only if it counts.

    Args:
        statement: see `cardrunner.gate.ssh.signature.statement_bytes`.
        at: the current time with its zone.
        key: a private key, or a public key whose private half an agent holds; by default the agent is asked for
            any key that `allowed_signers` lists for the reviewer.
        say: called with what the person at the keyboard has to do.

    Returns:
        the armored signature, ending with a line feed.

    Raises:
        UsageError: the key cannot be used, or no key is available.
        GateClosed: the key is not one that counts for this reviewer.
        EnvironmentFailed: ssh-keygen is not installed, or refuses to run for this user.
    """
    if signers.faults:
        raise GateClosed(signers.faults)
    program = _find_ssh_keygen()
    with tempfile.TemporaryDirectory(prefix="cardrunner-sign-") as folder:
        keys = _keys(key, reviewer, signers, Path(folder))
        armored = _signed_by_any(program, keys, statement, Path(folder), say)
    if reason := verify_statement(statement, armored, reviewer=reviewer, signers=signers, at=at):
        hint = f"sign with a key that {FILE_NAME} lists for {reviewer}, or {HOW_TO_LIST}"
        raise GateClosed((f"sign_off: {reviewer}: {reason}; {hint}",))
    return armored


def sign_text(text: bytes, *, key: Path, namespace: str, say: Say = lambda _: None) -> str:
    """Sign a text with one key, for another use than a statement.

    Args:
        text: what is signed.
        key: as in `sign_statement`.
        namespace: the use; a signature for one use does not count for another.
        say: called with what the person at the keyboard has to do.

    Returns:
        the armored signature, ending with a line feed.

    Raises:
        UsageError: the key cannot be used.
        EnvironmentFailed: ssh-keygen is not installed, or refuses to run for this user.
    """
    program = _find_ssh_keygen()
    with tempfile.TemporaryDirectory(prefix="cardrunner-sign-") as folder:
        return _signed_by_any(program, (_named(key),), text, Path(folder), say, namespace=namespace)


def _find_ssh_keygen() -> str:
    if program := shutil.which("ssh-keygen"):
        return program
    raise EnvironmentFailed(
        "ssh-keygen was not found, and policy ssh signs with it; install OpenSSH (on Debian: openssh-client)"
    )


def _keys(key: Path | None, reviewer: str, signers: AllowedSigners, folder: Path) -> Sequence[Path]:
    """The named key, else the reviewer's public keys, written to files so that the agent finds the private half."""
    if key is not None:
        return (_named(key),)
    own = signers.of(reviewer)
    if not own:
        raise GateClosed((f"sign_off: {FILE_NAME} lists no key for {reviewer}; {HOW_TO_LIST}",))
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise UsageError("--key: no ssh-agent is running; name the key to sign with")
    return tuple(_write_public(folder / f"key-{signer.line}.pub", signer.key.text) for signer in own)


def _named(key: Path) -> Path:
    path = key.absolute()  # absolute, so that a name that begins with - is not an option
    if not path.is_file():
        raise UsageError(f"--key: there is no file {path}; name your private key, such as ~/.ssh/id_ed25519")
    return path


def _write_public(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    return path


def _signed_by_any(
    program: str, keys: Sequence[Path], statement: bytes, folder: Path, say: Say, *, namespace: str = NAMESPACE
) -> str:
    """The signature of the first key that can be used; the last one's sentence when none can."""
    message = folder / "statement"
    message.write_bytes(statement)
    said = ""
    for key in keys:
        if _needs_touch(key):
            say(f"touch the security key of {key} when it blinks")
        code, said = _run([program, "-Y", "sign", "-n", namespace, "-f", str(key), str(message)], key)
        armored = folder / "statement.sig"
        if code == 0 and armored.is_file() and armored.stat().st_size <= LARGEST_ARMOR:
            return armored.read_text("ascii", errors="replace")
    if keys[0].parent == folder:
        raise UsageError("--key: ssh-agent holds none of the reviewer's keys; run ssh-add KEY, or name one with --key")
    raise _failure(said, keys[0])


def _run(argv: Sequence[str], key: Path) -> tuple[int, str]:
    """Exit code and output. A passphrase is asked for at the terminal, if there is one."""
    try:
        done = subprocess.run(
            argv,
            stdin=None if at_terminal() else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_WAIT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"--key: ssh-keygen waited {LONGEST_WAIT:.0f} s for {key} without an answer; try again"
        ) from None
    except OSError as error:
        raise EnvironmentFailed(f"{argv[0]} could not be started ({error.strerror}); reinstall OpenSSH") from None
    return done.returncode, done.stdout.decode(errors="replace")


def _needs_touch(key: Path) -> bool:
    """Whether the public half is that of a security key."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        return (read_trust_file(public) or b"").startswith(b"sk-")
    except UnreadableError:
        return False


def _failure(said: str, key: Path) -> UsageError | EnvironmentFailed:
    """The error for what ssh-keygen printed."""
    if "No user exists for uid" in said:
        return EnvironmentFailed(
            f"ssh-keygen refuses to run because the user id {os.getuid()} has no name on this machine; "
            "sign as a user with an entry in /etc/passwd (verifying needs none)"
        )
    sentence = next((sentence for words, sentence in _SENTENCES if words in said), None)
    return UsageError(f"--key: {key} {sentence or _last_words(said)}")


def _last_words(said: str) -> str:
    words = next(_visible_lines(said), "it gave no reason")
    return f"could not be used by ssh-keygen ({words}); try: ssh-keygen -y -f KEY"


def _visible_lines(said: str) -> Iterator[str]:
    for line in reversed(said.splitlines()):
        if text := "".join(filter(str.isprintable, line)).strip():
            yield text[:200]


_SENTENCES = (
    (
        "incorrect passphrase",
        "is protected by a passphrase, and it was wrong or could not be asked for; "
        "run ssh-add KEY first, or sign at a terminal",
    ),
    ("UNPROTECTED PRIVATE KEY FILE", "can be read by others, so ssh-keygen refuses it; run: chmod 600 KEY"),
    ("No private key found", "has no private half here or in ssh-agent; name the private key, or run ssh-add KEY"),
    ("Couldn't load public key", "is not a key that ssh-keygen can read; name your private key"),
)
"""What ssh-keygen prints, and what to do. Matched in this order: an unprotected key also counts as not found."""
