"""The core knows no domain: words of the built-in workloads stand only in these workloads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cardrunner"
WORDS = re.compile(
    r"(?<![a-z])(games?|players?|frames?|replays?|sticks?|fighters?|rollbacks?|agents?|world[ _-]models?|melee|slp)"
    r"(?![a-z])",
    re.IGNORECASE,
)
OF_PYTHON = (
    r"frame: FrameType",
    r"before\(number, frame\)",
    r"\binnermost frame\b",
    r"for frame in( reversed| frames)?",
    r"\bframes? = ",
    r"frame\.\w+",
    r"\[frame ",
)
"""Frames of Python's stack."""
ALLOWED: dict[str, tuple[str, ...]] = {
    "plugins.py": OF_PYTHON,
    "launching/supervisor.py": OF_PYTHON,
    "launching/submit.py": OF_PYTHON,
    "runs/interrupts.py": OF_PYTHON,
    "executors/modal_cloud/signals.py": OF_PYTHON,
    "training/graphs.py": (r"^\s+\"\"\"Replays a recorded step", r"_graph\.replay\(\)"),  # of CUDA graphs
    "commands/rules.py": (r"replay a recorded history",),
    "commands/sign.py": (r"ssh-agent",),
    "launching/signed_seals.py": (r"an agent holds",),
    "workloads/command/trying/isolation.py": (r"clouds and agents",),
    "gate/policies.py": (r"SSH agent",),
    "gate/ssh/sign.py": (r"ssh-agent", r"\bagents?\b"),
    "registry.py": (r"\bmelee[\w.-]*",),  # the one list of workloads
    # a default of `card: 1`, which the digests of signed cards hold
    "card/schema/data.py": (r'by: Line = "game"',),
    # what the flag of the encoder is called
    "contracts.py": (r"drop_rollback",),
    "commands/encode.py": (r"drop[-_]rollback",),
    "executors/modal_cloud/archive_functions.py": (r"drop_rollback",),
}
"""Lines of the core in which such a word means something else, by file."""


def core() -> list[Path]:
    kinds = (".py", ".j2", ".yaml")
    return [
        path for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in kinds and not path.is_relative_to(PACKAGE / "workloads" / "melee")
    ]  # fmt: skip


def named_in(path: Path) -> list[str]:
    name = path.relative_to(PACKAGE).as_posix()
    allowed = re.compile("|".join(ALLOWED.get(name, ("(?!)",))))
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [f"{name}:{number}: {line.strip()}" for number, line in lines if WORDS.search(allowed.sub("", line))]


def test_the_core_names_nothing_of_a_domain() -> None:
    assert [line for path in core() for line in named_in(path)] == []


@pytest.mark.parametrize("name", ALLOWED)
def test_every_exception_is_needed(name: str) -> None:
    text = (PACKAGE / name).read_text()
    assert any(re.search(pattern, text, re.MULTILINE) for pattern in ALLOWED[name])
