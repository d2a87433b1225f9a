"""Who may import whom, and which packages stay out of where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardrunner.card.platforms import PLATFORMS

PACKAGE = Path(__file__).parent.parent / "cardrunner"

ROWS = (
    ("errors",),
    ("common",),
    ("workspace", "plugins"),
    ("specs",),
    ("kill_rules",),
    ("card",),
    ("runs", "gate"),
    ("contracts",),
    ("training",),
    ("stages", "executors", "tracking", "report", "histories", "workloads"),
    ("registry",),
    ("plan",),
    ("launching",),
    ("verifying",),
    ("commands",),
    ("main",),
    ("__main__", "__init__"),
)
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}

# package -> the only places that may import it
HEAVY = {
    "torch": ("training", "stages", "workloads"),
    "numpy": ("training", "stages", "workloads", "report"),
    "matplotlib": ("report",),
    "modal": ("executors/modal_cloud",),
    "wandb": ("tracking/wandb_run",),
    "tensorboardX": ("tracking/tensorboard_run",),
    "yaml": ("card",),
    "jinja2": ("card/markdown", "report", "workloads/melee/viewer"),
    "peppi_py": ("workloads/melee",),
    "rich": ("tracking", "commands"),
    "cryptography": ("gate/ssh/verify",),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path, *, run_time_only: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute module names imported, at run time or for type checking, with their lines."""
    tree = ast.parse(path.read_text())
    left_out = {
        id(inner)
        for node in ast.walk(tree)
        if run_time_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "cardrunner":
                yield from ((f"cardrunner.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def room(name: str) -> str:
    return name.split("/")[0]


def workload_of(name: str) -> str | None:
    parts = name.split("/")
    return parts[1] if parts[0] == "workloads" and len(parts) > 2 else None


def test_a_module_imports_only_from_rooms_above_its_own() -> None:
    offenders = [
        f"{path}:{line}: {room(place(path))} may not import {name}"
        for path in modules()
        for name, line in imports(path)
        if name.startswith("cardrunner.") and not may_import(room(place(path)), name.split(".")[1])
    ]
    assert offenders == []


def may_import(own: str, other: str) -> bool:
    return other == own or ROW_OF[other] < ROW_OF[own]


def test_the_pages_for_developers_show_these_rooms() -> None:
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    drawn = page.split("## Who may import whom")[1].split("```text\n")[1].split("```")[0]
    assert tuple(tuple(line.split("#")[0].split()) for line in drawn.splitlines()) == ROWS
    tree = (PACKAGE.parent / "README.md").read_text().split("## The house")[1].split("```")[1]
    for room in ROW_OF.keys() - {"__main__", "__init__"}:
        assert re.search(rf"\b{room}(\.py|/)", tree), f"the README's tree lacks {room}"


def test_heavy_packages_stay_where_they_belong() -> None:
    offenders = [
        f"{path}:{line}: {name} is only for {homes}"
        for path in modules()
        for name, line in imports(path, run_time_only=True)
        if (homes := HEAVY.get(name.split(".")[0])) is not None and not place(path).startswith(homes)
    ]
    assert offenders == []


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("workloads/**/spec.py")), ids=place)
def test_a_spec_is_free_of_torch_and_numpy(path: Path) -> None:
    name = f"cardrunner.{place(path).replace('/', '.')}"
    probe = f"import sys, {name}; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_only_the_registry_names_a_workload() -> None:
    names = {folder.name for folder in (PACKAGE / "workloads").iterdir() if (folder / "spec.py").exists()}
    for path in modules():
        own = workload_of(place(path))
        for name, line in imports(path):
            parts = name.split(".")
            if parts[:2] == ["cardrunner", "workloads"] and len(parts) > 2 and parts[2] in names:
                assert own == parts[2] or place(path) == "registry", (
                    f"{path}:{line}: only the registry may import {name}"
                )


def test_only_the_table_of_platforms_names_one() -> None:
    """Everything else asks the platform's own spec: see `cardrunner.card.platforms.platform_of`."""
    for path in modules():
        if place(path).startswith("executors/") or place(path) == "card/platforms":
            continue
        for name, line in imports(path):
            assert not name.startswith("cardrunner.executors"), f"{path}:{line} imports {name}"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(
                isinstance(side, ast.Attribute) and side.attr == "platform" for side in (node.left, *node.comparators)
            ):
                compared = {side.value for side in node.comparators if isinstance(side, ast.Constant)}
                assert not compared & PLATFORMS.keys(), f"{path}:{node.lineno} compares with the name of a platform"


def test_the_core_speaks_no_melee() -> None:
    words = ("melee", "slippi", "peppi", "falco", "controller", ".slp")
    for path in modules():
        if place(path).startswith(("workloads/", "registry")) or place(path) == "commands/encode":
            continue
        text = path.read_text().lower()
        found = [word for word in words if word in text]
        assert not found, f"{path} names {found}"


def test_only_commands_print_or_exit() -> None:
    for path in modules():
        if room(place(path)) in ("commands", "main", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "sys.exit", "exit"), f"{path}:{node.lineno} calls {called}"  # type: ignore[attr-defined]


def test_reading_a_command_leaves_heavy_packages_alone() -> None:
    heavy = ("torch", "modal", "wandb", "numpy", "matplotlib")
    probe = f"import sys, cardrunner.main as m; m.build_parser(); print([p for p in {heavy} if p in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_functions_fit_on_a_screen() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_sources_and_pages_say_what_is() -> None:
    """Words that tell a reader what is not, or not who: see the glossary for those of the field."""
    words = re.compile(r"\b(nobody|whoever|so many|nothing of it|(?:is|are) none)\b", re.IGNORECASE)
    python = re.compile(r"\bis None\b")
    pages = [*(PACKAGE.parent / "docs").glob("*.md"), *PACKAGE.parent.glob("*.md")]
    texts = [path for kind in ("*.py", "*.j2", "*.html", "*.js") for path in PACKAGE.rglob(kind)]
    found = [
        f"{path}:{number}: {match[0]}"
        for path in (*texts, *pages)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := words.search(python.sub("", line)))
    ]
    assert found == []
