from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from cardrunner.gate.ssh import parse_allowed_signers, parse_signature, read_allowed_signers
from cardrunner.gate.ssh.keys import MalformedError
from cardrunner.gate.ssh.trust_files import parse_revoked_keys
from tests.examples import examples

if TYPE_CHECKING:
    from tests.gate.ssh.conftest import Keyring


def key(number: int = 1, *, kind: bytes = b"ssh-ed25519", point: bytes | None = None) -> str:
    """An Ed25519 public key as text."""
    point = bytes([number] * 32) if point is None else point
    blob = b"".join(len(part).to_bytes(4) + part for part in (kind, point))
    return f"{kind.decode()} {base64.b64encode(blob).decode()}"


OURS = 'namespaces="cardrunner"'


def faults(text: str) -> list[str]:
    return [str(fault) for fault in parse_allowed_signers(text.encode()).faults]


@pytest.mark.parametrize(
    "line",
    [
        f"scav {OURS} {key()}",
        f"  scav\t{OURS}\t{key()}  a comment, with * and !  \r",
        f"scav,scav@example.org {OURS} {key()}",
        f'scav namespaces="git,cardrunner" {key()}',
        f'scav NAMESPACES="cardrunner",Valid-After="20260101Z",valid-before="20270101000000Z" {key()} x',
        f"scav@example.org {OURS} {key()}",
    ],
)
def test_a_plain_line_is_read(line: str) -> None:
    signers = parse_allowed_signers(f"# people\n\n{line}\n".encode())
    assert not signers.faults
    assert [signer.line for signer in signers.signers] == [3]
    assert signers.signers[0].key.text == key()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"* {OURS} {key()}", "names '*': patterns would trust a key for more than one person"),
        (f"sca? {OURS} {key()}", "patterns would trust"),
        (f"*@example.org {OURS} {key()}", "patterns would trust"),
        (f"scav,!mattie {OURS} {key()}", "names '!mattie': patterns"),
        (f"scav,mattie {OURS} {key()}", "gives one key to scav and mattie; distinct keys count"),
        (f"scav,Scav {OURS} {key()}", "gives one key to scav and Scav"),
        (f'"scav" {OURS} {key()}', "does not begin with the id of a person"),
        (f"scav,, {OURS} {key()}", "does not begin with the id of a person: ''"),
        (f"scav {key()}", "has no namespaces, which trusts the key for everything"),
        (f'scav namespaces="git" {key()}', "does not trust the key for this use"),
        (f'scav namespaces="*" {key()}', "has the namespace '*'; write plain names"),
        (f'scav namespaces="cardrunner,g*" {key()}', "has the namespace 'g*'"),
        (f'scav namespaces="cardrunner,!git" {key()}', "has the namespace '!git'"),
        (f'scav namespaces="" {key()}', "has the option namespaces without a value"),
        (f"scav namespaces=cardrunner {key()}", "has options that cannot be read"),
        (f'scav namespaces="cardrunner {key()}', "has options that cannot be read: 'namespaces='"),
        (f"scav {OURS},{OURS} {key()}", "has the option namespaces twice"),
        (f"scav {OURS}, {key()}", "has options that cannot be read"),
        (f"scav cert-authority,{OURS} {key()}", "trusts a certificate authority"),
        (f"scav {OURS},no-touch-required {key()}", "has the option no-touch-required; known are"),
        (f'scav valid-after="20260101Z" {key()}', "does not trust the key for this use"),
        (f'scav {OURS},valid-after="20260101" {key()}', "the Z at its end makes it UTC"),
        (f'scav {OURS},valid-after="20261301Z" {key()}', "which is not a valid time"),
        (f'scav {OURS},valid-after="19600101Z" {key()}', "before any SSH key"),
        (f'scav {OURS},valid-before="+1d" {key()}', "write YYYYMMDDZ"),
        (f'scav {OURS},valid-after="20260201Z",valid-before="20260101Z" {key()}', "so the key never counts"),
        (f"scav {OURS}", "has no key"),
        (f"scav {OURS} ssh-ed25519", "has no key"),
        ("scav", "ends after the id"),
        (f"scav {OURS} ssh-ed25519 AAAA", "is truncated inside the key"),
        (f"scav {OURS} ssh-ed25519 AAAA=AAA", "is not valid base64"),
        (f"scav {OURS} ssh-rsa {key().split()[1]}", "says ssh-rsa but the key itself is ssh-ed25519"),
        (f"scav {OURS} ssh-dss AAAA", "uses the key type ssh-dss, which is not accepted"),
        (f"scav {OURS} ssh-ed25519-cert-v01@openssh.com AAAA", "uses a certificate"),
        (f"scav {OURS} {key(point=bytes(31))}", "has an Ed25519 key that is not 32 bytes long"),
        (f"scav {OURS} {key()}\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        (f"scav {OURS} {key()}\0", "U+0000"),
    ],
)
def test_every_other_line_is_refused_with_its_number(line: str, words: str) -> None:
    found = faults(f"mattie {OURS} {key(2)}\n{line}\n")
    assert len(found) == 1
    assert found[0].startswith("allowed_signers:2:1: ")
    assert words in found[0]


def test_every_faulty_line_is_reported() -> None:
    found = faults(f"* {OURS} {key()}\nscav {OURS} {key()}\nmattie {key(2)}\n")
    assert [text.split(":")[1] for text in found] == ["1", "3"]


@pytest.mark.parametrize("name", ["scav", "mattie"])
def test_a_key_is_listed_once_whoever_it_is_for(name: str) -> None:
    text = f"scav {OURS} {key()}\n\n{name} {OURS} {key()} other comment\n"
    assert faults(text) == [
        "allowed_signers:3:1: the line lists the key of line 1 again; each key has one owner and one line"
    ]


def test_one_person_may_have_several_keys() -> None:
    signers = parse_allowed_signers(f"scav {OURS} {key(1)}\nscav {OURS} {key(2)}\n".encode())
    assert not signers.faults
    assert [signer.line for signer in signers.of("scav")] == [1, 2]


@pytest.mark.parametrize("bits", [1024, 2047, 16385])
def test_rsa_keys_of_unsafe_size_are_refused(keyring: Keyring, bits: int) -> None:
    blob = keyring.string(b"ssh-rsa") + keyring.mpint(65537) + keyring.mpint((1 << (bits - 1)) + 1)
    line = f"scav {OURS} ssh-rsa {base64.b64encode(blob).decode()}"
    assert faults(line) == [f"allowed_signers:1:1: the line uses an RSA key of {bits} bits; 2048 to 16384 are accepted"]


def test_a_second_encoding_of_the_same_key_is_no_second_key(keyring: Keyring) -> None:
    modulus = keyring.string(b"\0\0" + ((1 << 2047) + 1).to_bytes(256))
    blob = keyring.string(b"ssh-rsa") + keyring.mpint(65537) + modulus
    assert "shortest form" in faults(f"scav {OURS} ssh-rsa {base64.b64encode(blob).decode()}")[0]


def test_a_missing_file_says_how_to_write_it(tmp_path: Path) -> None:
    signers = read_allowed_signers([tmp_path])
    assert [str(fault) for fault in signers.faults] == [
        f"allowed_signers:1:1: there is no such file in {tmp_path}; give each reviewer a line: "
        'ID namespaces="cardrunner" and the content of their key\'s .pub file'
    ]


def test_both_files_are_read_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "allowed_signers").write_text(f"scav {OURS} {key()}\n")
    (tmp_path / "revoked_keys").write_text(key())
    signers = read_allowed_signers([tmp_path])
    assert not signers.faults
    assert signers.revoked.lines == {signers.signers[0].key.fingerprint: 1}


@pytest.mark.parametrize("name", ["allowed_signers", "revoked_keys"])
@pytest.mark.parametrize("shape", ["fifo", "folder", "device", "large", "unicode", "bom", "dangling"])
def test_what_is_no_small_text_file_is_a_fault_and_never_waited_for(tmp_path: Path, name: str, shape: str) -> None:
    (tmp_path / "allowed_signers").write_text(f"scav {OURS} {key()}\n")
    place = tmp_path / name
    place.unlink(missing_ok=True)
    if shape == "fifo":
        os.mkfifo(place)
    elif shape == "folder":
        place.mkdir()
    elif shape in ("device", "dangling"):
        place.symlink_to("/dev/zero" if shape == "device" else tmp_path / "nothing")
    else:
        content = {"large": b"#" * (1 << 20), "unicode": b"#\n\xff", "bom": b"\xef\xbb\xbf#"}
        place.write_bytes(content[shape])
    found = read_allowed_signers([tmp_path]).faults
    assert len(found) == 1
    assert str(found[0]).startswith(f"{name}:{2 if shape == 'unicode' else 1}:1: ")


PIECES = [
    "scav",
    "mattie",
    "*",
    "!x",
    ",",
    " ",
    "\t",
    "\n",
    "\r\n",
    '"',
    "=",
    "#",
    OURS,
    "cert-authority",
    key(),
    key(2),
]
PIECES += ["SHA256:" + "A" * 43, "ssh-ed25519", 'valid-after="20260101Z"', 'valid-before="99999999Z"', "\u202e", "\0"]
lines = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join)


@examples(300)
@given(lines.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60))
def test_no_text_brings_down_the_readers_of_trust_files(data: bytes) -> None:
    for file in (parse_allowed_signers(data), parse_revoked_keys(data)):
        assert all(fault.line >= 1 and len(str(fault)) < 1000 for fault in file.faults)


def shaped(text: str) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


armors = st.text() | st.binary(max_size=90).map(
    lambda data: shaped(base64.b64encode(b"SSHSIG\0\0\0\1" + data).decode())
)


@examples(300)
@given(armors | st.text(max_size=20).map(shaped))
def test_no_text_brings_down_the_reader_of_signatures(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_signature(text)
