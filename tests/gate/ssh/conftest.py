"""People with keys of every accepted type, and ssh-keygen as the judge of what a signature is worth."""

from __future__ import annotations

import base64
import datetime
import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
NAMESPACE = "cardrunner"
STATEMENT = b'cardrunner sign-off 1\0{"run":"policy-22k"}'
FILE_KEYS = {
    "ed25519": ["-t", "ed25519"],
    "ecdsa256": ["-t", "ecdsa", "-b", "256"],
    "ecdsa384": ["-t", "ecdsa", "-b", "384"],
    "ecdsa521": ["-t", "ecdsa", "-b", "521"],
    "rsa2048": ["-t", "rsa", "-b", "2048"],
}
SECURITY_KEYS = ("sk-ed25519", "sk-ecdsa256")


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1))


def armor(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def unarmor(armored: str) -> bytes:
    return base64.b64decode("".join(armored.splitlines()[1:-1]))


def signature_blob(public: bytes, value: bytes, *, namespace: bytes = b"cardrunner", version: int = 1) -> bytes:
    """A whole signature around a public key blob and a signature value."""
    head = b"SSHSIG" + version.to_bytes(4) + string(public) + string(namespace) + string(b"")
    return head + string(b"sha512") + string(value)


@dataclass
class SoftSecurityKey:
    """Makes the signatures of a security key, without the hardware."""

    kind: str
    application: bytes = b"ssh:"
    flags: int = 1
    secret: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(init=False)

    def __post_init__(self) -> None:
        on_curve = self.kind == "sk-ecdsa256"
        self.secret = ec.generate_private_key(ec.SECP256R1()) if on_curve else ed25519.Ed25519PrivateKey.generate()

    @property
    def name(self) -> bytes:
        return {
            "sk-ed25519": b"sk-ssh-ed25519@openssh.com",
            "sk-ecdsa256": b"sk-ecdsa-sha2-nistp256@openssh.com",
        }[self.kind]

    @property
    def public(self) -> bytes:
        encoding, form = serialization.Encoding, serialization.PublicFormat
        if isinstance(self.secret, ed25519.Ed25519PrivateKey):
            point = string(self.secret.public_key().public_bytes(encoding.Raw, form.Raw))
        else:
            point = self.secret.public_key().public_bytes(encoding.X962, form.UncompressedPoint)
            point = string(b"nistp256") + string(point)
        return string(self.name) + point + string(self.application)

    def sign(self, message: bytes, *, namespace: bytes = b"cardrunner") -> str:
        hashed = hashlib.sha512(message).digest()
        data = b"SSHSIG" + b"".join(map(string, (namespace, b"", b"sha512", hashed)))
        tail = bytes([self.flags]) + (7).to_bytes(4)
        signed = hashlib.sha256(self.application).digest() + tail + hashlib.sha256(data).digest()
        if isinstance(self.secret, ed25519.Ed25519PrivateKey):
            value = self.secret.sign(signed)
        else:
            r, s = utils.decode_dss_signature(self.secret.sign(signed, ec.ECDSA(hashes.SHA256())))
            value = mpint(r) + mpint(s)
        return armor(signature_blob(self.public, string(self.name) + string(value) + tail, namespace=namespace))


class Keyring:
    """One key of each kind, and what ssh-keygen makes of them."""

    kinds = (*FILE_KEYS, *SECURITY_KEYS)
    statement = STATEMENT
    now = NOW
    armor = staticmethod(armor)
    unarmor = staticmethod(unarmor)
    string = staticmethod(string)
    mpint = staticmethod(mpint)
    signature_blob = staticmethod(signature_blob)

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.program = program
        self.security = {kind: SoftSecurityKey(kind) for kind in SECURITY_KEYS}
        for kind, options in FILE_KEYS.items():
            self.make(kind, options)

    def make(self, name: str, options: list[str] | None = None, *, passphrase: str = "") -> Path:
        path = self.folder / name
        argv = [self.program, "-q", *(options or ["-t", "ed25519"]), "-N", passphrase, "-C", name, "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return path

    def public(self, name: str) -> str:
        """Type and base64 of a key."""
        if name in self.security:
            key = self.security[name]
            return f"{key.name.decode()} {base64.b64encode(key.public).decode()}"
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def sign(self, name: str, message: bytes = STATEMENT, *, namespace: str = NAMESPACE, hashed: str = "sha512") -> str:
        """The armored signature of a key."""
        if name in self.security:
            return self.security[name].sign(message, namespace=namespace.encode())
        argv = [self.program, "-Y", "sign", "-O", f"hashalg={hashed}", "-n", namespace, "-f", str(self.folder / name)]
        return subprocess.run(argv, input=message, check=True, capture_output=True).stdout.decode()

    def fingerprint(self, name: str) -> str:
        """As ssh-keygen prints it."""
        argv = [self.program, "-l", "-f", str(self.folder / f"{name}.pub")]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    def line(self, principal: str, name: str, options: str = 'namespaces="cardrunner"') -> str:
        """A line of allowed_signers."""
        return " ".join(part for part in (principal, options, self.public(name)) if part) + "\n"


@dataclass(frozen=True)
class Judge:
    """`ssh-keygen -Y verify` at a fixed time."""

    program: str
    folder: Path

    def accepts(
        self,
        message: bytes,
        armored: str,
        signers: str,
        *,
        reviewer: str,
        namespace: str = NAMESPACE,
        revoked: str = "",
    ) -> bool:
        for name, text in (("signature", armored), ("signers", signers), ("revoked", revoked)):
            (self.folder / name).write_bytes(text.encode())
        argv = [self.program, "-Y", "verify", "-O", f"verify-time={NOW:%Y%m%d%H%M%S}Z", "-n", namespace]
        argv += ["-f", str(self.folder / "signers"), "-I", reviewer, "-s", str(self.folder / "signature")]
        argv += ["-r", str(self.folder / "revoked")] if revoked else []
        return subprocess.run(argv, input=message, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def ssh_keygen() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen is not installed")
    return program


@pytest.fixture(scope="session")
def keyring(ssh_keygen: str, tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring(tmp_path_factory.mktemp("keys"), ssh_keygen)


@pytest.fixture(scope="session")
def judge(ssh_keygen: str, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge(ssh_keygen, tmp_path_factory.mktemp("judge"))
