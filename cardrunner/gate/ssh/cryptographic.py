"""Does a signature fit its data? The only module that imports `cryptography`, and only when it is needed."""

from __future__ import annotations

import hashlib

from cardrunner.gate.ssh.keys import EcPoint, EdPoint, RsaNumbers
from cardrunner.gate.ssh.signature import SshSignature
from cardrunner.gate.ssh.wire import MalformedError, Reader


def fits(signature: SshSignature, message: bytes) -> bool:
    """Whether the signature's key made it over this message."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    data = _as_signed(signature, signature.signed_data(message))
    try:
        _verify(signature, signature.key.material, data)
    except (InvalidSignature, UnsupportedAlgorithm, MalformedError, ValueError):
        return False
    return True


def _as_signed(signature: SshSignature, data: bytes) -> bytes:
    """What the key's algorithm was given: a security key adds its application, flags and counter."""
    application = signature.key.application
    if application is None or signature.flags is None or signature.counter is None:
        return data
    head = hashlib.sha256(application).digest() + bytes([signature.flags]) + signature.counter.to_bytes(4)
    return head + hashlib.sha256(data).digest()


def _verify(signature: SshSignature, material: EdPoint | EcPoint | RsaNumbers, data: bytes) -> None:
    if isinstance(material, EdPoint):
        _verify_ed25519(signature.value, material, data)
    elif isinstance(material, EcPoint):
        _verify_ecdsa(signature.value, material, data)
    else:
        _verify_rsa(signature, material, data)


def _verify_ed25519(value: bytes, point: EdPoint, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(point.data).verify(value, data)


def _verify_ecdsa(value: bytes, point: EcPoint, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve, hashed = {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }[point.curve]
    numbers = Reader(value, "the signature's value")
    r, s = numbers.positive(), numbers.positive()
    numbers.end()
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point.data)
    key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashed))


def _verify_rsa(signature: SshSignature, numbers: RsaNumbers, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    hashed = hashes.SHA512() if signature.algorithm == "rsa-sha2-512" else hashes.SHA256()
    key = rsa.RSAPublicNumbers(numbers.exponent, numbers.modulus).public_key()
    # RFC 8332, section 3: some signers leave the leading zeros away
    value = signature.value.rjust((numbers.modulus.bit_length() + 7) // 8, b"\0")
    key.verify(value, data, padding.PKCS1v15(), hashed)
