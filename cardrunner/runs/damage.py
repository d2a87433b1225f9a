"""What is found wrong in a run folder: one finding, whichever check found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["torn", "missing", "changed", "unexpected", "unsealed"]
"""torn: a line that a crash left half written. missing, changed, unexpected: damage. unsealed: without a checksum, as
in a run of an earlier version."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One finding about a file of a run."""

    file: str
    """Its path inside the run folder: ``history.jsonl``."""
    kind: Kind
    what: str
    """One sentence with the place and both values: ``line 3 is not what was written: ...``."""

    @property
    def grave(self) -> bool:
        """Whether it speaks against the numbers of the run; a torn line is a crash, and an old run is unsealed."""
        return self.kind not in ("torn", "unsealed")

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"
