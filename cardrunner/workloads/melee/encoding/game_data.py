"""Digests and value checks of encoded files, each file read at most once and then remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cardrunner.card.schema.card import Card
from cardrunner.contracts import BatchDataset, Fact, Progress
from cardrunner.errors import UsageError
from cardrunner.runs.file_memo import Memo, MemoPlace, unchanged
from cardrunner.training.order import choose_shuffle, describe_shuffle, machine_memory
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile
from cardrunner.workloads.melee.encoding.file_scan import VERSION, FileScan, scan_file
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.encoding.game_facts import value_facts, written_facts
from cardrunner.workloads.melee.encoding.scan import ScanReport, report
from cardrunner.workloads.melee.encoding.windows import WindowExamples
from cardrunner.workloads.melee.policy.sections import GamesData, Generator
from cardrunner.workloads.melee.simulator.simulator import generate


class CheckedFiles:
    """Digests and value checks of some files, from reading every byte.

    Args:
        data: the opened files.
        scratch: the folder for memos if the files' own cannot be written.
        progress: shown while a file is read.
    """

    def __init__(self, data: EncodedData, *, scratch: Path, progress: Progress) -> None:
        self._data, self._scratch, self._progress = data, scratch, progress

    def digests(self) -> tuple[str, ...]:
        """The sha256 of each file."""
        return tuple(digest for digest, _ in self._known)

    def report(self) -> ScanReport:
        """The report on all values."""
        return report(self._data, [scan for _, scan in self._known])

    @cached_property
    def _known(self) -> tuple[tuple[str, FileScan], ...]:
        return tuple(self._check(file) for file in self._data.files)

    def _check(self, file: EncodedFile) -> tuple[str, FileScan]:
        place = MemoPlace(file.path, self._scratch)
        memo = place.recall()
        if memo is not None and (scan := _remembered(memo)) is not None:
            return memo.sha256, scan
        label = f"reading {file.path.name}"
        with unchanged(file.path) as marks, self._progress.task(label, file.size, unit="B") as task:
            found = scan_file(file, hashed=memo is None, progress=task.advance)
        digest = found.sha256 or (memo.sha256 if memo else "")
        checks = {**(memo.checks if memo else {}), VERSION: found.scan.model_dump(mode="json")}
        if problem := place.remember(Memo(marks=marks, sha256=digest, checks=checks)):
            self._progress.note(problem)
        return digest, found.scan


def _remembered(memo: Memo) -> FileScan | None:
    try:
        return FileScan.model_validate(memo.checks[VERSION])
    except (KeyError, ValidationError):
        return None


@dataclass(frozen=True)
class GameExamples:
    """A workload's examples over games.

    Attributes:
        section: the card's data.
        context_len: K.
        train: what trains.
        validation: what validates.
    """

    section: GamesData
    context_len: int
    train: WindowExamples
    validation: WindowExamples


class GameData:
    """The `Data` of workloads over games. Values and sha256 are read only when needed, and remembered beside the
    files.

    Attributes:
        block_bytes: bytes of a block, if the card reads in blocks.
    """

    def __init__(
        self,
        card: Card,
        encoded: EncodedData,
        kind: GameExamples,
        *,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self.card = card
        self.encoded = encoded
        self.kind = kind
        self._checked = CheckedFiles(encoded, scratch=scratch, progress=progress)
        section = kind.section
        memory = card.infra.memory or machine_memory()
        shuffle = choose_shuffle(section.shuffle, data_bytes=encoded.size, memory_bytes=memory)
        self.mode = describe_shuffle(shuffle, block_bytes=section.shuffle_block)
        self.block_bytes: int | None = section.shuffle_block if shuffle == "block" else None
        self.train_games, self.validation_games = split_games(encoded.games, section.split.train)
        sides = (
            FrameDataset(encoded, games, context_len=kind.context_len, examples=examples)
            for games, examples in ((self.train_games, kind.train), (self.validation_games, kind.validation))
        )
        self.train: BatchDataset
        self.validation: BatchDataset
        self.train, self.validation = sides

    def facts(self) -> Sequence[Fact]:
        """What the card expects against what the files hold; reads every value unless remembered."""
        written = written_facts(self.card, self.kind.section, self.encoded, context_len=self.kind.context_len)
        return (*written, *value_facts(self.card, self._checked.report()))

    def identity(self) -> Mapping[str, Any]:
        """Files with size and sha256, counts, encoding and rules, as JSON; reads every byte unless remembered."""
        encoded = self.encoded
        return {
            "files": [
                {"file": file.path.name, "bytes": file.size, "sha256": digest}
                for file, digest in zip(encoded.files, self._checked.digests(), strict=True)
            ],
            "games": encoded.games,
            "frames": encoded.frames,
            "train_examples": len(self.train),
            "val_examples": len(self.validation),
            "encoding": encoded.encoding.model_dump(),
            "rules": [rules.model_dump() if rules else None for rules in encoded.rules],
        }


def game_files(section: GamesData, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Sequence[Path]:
    """The card's files, or the one that its generator makes.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing.
    """
    return (_made(section.synthetic, scratch, progress),) if section.is_synthetic else files


def _made(wanted: Generator | None, scratch: Path, progress: Progress) -> Path:
    """The generated file; made once, because it is written completely or not at all."""
    if wanted is None:
        raise UsageError("data.synthetic: the generator needs the amount to make; give games and frames_per_game")
    path = scratch / f"games-{wanted.games}x{wanted.frames_per_game}-seed{wanted.seed}.pt"
    if not path.exists():
        with progress.task("making games", wanted.games, unit="games") as task:
            generate(
                path,
                games=wanted.games,
                frames_per_game=wanted.frames_per_game,
                seed=wanted.seed,
                progress=task.advance,
            )
    return path
