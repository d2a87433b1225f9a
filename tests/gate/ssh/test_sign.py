from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cardrunner.errors import EnvironmentFailed, GateClosed, UsageError
from cardrunner.gate.ssh import parse_allowed_signers, sign_statement

if TYPE_CHECKING:
    from tests.gate.ssh.conftest import Judge, Keyring

Sign = Callable[..., str]
FILE_KINDS = ("ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048")


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """No agent, and no window that asks for a passphrase."""
    for name in ("SSH_AUTH_SOCK", "DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sign(keyring: Keyring) -> Sign:
    """Sign as scav, whose key is ed25519, unless said otherwise."""

    def run(key: Path | None, *, signers: str | None = None, reviewer: str = "scav") -> str:
        text = keyring.line("scav", "ed25519") if signers is None else signers
        parsed = parse_allowed_signers(text.encode())
        return sign_statement(keyring.statement, reviewer=reviewer, signers=parsed, at=keyring.now, key=key)

    return run


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """An ssh-agent of its own; call it to add a key."""
    socket = tmp_path / "agent"
    try:
        process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        pytest.skip("ssh-agent is not installed")

    def add(key: Path) -> None:
        subprocess.run(["ssh-add", "-q", str(key)], check=True, stdin=subprocess.DEVNULL)

    with process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens now
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield add
        process.terminate()


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_what_is_signed_here_ssh_keygen_accepts(keyring: Keyring, judge: Judge, sign: Sign, kind: str) -> None:
    signers = keyring.line("scav", kind)
    armored = sign(keyring.folder / kind, signers=signers)
    assert judge.accepts(keyring.statement, armored, signers, reviewer="scav")


def test_a_key_may_be_named_relative_and_begin_with_a_dash(
    keyring: Keyring, sign: Sign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "-Yfind-principals"
    key.write_bytes((keyring.folder / "ed25519").read_bytes())
    key.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    assert sign(Path("-Yfind-principals")).startswith("-----BEGIN SSH SIGNATURE-----\n")


def test_nothing_is_left_beside_the_key(keyring: Keyring, sign: Sign, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes((keyring.folder / "ed25519").read_bytes())
    key.chmod(0o600)
    sign(key)
    assert list(tmp_path.iterdir()) == [key]


def test_a_key_that_is_not_there_is_named(sign: Sign, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--key: there is no file .*/nowhere; name your private key"):
        sign(tmp_path / "nowhere")


def test_a_file_that_is_no_key_is_named(sign: Sign, tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text("card: 1\n")
    with pytest.raises(UsageError, match=r"--key: .*/card.yaml (is not a key that|could not be used by) ssh-keygen"):
        sign(tmp_path / "card.yaml")


def test_a_key_that_others_can_read_is_refused_with_the_command(keyring: Keyring, sign: Sign, tmp_path: Path) -> None:
    key = tmp_path / "open"
    key.write_bytes((keyring.folder / "ed25519").read_bytes())
    key.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others, so ssh-keygen refuses it; run: chmod 600 KEY"):
        sign(key)


def test_a_passphrase_that_nobody_can_be_asked_for_is_said_at_once(keyring: Keyring, sign: Sign) -> None:
    key = keyring.make("locked", passphrase="a secret")
    with pytest.raises(UsageError, match=r"is protected by a passphrase, .* run ssh-add KEY first") as raised:
        sign(key, signers=keyring.line("scav", "locked"))
    assert "a secret" not in str(raised.value)


def test_a_public_key_without_its_other_half_is_named(keyring: Keyring, sign: Sign, tmp_path: Path) -> None:
    public = tmp_path / "alone.pub"
    public.write_text(keyring.public("ed25519") + "\n")
    with pytest.raises(UsageError, match="has no private half here or in ssh-agent"):
        sign(public)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("rsa2048", "made with a key that is not in allowed_signers, SHA256:"),
        ("ecdsa256", "made with the key of mattie, not of scav"),
    ],
)
def test_a_key_that_is_not_the_reviewers_signs_nothing(keyring: Keyring, sign: Sign, kind: str, reason: str) -> None:
    signers = keyring.line("scav", "ed25519") + keyring.line("mattie", "ecdsa256")
    with pytest.raises(GateClosed, match=reason) as raised:
        sign(keyring.folder / kind, signers=signers)
    assert "sign with a key that allowed_signers lists for scav" in str(raised.value)


def test_an_expired_key_signs_nothing(keyring: Keyring, sign: Sign) -> None:
    signers = keyring.line("scav", "ed25519", 'namespaces="cardrunner",valid-before="20260201Z"')
    with pytest.raises(GateClosed, match="expired on 2026-02-01"):
        sign(keyring.folder / "ed25519", signers=signers)


def test_nobody_signs_while_the_list_of_signers_is_faulty(keyring: Keyring, sign: Sign) -> None:
    with pytest.raises(GateClosed, match=r"allowed_signers:1:1: .* patterns would trust"):
        sign(keyring.folder / "ed25519", signers=keyring.line("*", "ed25519"))


def test_without_ssh_keygen_the_sentence_says_what_to_install(
    keyring: Keyring, sign: Sign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailed, match=r"ssh-keygen was not found, .* install OpenSSH"):
        sign(keyring.folder / "ed25519")


def test_without_key_and_agent_the_sentence_asks_for_the_key(sign: Sign) -> None:
    with pytest.raises(UsageError, match="--key: no ssh-agent is running; name the key to sign with"):
        sign(None)


def test_a_reviewer_without_a_listed_key_is_told_how_to_list_it(sign: Sign) -> None:
    with pytest.raises(GateClosed, match='lists no key for mattie; give each reviewer a line: ID namespaces="cardr'):
        sign(None, reviewer="mattie")


def test_the_agent_signs_with_any_of_the_reviewers_keys(
    keyring: Keyring, judge: Judge, sign: Sign, agent: Callable[[Path], None]
) -> None:
    signers = keyring.line("scav", "rsa2048") + keyring.line("scav", "ed25519") + keyring.line("mattie", "ecdsa256")
    with pytest.raises(UsageError, match="ssh-agent holds none of the reviewer's keys; run ssh-add KEY"):
        sign(None, signers=signers)
    agent(keyring.folder / "ecdsa256")
    with pytest.raises(UsageError, match="ssh-agent holds none"):
        sign(None, signers=signers)
    agent(keyring.folder / "ed25519")
    assert judge.accepts(keyring.statement, sign(None, signers=signers), signers, reviewer="scav")


def test_a_security_key_is_announced_before_it_is_used(keyring: Keyring, tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519_sk"
    key.write_text("no key at all\n")
    key.with_name(f"{key.name}.pub").write_text(keyring.public("sk-ed25519"))
    said: list[str] = []
    signers = parse_allowed_signers(keyring.line("scav", "sk-ed25519").encode())
    with pytest.raises(UsageError):
        sign_statement(keyring.statement, reviewer="scav", signers=signers, at=keyring.now, key=key, say=said.append)
    assert said == [f"touch the security key of {key} when it blinks"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_is_told_who_can_sign(keyring: Keyring) -> None:
    script = (
        "import datetime, os, sys, pathlib\n"
        "from cardrunner.errors import CardrunnerError\n"
        "from cardrunner.gate.ssh import parse_allowed_signers, sign_statement\n"
        "signers = parse_allowed_signers(sys.argv[2].encode())\n"
        "now = datetime.datetime.now(datetime.UTC)\n"
        "import cryptography\n"
        "os.setgid(54321); os.setuid(54321)\n"
        "try: sign_statement(b'x', reviewer='scav', signers=signers, at=now, key=pathlib.Path(sys.argv[1]))\n"
        "except CardrunnerError as error: print(type(error).__name__, error)\n"
    )
    # not tmp_path, which lies in a folder that only this user may enter
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        key.write_bytes((keyring.folder / "ed25519").read_bytes())
        key.chmod(0o600)
        for path in (key, Path(folder)):
            os.chown(path, 54321, 54321)
        argv = [sys.executable, "-c", script, str(key), keyring.line("scav", "ed25519")]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("EnvironmentFailed ssh-keygen refuses to run because the user id 54321 has no name")


def test_a_signature_that_no_key_makes_is_not_read(
    keyring: Keyring, sign: Sign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\nhead -c 20000 /dev/zero > "$last.sig"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises((UsageError, EnvironmentFailed)):
        sign(keyring.folder / "ed25519")
