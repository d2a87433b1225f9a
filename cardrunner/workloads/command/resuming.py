"""Which checkpoint a script resumes from, and putting a kept copy back where the script looks for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.copies import put, sha256_at
from cardrunner.runs.files import explained, flush_folder
from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.keeping import Kept, kept_in
from cardrunner.workloads.command.steps import step_of
from cardrunner.workloads.command.whole import flaw

MOST_FALLBACKS: Final = 2
"""How often an older checkpoint is tried after a resume that died before its first new row."""
_ASIDE: Final = "aside"


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that a script can resume from."""

    path: Path
    """Where the script finds it, once it is in place."""
    sha256: str
    modified: int
    """When the script wrote it last, in nanoseconds since 1970."""
    step: int | None
    kept: Kept | None
    """The kept copy that is to be put back; None if it is in place."""

    def __str__(self) -> str:
        return self.path.name if self.step is None else f"{self.path.name} of step {self.step}"


@dataclass(frozen=True)
class Choice:
    """What a resume begins with."""

    candidate: Candidate | None
    sentences: tuple[str, ...]
    """What people should know about it: torn files, and checkpoints that were tried before."""


def choose(rules: CheckpointRules, kept_folder: Path, died: Sequence[str] = ()) -> Choice:
    """The newest usable checkpoint, to be asked for when no process of the script runs.

    Args:
        rules: what the card says.
        kept_folder: where checkpoints are kept.
        died: the sha256 of checkpoints from which a resume died before its first new row, in order.
    """
    options, sentences = _options(rules, kept_folder)
    if len(died) > MOST_FALLBACKS:
        sentences.append(f"{len(died)} resumes in a row died before a new row, so no older checkpoint is tried")
        return Choice(None, tuple(sentences))
    copies = kept_in(kept_folder)
    for path, modified, kept in options:
        own = [copy for copy in copies if copy.path == path]
        candidate = _candidate(path, modified, kept, own, sentences)
        if candidate is not None and candidate.sha256 not in died:
            if died:
                sentences.append(f"the resume before died before its first new row, so the older {candidate} is tried")
            return Choice(candidate, tuple(sentences))
    return Choice(None, (*sentences, "no older checkpoint is left to try" if died else "no checkpoint is usable"))


_Option = tuple[Path, int, Kept | None]


def _options(rules: CheckpointRules, kept_folder: Path) -> tuple[list[_Option], list[str]]:
    """All that are whole, in place or kept, the newest first; and sentences about those that are not."""
    found, refused = find(rules)
    sentences = [str(entry) for entry in refused]
    options: list[_Option] = []
    whole = []
    for checkpoint in found:
        if (why := flaw(checkpoint.path, rules.complete)) is None:
            whole.append(checkpoint)
            options.append((checkpoint.path, checkpoint.modified, None))
        else:
            sentences.append(f"{checkpoint.path} is not whole: {why}")
    for kept in kept_in(kept_folder):
        if not any(kept.is_of(checkpoint) for checkpoint in whole):
            options.append((kept.path, kept.record.modified, kept))
    return sorted(options, key=_age_of(options), reverse=True), sentences


def _age_of(options: Sequence[_Option]) -> Callable[[_Option], tuple[int, int, bool]]:
    """What orders checkpoints: their steps where all tell them, since a copy of a folder may lose its times."""
    steps = [_step_of(option) for option in options]
    stated = {id(option): step for option, step in zip(options, steps, strict=True) if step is not None}
    by_step = len(stated) == len(options)
    return lambda option: (stated[id(option)] if by_step else 0, option[1], option[2] is None)


def _step_of(option: _Option) -> int | None:
    path, _, kept = option
    return (step_of(path) or (None,))[0] if kept is None else kept.record.step


def _candidate(
    path: Path, modified: int, kept: Kept | None, copies: Sequence[Kept], sentences: list[str]
) -> Candidate | None:
    if kept is None:
        digest = sha256_at(path)
        if not _was_changed(modified, digest, copies):
            return Candidate(path, digest, modified, (step_of(path) or (None,))[0], None)
        sentences.append(f"{path} is not what it was when it was kept, and is not used")
        kept = copies[0]
    if not kept.intact:
        sentences.append(f"the copy {kept.content} is not what was kept, and is not used")
        return None
    return Candidate(path, kept.record.sha256, modified, kept.record.step, kept)


def _was_changed(modified: int, digest: str, copies: Sequence[Kept]) -> bool:
    """Whether something else than the script changed a checkpoint: it never overwrites it, or it has the same time."""
    if any(copy.record.sha256 == digest for copy in copies):
        return False
    return any(copy.record.numbered or copy.record.modified == modified for copy in copies)


def put_in_place(
    candidate: Candidate, rules: CheckpointRules, kept_folder: Path, *, by_itself: bool = False
) -> list[str]:
    """Make the script find the chosen checkpoint.

    Args:
        candidate: the chosen one.
        rules: what the card says.
        kept_folder: where checkpoints are kept; what is in the way is moved into it.
        by_itself: the script looks for the newest one itself, so newer ones must be out of its sight.

    Returns:
        Sentences about what was done.

    Raises:
        EnvironmentFailed: the disk is full or failing.
        IntegrityError: its place does not lie inside the folder of the checkpoints any more.
    """
    sentences = []
    for checkpoint in find(rules)[0] if by_itself else ():
        if checkpoint.modified > candidate.modified and checkpoint.path != candidate.path:
            place = _set_aside(checkpoint.path, kept_folder)
            sentences.append(f"{checkpoint.path} was moved to {place}: the script would resume from it")
    if candidate.kept is not None:
        sentences += _put_back(candidate.path, candidate.kept, rules, kept_folder)
    return sentences


def _put_back(path: Path, kept: Kept, rules: CheckpointRules, kept_folder: Path) -> list[str]:
    if not path.parent.resolve().is_relative_to(rules.root.resolve()):
        raise IntegrityError(f"{path} does not lie inside {rules.root} any more; a link was put in its way")
    staging = path.with_name(f".{path.name}.staging")
    with explained(path, "write"):
        _remove(staging)
        try:
            if put(kept.content, staging) != kept.record.sha256:
                raise EnvironmentFailed(f"{kept.content} changed while it was put back")
            in_the_way = _set_aside(path, kept_folder) if path.exists() or path.is_symlink() else None
            staging.rename(path)
        finally:
            _remove(staging)
        flush_folder(path.parent)
    moved = f"; what was there is now {in_the_way}" if in_the_way is not None else ""
    return [f"{path}: the kept copy was put back{_of_step(kept)}{moved}"]


def _of_step(kept: Kept) -> str:
    return "" if kept.record.step is None else f" (step {kept.record.step})"


def _set_aside(path: Path, kept_folder: Path) -> Path:
    """Move something out of the script's sight; the free name that it has now."""
    with explained(path, "move"):
        (kept_folder / _ASIDE).mkdir(parents=True, exist_ok=True)
        number = 1 + sum(1 for _ in (kept_folder / _ASIDE).iterdir())
        place = kept_folder / _ASIDE / f"{number:03d}-{path.name}"
        shutil.move(path, place)
    return place


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
