"""The one folder of ours that a script finds on its path, where its card asks for it.

It is in the run folder and holds only what the card asks for: ``cardrunner_script.py`` by `training.script_module`, and
the hook for ``wandb.log``, a ``sitecustomize.py``, by `training.report.wandb`. Both are files without dependencies.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cardrunner.runs.files import explained, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.sections import CommandTraining

_HERE: Final = Path(__file__).parent
_MODULE: Final = _HERE / "script" / "cardrunner_script.py"
_HOOK: Final = _HERE / "wandb_hook" / "sitecustomize.py"


def modules_of(training: CommandTraining) -> tuple[Path, ...]:
    """The files that a card asks for."""
    return tuple(_asked_for(training))


def _asked_for(training: CommandTraining) -> Iterator[Path]:
    if training.script_module:
        yield _MODULE
    if training.report.wandb:
        yield _HOOK


def write_modules(training: CommandTraining, folder: RunFolder) -> tuple[Path, ...]:
    """Write the folder anew; what has to stand on the script's path for it.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    place, wanted = folder.script_modules, modules_of(training)
    with explained(place, "write"):
        if place.exists():
            shutil.rmtree(place)
        if not wanted:
            return ()
        place.mkdir()
    for module in wanted:
        write_text(place / module.name, module.read_text())
    return (place,)
