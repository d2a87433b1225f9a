"""Does damage to a run folder pass in silence? Seeded damages of every kind of file, in six states of a run.

    python -m benchmarks.damage --damages 2000 --harmless 200 --seed 1 --results damage.jsonl
    python -m benchmarks.damage --table                              # file x state x damage, with the expected answer
    python -m benchmarks.damage --seed 1 --only history.jsonl        # damages of one file

A damage is silent if an output, an exit code or a weight differs from those of the undamaged run, and none of `status`,
`report`, `verify` and `resume` names the file and what is wrong with it. The readers run in one process and `resume` in
another, on a copy of its own; figures are not drawn. Results are written after every damage: a later call goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.damage_kinds import HARMLESS, WAYS, applies, damage_file
from benchmarks.damage_table import Row, cells, printed
from benchmarks.damaged_runs import LAUNCH, RUN, STATES, Kept, make_all
from benchmarks.runs_of_toys import forking
from cardrunner.errors import CardrunnerError, NameTaken, RunStopped
from cardrunner.runs.environment import code_sha256
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.records import Manifest, read_record
from tests.conftest import Zygote

READERS = (("status", RUN, "--json"), ("verify", RUN, "--json"), ("seal", RUN), ("report", RUN))
_CODE = """
import contextlib, json, os
from cardrunner.main import main
from cardrunner.report import plots
plots.picture = lambda height, paint: b""
for number, words in enumerate(json.loads({orders!r})):
    with open(f"{place}/{{number}}.out", "w") as out, open(f"{place}/{{number}}.err", "w") as err:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    open(f"{place}/{{number}}.code", "w").write(str(code))
os._exit(0)
"""
_OF_A_REPORT = ("status: updated", "status: results")
"""What a report that was made, or only begun, changes by right."""
_ADMISSION = re.compile(r"\.cardrunner/launched/[\w.-]+\.json")
_WRONG = re.compile(r"\b(not|no|changed|missing|gone|torn|differs?|damaged|removed|added|unexpected)\b")
_KINDS = ("torn", "missing", "changed", "unexpected")


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int | None
    """None if its process ended without a code."""
    out: str
    err: str


@dataclass(frozen=True)
class Answer:
    """What all commands said of one workspace.

    Args:
        said: by command.
        page: the results card that `report` rendered.
        trained: rows and weights after the resume; None where they cannot be read.
    """

    said: Mapping[str, Said]
    page: str
    trained: Any


@dataclass(frozen=True)
class Case:
    """One damage."""

    number: int
    seed: int
    row: Row
    state: str
    way: str

    @property
    def chance(self) -> random.Random:
        """Decides the file and the place in it."""
        return random.Random(f"{self.seed} {self.number}")


@dataclass
class Result:
    """What came of a damage."""

    number: int
    state: str
    file: str
    way: str
    expected: str
    verdict: str
    """silent, traceback, wrong weights, allowed (equal to a crash), shown, named, without effect."""
    named_by: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    resumed: int | None = None
    faults: list[str] = field(default_factory=list)
    """Where it is not what the table says."""


class Bench:
    """Runs in six states, and a place to damage copies of them.

    Args:
        place: a folder.
        zygote: starts the commands.
        kept: the runs, by state.
        slot: the number of this bench; several share the runs.
    """

    def __init__(self, place: Path, zygote: Zygote, kept: Mapping[str, Kept], slot: int) -> None:
        self.kept, self._zygote, self._place = kept, zygote, place / f"slot-{slot}"
        self._plain: dict[str, Answer] = {}

    def plain(self, state: str) -> Answer:
        """What is said of the undamaged run."""
        if state not in self._plain:
            self._plain[state] = self._asked(state, self._copy(state))
            if self._plain[state].said["resume"].code not in (0, NameTaken.exit_code):
                raise RuntimeError(f"the undamaged run does not resume: {self._plain[state].said['resume'].err}")
        return self._plain[state]

    def damaged(self, case: Case) -> Result:
        """Damage a copy of a run and see what comes of it."""
        plain, chance, workspace = self.plain(case.state), case.chance, self._copy(case.state)
        result = Result(case.number, case.state, case.row.file, case.way, case.row.expected, "")
        names = self._damage(case, workspace, chance, result)
        self._judge(result, plain, self._asked(case.state, workspace, launch=case.way == "remove"), names)
        return result

    def unharmed(self, number: int, seed: int) -> Result:
        """Change a copy of a run in a way that must not be called damage."""
        chance = random.Random(f"harmless {seed} {number}")
        way, state = list(HARMLESS)[number % len(HARMLESS)], chance.choice(list(self.kept))
        plain, workspace = self.plain(state), self._copy(state)
        HARMLESS[way](workspace, chance, self._zygote)
        answer = self._asked(state, workspace)
        result = Result(number, state, "-", way, "harmless", "harmless")
        result.differs = [what for what in differences(plain, answer, rendered=True) if what not in _OF_A_REPORT]
        found = {name: sorted(named(answer.said[name])) for name in answer.said}
        result.named_by = [f"{name}: {what}" for name, what in found.items() if what]
        result.resumed = answer.said["resume"].code
        result.faults = [f"differs: {what}" for what in result.differs] + [f"named: {one}" for one in result.named_by]
        result.faults += tracebacks(answer)
        if answer.trained != plain.trained:
            result.faults.append("other weights or rows after the resume")
        if result.faults:
            result.verdict = "false alarm"
        return result

    def _damage(self, case: Case, workspace: Path, chance: random.Random, result: Result) -> set[str]:
        """Damage the workspace; the names that the damaged file has."""
        kept, row = self.kept[case.state], case.row
        if row.whole:
            damage_folder(workspace / "runs" / RUN, case.way, kept)
            return {"*"}
        result.file = chance.choice(possible(kept, row, case.way))
        root = workspace if row.outside else workspace / "runs" / RUN
        path = root / result.file
        names = {one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file() and one.samefile(path)}
        damage_file(path, case.way, chance, instead=instead_of(kept, row, case.way) / result.file)
        return names

    def _judge(self, result: Result, plain: Answer, answer: Answer, names: set[str]) -> None:
        kinds = WAYS[result.way].named if result.way in WAYS and result.file != "*" else frozenset(_KINDS[1:])
        if result.expected == "crash":
            kinds |= {"torn"}
        result.differs = list(differences(plain, answer))
        result.named_by = [
            name for name, said in answer.said.items() if names_it(said, plain.said.get(name), names, kinds)
        ]
        signed = {name for name in names if name == "*" or name.endswith(".sig")}
        if signed and "seal" not in result.named_by and answer.said["seal"].out != plain.said["seal"].out:
            result.named_by.append("seal")
        if "report" not in result.named_by and _on_page(plain.page, answer.page, names):
            result.named_by.append("report")
        resumed, expected = answer.said["resume"], plain.said["resume"]
        result.resumed = resumed.code
        went_on = resumed.code in (0, RunStopped.exit_code)
        equal = answer.trained == (plain.trained if resumed.code == 0 else trained(self.kept[result.state].workspace))
        result.faults += tracebacks(answer)
        result.verdict = "named" if result.named_by else "without effect" if not result.differs else "silent"
        if result.verdict == "silent" and result.expected == "crash" and (equal or not went_on):
            result.verdict = "allowed"
        if result.verdict == "silent" and result.expected == "shown" and _only_shown(result.differs, plain, answer):
            result.verdict = "shown"
        if went_on and not equal:
            result.verdict = "wrong weights"
        if result.faults:
            result.verdict = "traceback"
        if result.expected == "outside" and result.differs:
            result.faults.append(f"differs: {result.differs}")
        if result.expected in ("named", "refused") and not result.named_by:
            result.faults.append("not named")
        if result.expected == "refused" and expected.code == 0 and resumed.code == 0:
            result.faults.append("not refused")
        if result.verdict in ("silent", "wrong weights"):
            result.faults.append(result.verdict)

    def _copy(self, state: str) -> Path:
        workspace = self._place / "workspace"
        copy_tree(self.kept[state].workspace, workspace)
        return workspace

    def _asked(self, state: str, workspace: Path, *, launch: bool = False) -> Answer:
        """Ask the readers about a workspace, and resume a copy of it at the same place."""
        spare = self._place / "spare"
        copy_tree(workspace, spare)
        said = self._said(workspace, READERS)
        page = _text(workspace / "runs" / RUN / "results.md")
        shutil.rmtree(workspace)
        spare.rename(workspace)
        orders = [STATES[state].resume]
        if launch and not (workspace / "runs" / RUN).exists():
            orders.append(LAUNCH)
        said |= self._said(workspace, orders)
        return Answer(said, page, trained(workspace))

    def _said(self, workspace: Path, orders: Sequence[Sequence[str]]) -> dict[str, Said]:
        told = self._place / "told"
        shutil.rmtree(told, ignore_errors=True)
        told.mkdir(parents=True)
        code = _CODE.format(orders=json.dumps(orders), place=told)
        self._zygote.code(code, cwd=workspace).finish()
        found = {}
        for number, words in enumerate(orders):
            code_text = _text(told / f"{number}.code")
            said = (_text(told / f"{number}.{stream}") for stream in ("out", "err"))
            found[words[0]] = Said(int(code_text) if code_text else None, *said)
        return found


def copy_tree(source: Path, to: Path) -> None:
    """Copy a folder with its times; names of one file stay names of one file."""
    shutil.rmtree(to, ignore_errors=True)
    names: dict[int, str] = {}

    def copy(one: str, other: str) -> None:
        number = Path(one).stat().st_ino
        if number in names:
            os.link(names[number], other)
        else:
            names[number] = other
            shutil.copy2(one, other)

    shutil.copytree(source, to, copy_function=copy)


def instead_of(kept: Kept, row: Row, way: str) -> Path:
    """The folder whose files take the place of those of a run."""
    other = kept.other.parents[1] if row.outside else kept.other
    return {"older": kept.older, "other": other}.get(way, Path("/nonexistent"))


def possible(kept: Kept, row: Row, way: str) -> list[str]:
    """The files of a run that a row of the table is about, and that a way can damage."""
    if row.whole:
        source = {"older": kept.older, "other": kept.other, "remove": kept.workspace}[way.partition(",")[0]]
        return ["*"] if source.is_dir() else []
    root, instead = kept.workspace if row.outside else kept.folder.root, instead_of(kept, row, way)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return [name for name in names if row.holds(name) and applies(root / name, way, instead=instead / name)]


def damage_folder(run: Path, way: str, kept: Kept) -> None:
    """Damage a whole run folder."""
    way, _, keep = way.partition(", ")
    source = {"older": kept.older, "other": kept.other}.get(way)
    spare = run.with_name("spare")
    run.rename(spare)
    if source is not None:
        copy_tree(source, run)
    if keep == "seals kept":
        copy_tree(spare / "seals", run / "seals")
    if keep == "ledger kept":
        shutil.copy2(spare / "ledger.jsonl", run / "ledger.jsonl")
    shutil.rmtree(spare)


def trained(workspace: Path) -> Any:
    """Rows without clocks, and the sha256 of all weights, of a run; None where they cannot be read."""
    folder = RunFolder(workspace / "runs" / RUN)
    with suppress(CardrunnerError, OSError):
        rows = [json.dumps(row.model_dump(exclude={"clock"})) for row in History(folder.history).rows()]
        entries = read_record(folder.manifest, Manifest).entries if folder.manifest.exists() else ()
        if folder.script_state.exists():  # which older copies of a script's checkpoints are left is no result
            newest = max(entries, key=lambda entry: entry.step, default=None)
            entries = tuple(entry for entry in entries if entry is newest or entry.file == folder.best.name)
            return rows, sorted((entry.step, entry.weights_sha256) for entry in entries)
        return rows, sorted((entry.file, entry.step, entry.weights_sha256) for entry in entries)
    return None


def differences(plain: Answer, answer: Answer, *, rendered: bool = False) -> Iterator[str]:
    """The outputs that differ, apart from the names of what is damaged.

    Args:
        plain: what was said of the undamaged run.
        answer: what was said of the other one.
        rendered: a results card may have been made meanwhile, so that it can be checked.
    """
    for name, said in answer.said.items():
        before = plain.said.get(name)
        if before is None or said.code != before.code:
            yield f"{name}: exit code {said.code}, not {before.code if before else 'any'}"
        elif name == "status" and said.code == 0:
            one, other = (json.loads(text.out) for text in (said, before))
            yield from (f"status: {key}" for key in one if key != "damage" and one[key] != other.get(key))
        elif name == "verify" and said.code == 0 and _checks(said, rendered) != _checks(before, rendered):
            yield "verify: another answer"
        elif name == "seal" and said.out != before.out:
            yield "seal: another answer"
    if answer.page != plain.page:
        yield "report: another page"
    if answer.said["resume"].code == plain.said["resume"].code and answer.trained != plain.trained:
        yield "resume: other weights or rows"


def _checks(said: Said, rendered: bool) -> list[Any]:
    checks = [check for check in json.loads(said.out)["checks"] if not (rendered and "results card" in check["check"])]
    return [(check["check"], check["result"], check["not_checked"]) for check in checks]


def tracebacks(answer: Answer) -> list[str]:
    """Commands that broke."""
    return [
        f"{name}: {' '.join((said.out + said.err).split())[-400:]}"
        for name, said in answer.said.items()
        if said.code is None or "Traceback (most" in said.out + said.err or "a bug in cardrunner" in said.err
    ]


def named(said: Said) -> set[tuple[str, str]]:
    """The files that a command calls damaged, with the kind."""
    text = said.out + said.err
    if text.startswith("{"):
        with suppress(ValueError):
            answer = json.loads(said.out)
            checks = answer.get("checks", [])
            every = [one for check in checks for one in check["found"]]
            found = {(one["file"], one["kind"]) for one in every}
            found |= {(place, one["kind"]) for one in every for place in _ADMISSION.findall(one["what"])}
            return found | set(_in_text("\n".join(answer.get("damage", ()))))
    return set(_in_text(text))


def _in_text(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = re.search(r"([\w./*-]+(?:\.\w+|[\w-])): (?:\d+ )?(torn|missing|changed|unexpected)\b(.*)", line)
        if match:
            yield match[1], match[2]
            yield from ((match[1], kind) for kind in _KINDS if re.search(rf"\b\d+ {kind}\b", match[3]))


def names_it(said: Said, before: Said | None, names: Iterable[str], kinds: Iterable[str]) -> bool:
    """Whether a command names one of the files and what is wrong with it, or ends with a sentence about it."""
    found, wanted = named(said), set(kinds)
    if any((file in names or "*" in names) and kind in wanted for file, kind in found):
        return True
    refused = said.code not in (0, RunStopped.exit_code, before.code if before else None)
    usual = set(before.err.splitlines()) if before else set()
    lines = [line for line in said.err.splitlines() if line not in usual and (refused or _WRONG.search(line))]
    return any((refused and "*" in names) or any(_is_in(name, line) for name in names) for line in lines)


def _on_page(before: str, page: str, names: Iterable[str]) -> bool:
    """Whether the results card says of one of the files that something is wrong with it, and did not without damage."""
    usual = set(before.splitlines())
    new = [line for line in page.splitlines() if line not in usual and (_WRONG.search(line) or "Missing:" in line)]
    said = [line.partition("Missing:")[2] or line for line in new if "rendered this page from" not in line]
    return any(_is_in(name, line) for name in names if name != "*" for line in said)


def _only_shown(differs: Iterable[str], plain: Answer, answer: Answer) -> bool:
    """Whether only the last sign of life differs: in the status, and in the sentences of the results card about it."""
    lines = set(plain.page.splitlines()) ^ set(answer.page.splitlines())
    about = all("without a word" in line or "rendered this page" in line or "Missing:" in line for line in lines)
    return about and set(differs) <= {"status: reason", "status: updated", "report: another page"}


def _is_in(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(Path(name).name)}(?!\w)", text) is not None


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def drawn(kept: Mapping[str, Kept], seed: int, count: int, only: str | None) -> list[Case]:
    """The damages of a seed: every cell of the table that applies, once, in random order, then again."""
    every = [(row, state, way) for row, state, way in cells() if state in kept]
    found = [(row, state, way) for row, state, way in every if possible(kept[state], row, way)]
    random.Random(seed).shuffle(found)
    cases = [Case(number, seed, *found[number % len(found)]) for number in range(max(count, len(found)))]
    return [case for case in cases if only is None or case.row.file == only][:count]


class Tally:
    """Results, written after each.

    Args:
        path: where; those that are there already are not made again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.results = [Result(**json.loads(line)) for line in lines]
        self.done = {(result.expected == "harmless", result.number) for result in self.results}

    def add(self, result: Result) -> None:
        """Write one down."""
        with self.path.open("a") as stream:
            stream.write(json.dumps(asdict(result)) + "\n")
        self.results.append(result)
        for fault in result.faults:
            print(f"{result.number}: {result.state} {result.file} {result.way}: {fault}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        damages = [result for result in self.results if result.expected != "harmless"]
        harmless = [result for result in self.results if result.expected == "harmless"]
        verdicts = Counter(result.verdict for result in damages)
        named_by = Counter(name for result in damages for name in result.named_by)
        return "\n".join(
            (
                f"{len(damages)} damages: "
                + ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common()),
                "named by " + ", ".join(f"{name} {count}" for name, count in named_by.most_common()),
                f"not as the table says: {sum(bool(result.faults) for result in damages)}",
                f"{len(harmless)} harmless changes: {sum(bool(result.faults) for result in harmless)} false alarms",
            )
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Damage and report; 1 if something is not what the table says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=2000)
    parser.add_argument("--harmless", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="FILE", help="a file as the table names it")
    parser.add_argument("--results", type=Path, metavar="FILE", help="what came of each; a later call goes on")
    parser.add_argument("--place", type=Path, metavar="FOLDER", help="where the runs are made, and kept")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--states", nargs="+", choices=list(STATES), default=list(STATES), metavar="STATE")
    parser.add_argument("--table", action="store_true", help="print the table")
    options = parser.parse_args(arguments)
    if options.table:
        print("\n".join(printed()))
        return 0
    with ExitStack() as stack:
        place = options.place or Path(stack.enter_context(TemporaryDirectory()))
        place /= code_sha256("cardrunner")[:12]  # a run is resumed by the code that trained it
        place.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        tally = Tally(options.results or place / "results.jsonl")
        unharmed = [number for number in range(options.harmless) if (True, number) not in tally.done]
        zygote = stack.enter_context(forking())
        kept = make_all(place, zygote, options.states)
        cases = drawn(kept, options.seed, options.damages, options.only)
        cases = [case for case in cases if (False, case.number) not in tally.done]
        benches = [Bench(place, zygote, kept, slot) for slot in range(options.side_by_side)]
        work = [partial(_damaged, case=case) for case in cases]
        work += [partial(_unharmed, number=number, seed=options.seed) for number in unharmed]
        with ThreadPoolExecutor(len(benches)) as pool:
            for _ in pool.map(partial(_all, work, tally), benches):
                pass
    print(tally)
    return int(any(result.faults for result in tally.results))


def _all(work: list[Any], tally: Tally, bench: Bench) -> None:
    while work:
        with suppress(IndexError):
            tally.add(work.pop(0)(bench))


def _damaged(bench: Bench, case: Case) -> Result:
    return bench.damaged(case)


def _unharmed(bench: Bench, number: int, seed: int) -> Result:
    return bench.unharmed(number, seed)


if __name__ == "__main__":
    raise SystemExit(main())
