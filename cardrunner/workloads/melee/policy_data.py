"""The data of a policy run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Progress
from cardrunner.workloads.melee.encoded_data import open_data
from cardrunner.workloads.melee.game_data import GameData, GameExamples, game_files
from cardrunner.workloads.melee.spec import data_of, model_of
from cardrunner.workloads.melee.windows import player_examples


class PolicyData(GameData):
    """Games, of whose frames one player's controller is learned."""


def open_policy_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> PolicyData:
    """Open the card's files, or make its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section = data_of(card)
    examples = player_examples(section.predict_player)
    kind = GameExamples(section, model_of(card).context_len, train=examples, validation=examples)
    encoded = open_data(game_files(section, files, scratch=scratch, progress=progress))
    return PolicyData(card, encoded, kind, scratch=scratch, progress=progress)
