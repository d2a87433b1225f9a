"""The demo of a script: the card's own command, and the files that it leaves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cardrunner.card.contracts import narrowed
from cardrunner.common.text import plural
from cardrunner.common.units import format_bytes
from cardrunner.contracts import DemoResult, RunContext
from cardrunner.errors import EnvironmentFailed
from cardrunner.workloads.command.beside import Beside
from cardrunner.workloads.command.proof_sections import CommandDemo
from cardrunner.workloads.command.spec import NAME
from cardrunner.workloads.command.substitution import shown_command

FIELD: Final = "after_training.demo"
_MOST_FILES: Final = 1_000


def shown(ctx: RunContext, content: Path) -> DemoResult:
    """Run the card's demo.

    Args:
        ctx: the run.
        content: the best checkpoint, a file or a folder.

    Raises:
        EnvironmentFailed: it failed, left no file, or left more than it may.
    """
    demo = narrowed(ctx.card.after_training.demo, CommandDemo, workload=NAME)
    out = ctx.folder.demo
    beside = Beside(ctx=ctx, name="demo", place=FIELD, section=demo.beside, out=out, checkpoint=content)
    beside.make_ready()
    ended = beside.succeed()
    files = tuple(sorted(_files(out)))
    if not files:
        raise EnvironmentFailed(f"{FIELD} ended well and left no file in {{out}}, which is {out}")
    size = sum(path.stat().st_size for path in files)
    if size > demo.most or len(files) > _MOST_FILES:
        left = f"{plural(len(files), 'file')}, {format_bytes(size)}"
        raise EnvironmentFailed(
            f"{FIELD} left {left} in {out}; at most {_MOST_FILES} files and {format_bytes(demo.most)} are kept: let it "
            f"leave less, or write a larger most"
        )
    return DemoResult(files=files, summary={"command": shown_command(ended.argv), "size": format_bytes(size)})


def _files(folder: Path) -> list[Path]:
    """Every plain file below a folder; a link could lead anywhere."""
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return [path for path in found if path.is_file() and not path.is_symlink()]
