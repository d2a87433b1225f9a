"""How the page was made."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Code
from cardrunner.runs.environment import own_version


@dataclass(frozen=True, kw_only=True)
class ProvenanceFacts:
    """The section."""

    command: Code
    files: tuple[Code, ...]
    absent: tuple[Code, ...]
    unreadable: tuple[str, ...]
    version: str


def provenance_facts(run: Recorded) -> ProvenanceFacts:
    """The files of the run folder that the page was rendered from, and those that it could not use."""
    folder = run.folder
    stages = [folder.record(stage) for stage in ("load", "train", "checkpoint", "download", "demo")]
    sources = [
        folder.card_yaml,
        folder.launch,
        folder.approvals,
        folder.checks,
        folder.ledger,
        folder.history,
        *stages,
        folder.manifest,
        folder.lease,
    ]
    names = {path.relative_to(folder.root).as_posix(): path.exists() for path in sources}
    return ProvenanceFacts(
        command=Code(f"cardrunner report {folder.name}"),
        files=tuple(Code(name) for name, exists in names.items() if exists),
        absent=tuple(Code(name) for name, exists in names.items() if not exists),
        unreadable=run.unreadable,
        version=own_version(),
    )
