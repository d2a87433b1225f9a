"""Predictors that learned nothing, with the outputs of a policy, so that every metric has a reference.

Their button logits are log-odds counted on the training data, so that their loss can be compared too. Where a
count would flip the prediction, the logit is clamped to the side that defines the predictor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding.encoded_data import MOST_ROWS, EncodedData, pairs_of_games
from cardrunner.workloads.melee.encoding.layout import ANALOG, NEUTRAL_CONTROL, PlayerIndex, controller_slice
from cardrunner.workloads.melee.policy.metric_names import NEUTRAL, REPEAT_LAST, TRAINING_MEAN
from cardrunner.workloads.melee.policy.mlp import Controls

_OWN_CONTROLLER = controller_slice(0)
_LEAST_LOGIT = 1e-3

Predictor = Callable[[Batch], Controls]


@dataclass(frozen=True, eq=False)
class ControllerCounts:
    """Statistics of a player's controller over some games.

    Attributes:
        rows: frames counted.
        analog_mean: float64 (5,).
        down: int64 (8,), frames with the button down.
        transitions: int64 (2, 2, 8): [before, now, button], pairs of frames inside one game.
    """

    rows: int
    analog_mean: Tensor
    down: Tensor
    transitions: Tensor


def count_controllers(
    data: EncodedData, games: range, player: PlayerIndex, *, most_rows: int = MOST_ROWS
) -> ControllerCounts:
    """Count a player's controllers over consecutive games; over an evenly spaced sample if there are more rows."""
    analog, down = torch.zeros(len(ANALOG), dtype=torch.float64), torch.zeros(8, dtype=torch.int64)
    transitions, rows = torch.zeros(2, 2, 8, dtype=torch.int64), 0
    for part in pairs_of_games(data, games, most_rows=most_rows):
        values = part.floats[:, controller_slice(player)]
        analog += values[part.new, : len(ANALOG)].double().sum(0)
        pressed = values[:, len(ANALOG) :] > 0.5
        down += pressed[part.new].sum(0)
        transitions += _transitions(pressed, part.inside)
        rows += len(values[part.new])
    return ControllerCounts(rows, analog / max(rows, 1), down, transitions)


def make_baselines(counts: ControllerCounts) -> dict[str, Predictor]:
    """The trivial baselines by name."""
    rates = _log_odds(counts.down, counts.rows - counts.down)
    neutral = torch.tensor(NEUTRAL_CONTROL[: len(ANALOG)])
    stay_up = -_at_least(-_log_odds(counts.transitions[0, 1], counts.transitions[0, 0]))
    stay_down = _at_least(_log_odds(counts.transitions[1, 1], counts.transitions[1, 0]))
    return {
        REPEAT_LAST: lambda batch: _repeat(batch, stay_up=stay_up, stay_down=stay_down),
        NEUTRAL: lambda batch: _same_answer(batch, neutral, -_at_least(-rates)),
        TRAINING_MEAN: lambda batch: _same_answer(batch, counts.analog_mean.float(), rates),
    }


def _transitions(pressed: Tensor, inside: Tensor) -> Tensor:
    """Counts (2, 2, 8) of consecutive rows of pressed (n, 8) where `inside` (n - 1,) marks pairs of one game."""
    before, now = pressed[:-1][inside], pressed[1:][inside]
    pairs = [((before == a) & (now == b)).sum(0) for a in (False, True) for b in (False, True)]
    return torch.stack(pairs).view(2, 2, -1)


def _log_odds(yes: Tensor, no: Tensor) -> Tensor:
    """log(yes / no) per button, with half a count added to each so that it stays finite."""
    return torch.log((yes.double() + 0.5) / (no.double() + 0.5)).float()


def _at_least(logits: Tensor) -> Tensor:
    """Logits clamped to be positive."""
    return logits.clamp(min=_LEAST_LOGIT)


def _repeat(batch: Batch, *, stay_up: Tensor, stay_down: Tensor) -> Controls:
    last = batch[0][:, -1, _OWN_CONTROLLER]
    analog, buttons = last[:, : len(ANALOG)], last[:, len(ANALOG) :]
    return Controls(analog, torch.where(buttons > 0.5, stay_down.to(last.device), stay_up.to(last.device)))


def _same_answer(batch: Batch, analog: Tensor, logits: Tensor) -> Controls:
    count, device = len(batch[0]), batch[0].device
    return Controls(analog.to(device).expand(count, -1), logits.to(device).expand(count, -1))
