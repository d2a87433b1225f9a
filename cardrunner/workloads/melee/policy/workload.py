"""The torch half of the policy workload: its data, model, objective and demo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, Data, DemoResult, Objective, Progress, Workload, WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.workloads.melee.demo.play import DemoRun, play_demo
from cardrunner.workloads.melee.demo.section import demo_of
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.game_data import GameData, GameExamples, game_files
from cardrunner.workloads.melee.encoding.windows import player_examples
from cardrunner.workloads.melee.policy.baselines import count_controllers, make_baselines
from cardrunner.workloads.melee.policy.contract import check_plugged
from cardrunner.workloads.melee.policy.models import model_named
from cardrunner.workloads.melee.policy.objective import PolicyObjective
from cardrunner.workloads.melee.policy.spec import SPEC, data_of, model_of


class PolicyData(GameData):
    """Encoded games for learning the controller of one player."""


def open_policy_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> PolicyData:
    """Open the card's files, or generate its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section = data_of(card)
    examples = player_examples(section.predict_player)
    kind = GameExamples(section, model_of(card).context_len, train=examples, validation=examples)
    encoded = open_data(game_files(section, files, scratch=scratch, progress=progress))
    return PolicyData(card, encoded, kind, scratch=scratch, progress=progress)


class PolicyWorkload:
    """Imitation of a player from encoded games."""

    spec: WorkloadSpec = SPEC

    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data:
        """Open the card's files, or generate its games; raises as `open_policy_data` and `check_plugged`."""
        check_plugged(model_of(card), data_of(card).encoding.resolved())
        return open_policy_data(card, files, scratch=scratch, progress=progress)

    def build_model(self, card: Card) -> nn.Module:
        """A model of the card's architecture and sizes with fresh weights from torch's global generator."""
        model = model_of(card)
        return model_named(model.architecture).build(model, data_of(card).encoding.resolved())

    def objective(self, card: Card) -> Objective:
        """Loss and metrics with the card's weights."""
        return PolicyObjective.of(card.training)

    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]:
        """Repeat the last input, neutral, training mean; counts the training games once."""
        policy_data = _own(data)
        player = data_of(card).predict_player
        return make_baselines(count_controllers(policy_data.encoded, policy_data.train_games, player))

    def export_config(self, card: Card) -> Mapping[str, Any]:
        """The `config` of a checkpoint in the existing format."""
        return model_named(model_of(card).architecture).config(model_of(card))

    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None:
        """A match of the card's agents; None if the card asks for no demo. Raises as `play_demo`."""
        wanted = demo_of(card)
        if wanted is None:
            return None
        policy_data = _own(data)
        run = DemoRun(
            demo=wanted,
            policy=checkpoint,
            data=policy_data.encoded,
            games=policy_data.validation_games,
            seed=card.training.seed,
            context_len=model_of(card).context_len,
        )
        return play_demo(run, out=out, progress=progress)


def _own(data: Data) -> PolicyData:
    if not isinstance(data, PolicyData):
        raise UsageError(f"this data was opened by another workload than {SPEC.name}; open it with this one")
    return data


WORKLOAD: Workload = PolicyWorkload()
