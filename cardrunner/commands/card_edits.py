"""Writing edits into a card's file, only if it is still the file that was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.card.reading.edit import Edit, Removal, edit_document
from cardrunner.card.reading.reader import read_bytes
from cardrunner.common.redaction import found_in
from cardrunner.errors import EnvironmentFailed, IntegrityError, UsageError
from cardrunner.runs.files import locked, write_durably


def save_edits(loaded: LoadedCard, edits: Sequence[Edit | Removal], *, signed_content: bool = False) -> LoadedCard:
    """Apply edits to a card's file and return the edited card.

    Args:
        loaded: the card.
        edits: what changes.
        signed_content: they may change what is signed, which then has to be signed anew.

    Raises:
        UsageError: the layout cannot be edited in place, or the file changed on disk since it was read.
        CardError: the card would not be valid with them.
        IntegrityError: they would change what is signed.
        EnvironmentFailed: the file cannot be written; it is unchanged.
    """
    changed = load_card_bytes(
        edit_document(loaded.document, edits),
        file=str(loaded.path),
        resolve=registry.workload_spec,
        sources=loaded.sources,
    )
    if (variable := found_in(changed.data.decode())) is not None:
        raise UsageError(
            f"{loaded.path}: this edit would write the value of {variable} into the card; nothing was written"
        )
    if changed.digest != loaded.digest and not signed_content:
        raise IntegrityError(f"{loaded.path}: this edit would change what is signed; nothing was written")
    _replace(loaded.path, expected=loaded.data, data=changed.data)
    return changed


def _replace(path: Path, *, expected: bytes, data: bytes) -> None:
    target = path.resolve()  # keeps a symbolic link
    with locked(target.parent):
        if read_bytes(target) != expected:
            raise UsageError(
                f"{path}: the file changed on disk since it was read; nothing was written, run the command again"
            )
        if not os.access(target, os.W_OK):
            raise EnvironmentFailed(f"cannot write {path}: it is read-only; check who may write there")
        mode = stat.S_IMODE(target.stat().st_mode)

        def write(stream: BinaryIO) -> None:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)

        write_durably(target, write)
