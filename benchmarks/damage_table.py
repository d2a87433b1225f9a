"""The table of ``benchmarks.damage``: which file, in which states of a run, damaged how, and what has to come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from benchmarks.damage_kinds import HARMLESS, WAYS
from benchmarks.damaged_runs import STATES

Expected = Literal["refused", "named", "crash", "used", "shown", "outside"]
ANSWERS: Mapping[Expected, str] = {
    "refused": "`status`, `report`, `verify`, `resume` or, of a signature, `seal` names the file and what is "
    "wrong with it, and a resume is refused",
    "named": "the same, and a resume is refused or comes to the weights and rows of the undamaged run",
    "crash": "a crash at an earlier moment leaves the same: it need not be named, and a resume comes to the weights "
    "and rows of the undamaged run, or is refused",
    "used": "the same as `named`, or no output, exit code or weight is another: it was in a part that decides nothing",
    "shown": "no part of the record: only the time of the last sign of life, which `status` and the results card show "
    "as the file says it, may be another",
    "outside": "no part of the record: every output, and the weights and rows after a resume, are as without it",
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        file: a path in the run folder, as a pattern; one that begins with ``.cardrunner`` is in the workspace, and
            ``*`` is the whole folder.
        states: of the run; see `STATES`.
        ways: see `WAYS` and `FOLDER_WAYS`.
        expected: see `ANSWERS`.
        why: the reason.
    """

    file: str
    states: tuple[str, ...]
    ways: tuple[str, ...]
    expected: Expected
    why: str

    @property
    def whole(self) -> bool:
        """Whether it is about the whole folder."""
        return self.file == "*"

    @property
    def outside(self) -> bool:
        """Whether its file is in the workspace, outside the run folder."""
        return self.file.startswith(".cardrunner")

    def holds(self, name: str) -> bool:
        """Whether a file is of this row; a pattern without a folder is one of a file in the run folder itself."""
        return fnmatchcase(name, self.file) and name.count("/") == self.file.count("/")


SCRIPT = ("script stopped", "script completed")
ALL = tuple(state for state in STATES if state not in SCRIPT)
RAN = ALL[1:]
CRASHED = ("crashed",)
SETTLED = ALL[2:]
DONE = ("completed", "collected")
OPEN = ("created", "crashed")
BYTES = ("flip", "digit", "zeros", "cut", "empty", "remove")
RECORD = (*BYTES, "reformat", "other")
LINES = ("flip", "digit", "zeros", "reformat", "other", "double", "swap", "shuffle")
LAST = ("short", "last", "tail", "older")
WEIGHTS = ("flip", "zeros", "cut", "empty", "remove", "older", "other")
LOOSE = ("flip", "zeros", "cut", "empty", "remove", "older", "other")
LOOSE_NOW = ("flip", "zeros", "cut", "empty", "remove")
FOLDER_WAYS: Mapping[str, str] = {
    "older": "every file as it was at an earlier time of the same run",
    "older, seals kept": "the same, and the newest seals are left in it",
    "older, ledger kept": "the same, and the newest ledger is left in it",
    "other": "the folder of another run in the same state",
    "remove": "removed; then the card is launched again",
}
"""Ways to damage a whole folder."""
_LAUNCHED = "the launch wrote it: the admission in the workspace and the first seal hold its sha256"
_SEALED = "the seal at the end of the attempt holds its sha256, and it has a checksum of its own"
_ANCHORED = "lines have checksums and are chained; the newest save, end and seal say how far the file had come"

TABLE: tuple[Row, ...] = (
    Row("card.yaml", ALL, (*BYTES, "other"), "refused", _LAUNCHED),
    Row("sources/*", ALL, (*BYTES, "other"), "refused", _LAUNCHED),
    Row("card.json", ALL, RECORD, "refused", _LAUNCHED),
    Row("launch.json", ALL, RECORD, "refused", _LAUNCHED),
    Row("approvals.json", ALL, RECORD, "refused", _LAUNCHED),
    Row("checks.json", ALL, RECORD, "refused", _LAUNCHED),
    Row("trust/*", ALL, BYTES, "refused", _LAUNCHED),
    Row("plan.json", ALL, RECORD, "refused", _LAUNCHED),
    Row("ledger.jsonl", ALL, (*LINES, "empty", "remove", "lose"), "refused", _ANCHORED),
    Row("ledger.jsonl", SETTLED, ("short", "tail", "older"), "refused", _ANCHORED),
    Row("ledger.jsonl", SETTLED, ("last",), "crash", "a seal is written before the line that names it"),
    Row("ledger.jsonl", OPEN, LAST, "crash", "lines after the newest save, lost from the end, are not yet anchored"),
    Row("history.jsonl", RAN, (*LINES, "empty", "remove", "lose"), "refused", _ANCHORED),
    Row("history.jsonl", SETTLED, LAST, "refused", _ANCHORED),
    Row(
        "history.jsonl", CRASHED, LAST, "crash",
        "rows after the newest save, lost from the end, are not yet anchored; a resume trains those steps again",
    ),
    Row("stages/*.json", SETTLED, (*RECORD, "older"), "named", _SEALED),
    Row("stages/*.json", CRASHED, (*BYTES[:-1], "reformat"), "named", "it has a checksum of its own"),
    Row(
        "stages/*.json", CRASHED, ("remove", "older", "other"), "crash",
        "written during the attempt, which has no seal yet; a resume writes it anew",
    ),
    Row("seals/*.json", ALL, RECORD, "named", "each seal names the one before, and the ledger names each"),
    Row("seals/*.sig", ("collected",), BYTES, "named", "`seal` shows it no more, or that it does not fit"),
    Row("checkpoints/manifest.json", RAN, (*RECORD, "older"), "refused", "it has a checksum, and the ledger its saves"),
    Row("checkpoints/state-*.pt", RAN, WEIGHTS, "named", "the manifest has its sha256; a resume falls back"),
    Row("checkpoints/export-*.pt", RAN, WEIGHTS, "named", "the manifest holds its sha256"),
    Row("best.pt", RAN, WEIGHTS, "named", "the manifest holds its sha256"),
    Row("best-*.pt", RAN, WEIGHTS, "named", "the manifest holds its sha256"),
    Row("latest.pt", RAN, WEIGHTS, "named", "the manifest holds its sha256"),
    Row("results.md", SETTLED, BYTES, "named", "the newest seal holds its sha256; `report` makes it again"),
    Row("results/*.png", SETTLED, WEIGHTS, "named", "the newest seal holds its sha256; `report` makes it again"),
    Row("lease.json", RAN, LOOSE, "shown", "the kernel's lock says who is alive; its heartbeat is a time to show"),
    Row("supervisor.json", RAN, LOOSE, "outside", "the kernel's lock says who is alive, whatever the file says"),
    Row("submitting.lock", RAN, LOOSE, "outside", "the kernel's lock counts, not the bytes"),
    Row(".seal.lock", SETTLED, LOOSE, "outside", "the kernel's lock counts, not the bytes"),
    Row("pulse.json", RAN, LOOSE, "outside", "the heartbeat of a live worker; of one that ended it says nothing"),
    Row("worker.log", RAN, LOOSE, "outside", "output for people"),
    Row("code.json", SCRIPT, RECORD, "refused", _LAUNCHED),
    Row(
        "code/*", SCRIPT, ("flip", "digit", "zeros", "cut", "empty", "remove"), "refused",
        "the card has the digest of the code, and `code.json` the sum of each file",
    ),
    Row("card.yaml", SCRIPT, ("flip", "remove", "other"), "refused", _LAUNCHED),
    Row("history.jsonl", SCRIPT, (*LINES, "empty", "remove"), "refused", _ANCHORED),
    Row("checkpoints/manifest.json", SCRIPT, RECORD, "refused", "it has a checksum, and the ledger its saves"),
    Row("script.json", SCRIPT, RECORD, "named", _SEALED),
    Row("interpreter.json", SCRIPT, BYTES, "named", _SEALED),
    Row("interpreter.json", SCRIPT, RECORD, "named", _SEALED),
    Row("files/*", SCRIPT, LOOSE_NOW, "outside", "the worker writes it anew before each start"),
    Row("modules/*", SCRIPT, LOOSE_NOW, "outside", "the worker writes it anew before each start"),
    Row(
        "out/*", SCRIPT, LOOSE_NOW, "crash",
        "a checkpoint that is not what was kept is not used; a resume falls back to the copy or an older one",
    ),
    Row("kept/*/step-*.json", SCRIPT, LOOSE_NOW, "named", "the manifest and its own record hold its sha256"),
    Row(
        "kept/*/checkpoint.json", SCRIPT, RECORD, "crash",
        "without its record a copy is not used; a resume takes the checkpoint in `out`, or an older one",
    ),
    Row("kept/*/*", SCRIPT, ("remove",), "crash", "the same of the copy and of its record"),
    Row("script.log", SCRIPT, LOOSE_NOW, "outside", "output for people; metrics in it were read while it grew"),
    Row("reported.jsonl", SCRIPT, LOOSE_NOW, "outside", "metrics in it were read while it grew"),
    Row(
        ".cardrunner/launched/*.json", ALL, ("cut", "empty", "remove", "other"), "named",
        "without its admission no run trains on",
    ),
    Row(
        ".cardrunner/launched/*.json", ALL, ("flip", "digit", "zeros"), "used",
        "kept in git, without a checksum; its sums of the launched files are compared with the files",
    ),
    Row(".cardrunner/launched/*.json", ALL, ("reformat",), "outside", "kept in git and compared by its content"),
    Row("*", CRASHED, ("older",), "crash", "a whole folder of an earlier time is the folder of an earlier crash"),
    Row(
        "*", ("interrupted", "stopped", "completed"), ("older",), "crash",
        "the same; a signed seal tells them apart (`cardrunner seal --key`)",
    ),
    Row("*", ("collected",), ("older",), "named", "its seal was signed; `cardrunner seal` shows no signature now"),
    Row("*", SETTLED, ("older, seals kept",), "named", "the newest seal holds what the folder lacks"),
    Row("*", SETTLED, ("older, ledger kept",), "named", "the ledger names seals and saves that the folder lacks"),
    Row("*", ALL, ("other",), "refused", "the workspace admitted another launch under this name"),
    Row("*", ALL, ("remove",), "refused", "the approval is spent, as `.cardrunner/launched` says"),
)  # fmt: skip
"""What has to come of each damage."""

UNDRAWN: Mapping[str, str] = {
    "stages/train-processes.jsonl": "of runs with several training processes; only their parent reads it",
    "checkpoints/rejected/*": "states that a resume has set aside already",
    "demo/*": "the toy workload has no demo; like `results/*`, a seal holds its files",
    "stop.json": "of a run that is being stopped; a resume removes it",
    "data/*": "made again if it is missing; the toy workload needs none",
    "tracking/*.json": "what one tracker was sent; outside every seal, and the runs have no tracker",
    "tracking/*.lock": "as `lease.json`",
    "tracking/*.log": "as `worker.log`",
    "tensorboard/*": "what a tracker keeps; outside every seal",
    "wandb/*": "what a tracker keeps; outside every seal",
    "code.patch": "of code in git, which that of these runs is not; the launch writes it, as `code.json`",
    "code.tar": "of runs on a remote platform",
    "beside/*": "of cards with a preflight, an evaluation or a demo; their output, for people",
    "elsewhere.json": "of runs on a remote platform",
    ".mirror.lock": "of runs on a remote platform",
    "workspace/*": "of runs on a remote platform",
}
"""Files of ``docs/run-folder.md`` that the six runs do not have, and why."""


def cells() -> tuple[tuple[Row, str, str], ...]:
    """Every row, state and way of the table."""
    return tuple((row, state, way) for row in TABLE for state in row.states for way in row.ways)


def printed() -> Iterator[str]:
    """The table as text."""
    yield "Expected answers\n"
    yield from (f"  {name:<8} {says}" for name, says in ANSWERS.items())
    yield "\nStates\n"
    yield from (f"  {name:<12} {state.says}" for name, state in STATES.items())
    yield "\nDamages\n"
    yield from (f"  {name:<10} {way.says}" for name, way in WAYS.items())
    yield "\nDamages of a whole folder\n"
    yield from (f"  {name:<18} {says}" for name, says in FOLDER_WAYS.items())
    yield "\nFile | states | damages | expected | why\n"
    for row in TABLE:
        yield f"  {row.file} | {', '.join(row.states)} | {', '.join(row.ways)} | {row.expected} | {row.why}"
    yield "\nNot drawn\n"
    yield from (f"  {name:<30} {why}" for name, why in UNDRAWN.items())
    yield "\nChanges that must not be called damage\n"
    yield f"  {', '.join(HARMLESS)}"
