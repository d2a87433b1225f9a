"""Checksums, seals and signatures over seals: is everything as it was written?"""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.common.clock import moment
from cardrunner.gate.ssh import read_allowed_signers
from cardrunner.launching.signed_seals import signed_seals
from cardrunner.runs.inspect import in_lines, run_damage
from cardrunner.runs.seals import newest_seal
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.findings import Finding, Notice, Unchecked, difference


def as_written(run: Evidence) -> Iterator[Finding]:
    """Lines and records fit their checksums, and the folder fits its newest seal."""
    found = run_damage(run.folder, at_work=run.live)
    yield from (damage for damage in found if damage.kind != "unsealed")
    yield from map(Unchecked, in_lines(damage for damage in found if damage.kind == "unsealed"))


def signatures_count(run: Evidence) -> Iterator[Finding]:
    """Every signature over a seal fits it, and its key counts in the workspace today."""
    assert run.workspace is not None  # see Check.workspace
    found = signed_seals(run.folder, signers=read_allowed_signers(run.workspace.levels), at=moment())
    newest = newest_seal(run.folder)
    for signed in found:
        if signed.problem is not None:
            yield difference(signed.file, signed.problem)
        elif newest is not None and signed.number < newest.seal.number:
            yield Notice(f"{signed.signer} signed seal {signed.number}, and the newest is {newest.seal.number}")
        else:
            yield Notice(f"signed by {signed.signer}")
