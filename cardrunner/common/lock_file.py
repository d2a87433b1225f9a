"""Lock files of Python packages: lines ``name==version``, as pip freeze, pip-compile and uv export write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.errors import UsageError

_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.!+_-]+)\s*(?P<marker>;.*)?"
)
_MOST_BYTES: Final = 4_000_000


@dataclass(frozen=True)
class Locked:
    """One package of a lock file."""

    name: str
    """Normalized: lower case, with hyphens."""
    version: str
    marker: str = ""
    """The condition under which it is installed, such as ``sys_platform == "linux"``; empty for always."""

    def accepts(self, version: str) -> bool:
        """Whether an installed version is the locked one; a build such as ``+cpu`` counts where the lock has one."""
        return version == self.version or ("+" not in self.version and version.partition("+")[0] == self.version)

    def __str__(self) -> str:
        condition = f"; {self.marker}" if self.marker else ""
        return f"{self.name}=={self.version.partition('+')[0]}{condition}"


def normalized(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path, *, field: str) -> tuple[Locked, ...]:
    """The packages of a lock file.

    Args:
        path: the file.
        field: the card field that names it, for messages.

    Raises:
        UsageError: it cannot be read, or a line pins no version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{field}: {path} cannot be read: {error.strerror}; write one with `pip freeze`") from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{field}: {path} is larger than a lock file can be; write lines name==version")
    found: list[Locked] = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        text = line.partition(" #")[0].strip().rstrip("\\").strip()
        if not text or text.startswith(("#", "--hash", "--index-url", "--extra-index-url", "-i ")):
            continue
        text = text.partition(" --hash")[0].strip()
        match = _LINE.fullmatch(text)
        if match is None:
            raise UsageError(f"{field}: {path}:{number}: {text[:60]!r} pins no version; write name==version")
        marker = (match["marker"] or "").lstrip("; ").strip()
        found.append(Locked(normalized(match["name"]), match["version"], marker))
    return tuple(found)
