"""The binary encoding that SSH keys and signatures share (RFC 4251, section 5)."""

from __future__ import annotations


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

    def take(self, length: int) -> bytes:
        """The next bytes.

        Raises:
            MalformedError: there are not that many.
        """
        if length > len(self._rest):
            raise MalformedError(f"is truncated inside {self._what}")
        taken, self._rest = bytes(self._rest[:length]), self._rest[length:]
        return taken

    def number(self) -> int:
        """A uint32."""
        return int.from_bytes(self.take(4))

    def string(self) -> bytes:
        """Bytes with their length in front."""
        return self.take(self.number())

    def name(self) -> str:
        """A string of visible ASCII characters, such as an algorithm."""
        data = self.string()
        if not all(0x21 <= byte <= 0x7E for byte in data):
            raise MalformedError(f"has a name in {self._what} that is not plain ASCII")
        return data.decode("ascii")

    def positive(self) -> int:
        """A positive mpint, in its only shortest form."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not (len(data) > 1 and data[1] & 0x80)):
            raise MalformedError(f"has a number in {self._what} that is not positive and in its shortest form")
        return int.from_bytes(data)

    def end(self) -> None:
        """Refuse anything that is left."""
        if self._rest:
            raise MalformedError(f"has {len(self._rest)} bytes too many in {self._what}")


def encode_string(data: bytes) -> bytes:
    """The data with its length in front."""
    return len(data).to_bytes(4) + data
