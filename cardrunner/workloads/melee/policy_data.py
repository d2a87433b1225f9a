"""The data of a policy run: files opened as one, split by game, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardrunner.card.schema.card import Card
from cardrunner.contracts import BatchDataset, Fact, Progress
from cardrunner.errors import UsageError
from cardrunner.training.shuffle import choose_shuffle, describe_shuffle, machine_memory
from cardrunner.workloads.melee.checked_files import CheckedFiles
from cardrunner.workloads.melee.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.generator import generate
from cardrunner.workloads.melee.policy_facts import value_facts, written_facts
from cardrunner.workloads.melee.spec import data_of, model_of
from cardrunner.workloads.melee.spec_sections import Generator
from cardrunner.workloads.melee.windows import player_examples


class PolicyData:
    """See `cardrunner.contracts.Data`. Reading every value and the sha256 wait until somebody asks for them, and are
    remembered beside the files.

    Attributes:
        block_bytes: see `cardrunner.contracts.ReadsInBlocks`.
    """

    def __init__(self, card: Card, encoded: EncodedData, *, scratch: Path, progress: Progress) -> None:
        self.card = card
        self.encoded = encoded
        self._checked = CheckedFiles(encoded, scratch=scratch, progress=progress)
        section, context_len = data_of(card), model_of(card).context_len
        memory = card.infra.memory or machine_memory()
        shuffle = choose_shuffle(section.shuffle, data_bytes=encoded.size, memory_bytes=memory)
        self.mode = describe_shuffle(shuffle, block_bytes=section.shuffle_block)
        self.block_bytes: int | None = section.shuffle_block if shuffle == "block" else None
        self.train_games, self.validation_games = split_games(encoded.games, section.split.train)
        sides = (
            FrameDataset(encoded, games, context_len=context_len, make_batch=player_examples(section.predict_player))
            for games in (self.train_games, self.validation_games)
        )
        self.train: BatchDataset
        self.validation: BatchDataset
        self.train, self.validation = sides

    def facts(self) -> Sequence[Fact]:
        """What the card expects against what the files hold; reads every value, unless it is known."""
        return (*written_facts(self.card, self.encoded), *value_facts(self.card, self._checked.report()))

    def identity(self) -> Mapping[str, Any]:
        """Files with size and sha256, counts, encoding and rules, as JSON; reads every byte, unless it is known."""
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


def open_policy_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> PolicyData:
    """Open the card's files, or make its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section = data_of(card)
    if section.is_synthetic:
        files = (_made(section.synthetic, scratch, progress),)
    return PolicyData(card, open_data(files), scratch=scratch, progress=progress)


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
