"""Public keys as OpenSSH writes them (RFC 4253, 5656, 8709; security keys: OpenSSH PROTOCOL.u2f)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass


class MalformedError(ValueError):
    """Bytes or text that are not the key or signature they should be; its text continues "the signature ..."."""


class Reader:
    """Reads a byte string from front to back, never past its end.

    Args:
        data: all of it.
        what: what it is, for the message, such as ``the key``.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._rest = memoryview(data)
        self._what = what

    def read(self, length: int) -> bytes:
        """Return the next bytes.

        Raises:
            MalformedError: fewer bytes are left.
        """
        if length > len(self._rest):
            raise MalformedError(f"is truncated inside {self._what}")
        taken, self._rest = bytes(self._rest[:length]), self._rest[length:]
        return taken

    def number(self) -> int:
        """A uint32."""
        return int.from_bytes(self.read(4))

    def string(self) -> bytes:
        """Bytes with their length in front."""
        return self.read(self.number())

    def name(self) -> str:
        """A string of visible ASCII characters, such as an algorithm."""
        data = self.string()
        if not all(0x21 <= byte <= 0x7E for byte in data):
            raise MalformedError(f"has a name in {self._what} that is not plain ASCII")
        return data.decode("ascii")

    def positive(self) -> int:
        """A positive mpint, in its shortest form."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not (len(data) > 1 and data[1] & 0x80)):
            raise MalformedError(f"has a number in {self._what} that is not positive and in its shortest form")
        return int.from_bytes(data)

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self._rest:
            raise MalformedError(f"has {len(self._rest)} bytes too many in {self._what}")


def encode_string(data: bytes) -> bytes:
    """The data with its length in front."""
    return len(data).to_bytes(4) + data


SMALLEST_RSA_BITS = 2048
_LARGEST_RSA_BITS = 16384
_LARGEST_RSA_EXPONENT_BITS = 64
_POINT_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}


@dataclass(frozen=True)
class EdPoint:
    """An Ed25519 public key, 32 bytes."""

    data: bytes


@dataclass(frozen=True)
class EcPoint:
    """An uncompressed point of a NIST curve."""

    curve: str
    data: bytes


@dataclass(frozen=True)
class RsaNumbers:
    """Exponent and modulus."""

    exponent: int
    modulus: int


@dataclass(frozen=True)
class PublicKey:
    """One public key; equal keys have equal blobs, because only one encoding of each is accepted.

    Args:
        kind: the key type, such as ``ssh-ed25519``.
        application: what a security key mixes into its signatures; None for other keys.
    """

    kind: str
    blob: bytes
    material: EdPoint | EcPoint | RsaNumbers
    application: bytes | None = None

    @property
    def fingerprint(self) -> str:
        """``SHA256:...`` as ``ssh-keygen -l`` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def text(self) -> str:
        """The key as one line of a ``.pub`` file, without comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The signature algorithms it may be used with."""
        return ("rsa-sha2-512", "rsa-sha2-256") if self.kind == "ssh-rsa" else (self.kind,)


def parse_key(blob: bytes) -> PublicKey:
    """Read a key in its binary form.

    Raises:
        MalformedError: it is of a type that is not accepted, not well formed or too weak.
    """
    reader = Reader(blob, "the key")
    kind = reader.name()
    if kind not in _READERS:
        raise MalformedError(_unknown(kind))
    material = _READERS[kind](reader)
    application = reader.string() if kind.startswith("sk-") else None
    reader.end()
    return PublicKey(kind, blob, material, application)


def parse_key_text(kind: str, encoded: str) -> PublicKey:
    """Read a key as it stands in a text file: its type and its base64.

    Raises:
        MalformedError: as `parse_key`; also when the two do not agree.
    """
    if kind not in _READERS:
        raise MalformedError(_unknown(kind))
    key = parse_key(decode_base64(encoded))
    if key.kind != kind:
        raise MalformedError(f"says {kind[:60]} but the key itself is {key.kind}")
    return key


def decode_base64(text: str) -> bytes:
    """Decode base64 in its canonical form.

    Raises:
        MalformedError: it is not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("is not valid base64; part of it is missing or was changed") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedError("is not valid base64; part of it is missing or was changed")
    return data


def is_key_kind(word: str) -> bool:
    """Whether a word is a key type that is accepted here."""
    return word in _READERS


def _unknown(kind: str) -> str:
    shown = kind[:60] or "nothing"
    if "-cert-v0" in kind:
        return f"uses a certificate ({shown}), which is not accepted; use the plain key"
    return f"uses the key type {shown}, which is not accepted; use {', '.join(_READERS)}"


def _ed25519(reader: Reader) -> EdPoint:
    data = reader.string()
    if len(data) != 32:
        raise MalformedError("has an Ed25519 key that is not 32 bytes long")
    return EdPoint(data)


def _ecdsa(curve: str) -> Callable[[Reader], EcPoint]:
    def read(reader: Reader) -> EcPoint:
        if reader.name() != curve:
            raise MalformedError("has a key whose curve is not that of its type")
        data = reader.string()
        if len(data) != _POINT_BYTES[curve] or data[0] != 4:
            raise MalformedError(f"has a key that is not an uncompressed point of {curve}")
        return EcPoint(curve, data)

    return read


def _rsa(reader: Reader) -> RsaNumbers:
    exponent, modulus = reader.positive(), reader.positive()
    if not SMALLEST_RSA_BITS <= modulus.bit_length() <= _LARGEST_RSA_BITS:
        limits = f"{SMALLEST_RSA_BITS} to {_LARGEST_RSA_BITS}"
        raise MalformedError(f"uses an RSA key of {modulus.bit_length()} bits; {limits} are accepted")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > _LARGEST_RSA_EXPONENT_BITS or modulus % 2 == 0:
        raise MalformedError("has numbers that cannot be an RSA key")
    return RsaNumbers(exponent, modulus)


_READERS: dict[str, Callable[[Reader], EdPoint | EcPoint | RsaNumbers]] = {
    "ssh-ed25519": _ed25519,
    "sk-ssh-ed25519@openssh.com": _ed25519,
    "ecdsa-sha2-nistp256": _ecdsa("nistp256"),
    "ecdsa-sha2-nistp384": _ecdsa("nistp384"),
    "ecdsa-sha2-nistp521": _ecdsa("nistp521"),
    "sk-ecdsa-sha2-nistp256@openssh.com": _ecdsa("nistp256"),
    "ssh-rsa": _rsa,
}
