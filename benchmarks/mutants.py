"""Do the tests notice a changed line? Sixty lines of the parts that must not be wrong, each changed once by cosmic-ray.

    python -m benchmarks.mutants choose --mutants benchmarks/mutants.json --seed 12
    python -m benchmarks.mutants run --mutants benchmarks/mutants.json --results results.json

`choose` draws statements by seed and one mutation of each. A mutant is kept as the qualified name of its function, the
words of its statement and the operator of cosmic-ray with its place among those of the statement, so that it is found
again after its file was moved, split or merged. `run` puts one at a time into a copy of the tree and runs the tests of
its part until the first one fails. Results are written after every mutant: a later `run` goes on from there, and
several may run side by side, each on parts of its own.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

PACKAGE = "cardrunner"
LEAST_KILLED = 0.95
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Part:
    """Where mutants are drawn from, how many, and the tests that have to notice them, likeliest first."""

    sources: tuple[str, ...]
    mutants: int
    tests: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "gate": Part(
        ("gate",),
        18,
        (
            "tests/gate",
            "tests/commands/test_sign.py",
            "tests/commands/test_check.py",
            "tests/launching/test_launch.py",
        ),
    ),
    "runs": Part(
        ("runs",),
        18,
        (
            "tests/runs",
            "tests/stages",
            "tests/report",
            "tests/launching/test_launch.py",
            "tests/launching/test_supervisor.py",
            "tests/commands/test_run_commands.py",
        ),
    ),
    "kill_rules": Part(
        ("kill_rules",), 14, ("tests/kill_rules", "tests/card", "tests/training", "tests/histories", "tests/report")
    ),
    "digest": Part(
        ("card/digest.py",), 4, ("tests/card/test_digest.py", "tests/card", "tests/test_runcards.py", "tests/gate")
    ),
    "saving": Part(("training/saving.py",), 6, ("tests/training", "tests/stages", "tests/runs")),
}
LEFT_OUT = re.compile(
    r".*BitOr.*|.*(Eq|NotEq|Lt|LtE|Gt|GtE)_Is(Not)?|.*Is(Not)?_(Eq|NotEq|Lt|LtE|Gt|GtE)"  # `X | None`, `== None`
    r"|core/Variable.*|core/RemoveDecorator"  # need arguments; @dataclass and @property break every import
)


@dataclass(frozen=True)
class Statement:
    """A simple statement, or the header of a compound one."""

    function: str
    words: str
    nth: int
    """Which of the statements with these words in this function, from 0."""
    lines: tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One mutation of one statement, findable wherever the statement went."""

    part: str
    file: str
    function: str
    statement: str
    nth: int
    operator: str
    position: int
    """Which of the operator's positions in the statement, from 0."""
    line: int = 0
    becomes: str = ""
    equivalent: str | None = None
    """Why no test can notice it."""


@cache
def statements(source: str) -> list[Statement]:
    """The statements of a module, by function."""
    found, seen, lines = list[Statement](), Counter[tuple[str, str]](), source.splitlines()

    def walk(body: Sequence[ast.AST], function: str) -> None:
        for node in body:
            inner = function
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{function}.{node.name}".lstrip(".")
            if isinstance(node, ast.stmt) and not _documents(node):
                start, end = node.lineno, _header_end(node)
                words = " ".join(" ".join(lines[start - 1 : end]).split())
                found.append(Statement(inner, words, seen[inner, words], (start, end)))
                seen[inner, words] += 1
            walk([child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)], inner)

    walk(ast.parse(source).body, "")
    return found


def _documents(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _header_end(node: ast.stmt) -> int:
    inside = getattr(node, "body", None) or getattr(node, "cases", None)
    if not isinstance(inside, list):
        return node.end_lineno or node.lineno
    first: Any = inside[0].pattern if isinstance(inside[0], ast.match_case) else inside[0]
    lines: list[int] = [first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))]
    return max(node.lineno, min(lines) - 1)


@cache
def positions(source: str, operator: str) -> list[tuple[int, int]]:
    """The lines, first and last, of every mutation that an operator can make, in its own order."""
    made = get_operator(operator)()
    return [(int(a[0]), int(b[0])) for node in _nodes(source) for a, b in made.mutation_positions(node)]


@cache
def _nodes(source: str) -> list[Any]:
    return list(ast_nodes(get_ast(source)))


def mutations(source: str, statement: Statement) -> Iterator[tuple[str, int, int]]:
    """Operator, position in the statement, and occurrence in the module."""
    first, last = statement.lines
    for operator in sorted(name for name in operator_names() if not LEFT_OUT.fullmatch(name)):
        inside = [at for at, (a, b) in enumerate(positions(source, operator)) if first <= a and b <= last]
        yield from ((operator, number, occurrence) for number, occurrence in enumerate(inside))


def mutated(source: str, operator: str, occurrence: int) -> str:
    """The module with one mutation."""
    made = mutate_code(source, get_operator(operator)(), occurrence)
    if made is None or made == source:
        raise ValueError(f"{operator} makes no mutation {occurrence}")
    return str(made)


def _changed(before: str, after: str) -> tuple[int, str]:
    pairs = enumerate(zip(before.splitlines(), after.splitlines(), strict=False), 1)
    return next(((number, new.strip()) for number, (old, new) in pairs if old != new), (0, ""))


def choose(tree: Path, seed: int) -> Iterator[Mutant]:
    """Draw mutants: statements by seed within each part, one mutation of each."""
    for name, part in PARTS.items():
        chance = random.Random(f"{seed} {name}")
        roots = (tree / PACKAGE / source for source in part.sources)
        files = sorted(path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root]))
        drawn = [(path, one) for path in files for one in statements(path.read_text())]
        chance.shuffle(drawn)
        left = part.mutants
        for path, statement in drawn:
            source, file = path.read_text(), path.relative_to(tree).as_posix()
            if _typed_only(statement.words) or not (found := list(mutations(source, statement))):
                continue
            operator, position, occurrence = chance.choice(found)
            line, becomes = _changed(source, mutated(source, operator, occurrence))
            yield Mutant(
                name, file, statement.function, statement.words, statement.nth, operator, position, line, becomes
            )
            if not (left := left - 1):
                break


def _typed_only(words: str) -> bool:
    """Whether it only declares: a decorator, an import or the signature of a function."""
    return re.match(r"(@|import |from |(async )?def |class |model_config)", words) is not None


def find(tree: Path, mutant: Mutant, renamed: Mapping[str, str]) -> tuple[Path, str] | None:
    """Where a mutant's statement is now, and the module with the mutation; None for one that was rewritten."""
    function, words = (_renamed(text, renamed) for text in (mutant.function, mutant.statement))
    places = [
        (path, one)
        for path in sorted((tree / PACKAGE).rglob("*.py"))
        for one in statements(path.read_text())
        if one.words in (words, mutant.statement) and one.nth == mutant.nth
    ]
    places.sort(
        key=lambda at: (
            at[1].function not in (function, mutant.function),
            at[1].function.rpartition(".")[2] != function.rpartition(".")[2],
            at[0].name != Path(mutant.file).name,
        )
    )
    for path, one in places[:1]:
        source = path.read_text()
        for operator, position, occurrence in mutations(source, one):
            if (operator, position) == (mutant.operator, mutant.position):
                return path, mutated(source, operator, occurrence)
    return None


def _renamed(text: str, renamed: Mapping[str, str]) -> str:
    return re.sub(r"\w+", lambda word: renamed.get(word[0], word[0]), text)


def judge(tree: Path, tests: Sequence[str], python: str) -> tuple[str, str]:
    """Run tests until one fails: how it came out, and the last line of what pytest said."""
    command = [python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}  # no deadlines
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "killed", f"no end after {TIMEOUT_SECONDS} s"
    failed = [line for line in told.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "killed" if process.returncode else "survived", (failed or told.strip().splitlines() or [""])[-1][:200]


def _known(results: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    return known


def attempt(tree: Path, mutant: Mutant, options: argparse.Namespace) -> dict[str, Any]:
    """Put a mutant into a tree, run the tests of its part, and take it out again."""
    began, told = time.monotonic(), "the statement is not there any more"
    outcome, at = "gone", mutant.file
    if (found := find(tree, mutant, dict(pair.split("=") for pair in options.renamed))) is not None:
        path, text = found
        before = path.read_text()
        at = f"{path.relative_to(tree)}:{_changed(before, text)[0]}"
        try:
            path.write_text(text)
            outcome, told = judge(tree, PARTS[mutant.part].tests, options.python)
        finally:
            path.write_text(before)
        if outcome == "killed" and not _is_noticed(tree, told, options.python):
            outcome = "unsure"
    seconds = round(time.monotonic() - began, 1)
    return {**asdict(mutant), "outcome": outcome, "at": at, "told": told, "seconds": seconds}


def _is_noticed(tree: Path, told: str, python: str) -> bool:
    """Whether what failed with the mutant passes without it; a pytest that could not run proves nothing."""
    failed = re.match(r"(?:FAILED|ERROR) (\S+)", told)
    return told.startswith("no end") or (failed is not None and judge(tree, [failed[1]], python)[0] == "survived")


def run(options: argparse.Namespace) -> int:
    """Try every mutant that has no result yet; 1 where fewer are noticed than have to be."""
    mutants = [Mutant(**one) for one in json.loads(options.mutants.read_text())]
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis")
        scratch = shutil.copytree(options.tree, Path(folder) / "tree", ignore=ignored)
        for number, mutant in enumerate(mutants):
            key = f"{number} {mutant.file} {mutant.function}"
            if mutant.part not in options.parts or key in _known(options.results) or mutant.equivalent:
                continue
            result = attempt(scratch, mutant, options)
            options.results.write_text(json.dumps({**_known(options.results), key: result}, indent=1) + "\n")
            print(f"{result['outcome']:9} {result['at']} {mutant.operator}: {mutant.becomes}", flush=True)
    results = _known(options.results).values()
    tally = Counter(one["outcome"] for one in results)
    tried = tally["killed"] + tally["survived"]
    print(f"{tally['killed']} of {tried} killed, {tally['gone']} gone; survivors:")
    print("\n".join(f"  {one['at']}: {one['becomes']}" for one in results if one["outcome"] == "survived"))
    return int(tally["killed"] < LEAST_KILLED * tried)


def main(arguments: Sequence[str] | None = None) -> int:
    """Choose mutants, or try them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["choose", "run"])
    parser.add_argument("--tree", type=Path, default=Path(), help="the checkout")
    parser.add_argument("--mutants", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="run only these")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that the tests need")
    parser.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW", help="names that changed since")
    options = parser.parse_args(arguments)
    if options.what == "run":
        return run(options)
    chosen = [asdict(mutant) for mutant in choose(options.tree, options.seed)]
    options.mutants.write_text(json.dumps(chosen, indent=1) + "\n")
    print(f"{len(chosen)} mutants")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
