"""A folder outside every run and workspace that belongs to this user alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cardrunner.errors import EnvironmentFailed


def private_folder(purpose: str) -> Path:
    """The folder for a purpose, made when absent: in the user's cache, else below the folder for temporary files.

    Args:
        purpose: its name, such as ``logs``.

    Raises:
        EnvironmentFailed: neither can be made, or what stands there belongs to another user.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    temporary = Path(tempfile.gettempdir()) / f"cardrunner-{os.getuid()}"
    for root in (cache / "cardrunner", temporary):
        if root.is_absolute() and _is_made(root) and _is_made(root / purpose):
            return root / purpose
    raise EnvironmentFailed(
        f"neither {cache} nor {temporary.parent} takes a folder of this user; let XDG_CACHE_HOME name one that does"
    )


def _is_made(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    # in a folder that all may write, another user could have made it first
    return state.st_uid == os.getuid() and not state.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK)
