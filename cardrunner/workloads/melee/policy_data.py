"""The data of a policy run: files opened as one, split by game, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cardrunner.card.schema.card import Card
from cardrunner.contracts import BatchDataset, Fact, Progress
from cardrunner.errors import UsageError
from cardrunner.runs.hashing import sha256_file
from cardrunner.workloads.melee.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.generator import generate
from cardrunner.workloads.melee.policy_facts import value_facts, written_facts
from cardrunner.workloads.melee.scan import ScanReport, scan
from cardrunner.workloads.melee.spec import data_of, model_of
from cardrunner.workloads.melee.spec_sections import Generator


class PolicyData:
    """See `cardrunner.contracts.Data`. Reading every value and the sha256 wait until somebody asks for them."""

    mode = "memory-mapped, full shuffle"

    def __init__(self, card: Card, encoded: EncodedData, *, progress: Progress) -> None:
        self.card = card
        self.encoded = encoded
        self._progress = progress
        section, context_len = data_of(card), model_of(card).context_len
        self.train_games, self.validation_games = split_games(encoded.games, section.split.train)
        sides = (
            FrameDataset(encoded, games, context_len=context_len, predict_player=section.predict_player)
            for games in (self.train_games, self.validation_games)
        )
        self.train: BatchDataset
        self.validation: BatchDataset
        self.train, self.validation = sides

    def facts(self) -> Sequence[Fact]:
        """What the card expects against what the files hold; reads every value once."""
        return (*written_facts(self.card, self.encoded), *value_facts(self.card, self._scanned))

    def identity(self) -> Mapping[str, Any]:
        """Files with size and sha256, counts, encoding and rules, as JSON; reads every byte once."""
        encoded = self.encoded
        return {
            "files": [
                {"file": file.path.name, "bytes": file.size, "sha256": digest}
                for file, digest in zip(encoded.files, self._digests, strict=True)
            ],
            "games": encoded.games,
            "frames": encoded.frames,
            "train_examples": len(self.train),
            "val_examples": len(self.validation),
            "encoding": encoded.encoding.model_dump(),
            "rules": [rules.model_dump() if rules else None for rules in encoded.rules],
        }

    @cached_property
    def _scanned(self) -> ScanReport:
        with self._progress.task("reading every value", self.encoded.frames, unit="frames") as task:
            return scan(self.encoded, progress=task.advance)

    @cached_property
    def _digests(self) -> tuple[str, ...]:
        with self._progress.task("sha256 of the data", self.encoded.size, unit="B") as task:
            return tuple(sha256_file(file.path, task.advance) for file in self.encoded.files)


def open_policy_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> PolicyData:
    """Open the card's files, or make its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section = data_of(card)
    if section.is_synthetic:
        files = (_made(section.synthetic, scratch, progress),)
    return PolicyData(card, open_data(files), progress=progress)


def _made(wanted: Generator | None, scratch: Path, progress: Progress) -> Path:
    """The generated file; made once, since it is written whole or not at all."""
    if wanted is None:
        raise UsageError("data.synthetic: the generator is not told how much to make; give games and frames_per_game")
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
