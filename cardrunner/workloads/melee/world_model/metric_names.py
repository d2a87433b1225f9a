"""Every metric of the world-model workload, in display order, and the trivial baselines. Torch-free."""

from __future__ import annotations

from typing import Final

from cardrunner.specs import MetricSpec, TrivialBaseline
from cardrunner.workloads.melee.policy.checks import Term
from cardrunner.workloads.melee.policy.metric_names import named_metric

LOSS_TERMS: Final = {
    "continuous": Term("mse", 1.0),
    "velocity": Term("mse", 0.5),
    "dynamics": Term("mse", 0.5),
    "binary": Term("bce", 0.5),
    "action": Term("cross_entropy", 2.0),
    "jumps": Term("cross_entropy", 0.5),
    "l_cancel": Term("cross_entropy", 0.3),
    "hurtbox": Term("cross_entropy", 0.3),
    "ground": Term("cross_entropy", 0.3),
    "last_attack": Term("cross_entropy", 0.3),
}
"""The terms of the loss: their kind, and their default weight."""
ROLLOUT_HORIZONS: Final = (5, 10, 20)
"""Frames after which a rollout is compared with the recorded game."""
ROLLOUT_EVERY: Final = 32
"""One example in this many of a validation batch is rolled out, which costs about as much as scoring all of them."""
REPEAT_STATE: Final = "repeat last state"
CONSTANT_VELOCITY: Final = "constant velocity"

_MEANINGS: Final = {
    "mse": ("squared scaled units", "mean squared error of {}"),
    "bce": ("nats", "mean binary cross entropy of {}"),
    "cross_entropy": ("nats", "mean cross entropy of {}, averaged over both players"),
}
_PREDICTED: Final = {
    "continuous": "the change of percent, x, y and shield",
    "velocity": "the change of the five speeds",
    "dynamics": "hitlag, stocks and combo count",
    "binary": "facing, invulnerable and on ground",
    "action": "the action state",
    "jumps": "the jumps left",
    "l_cancel": "the l-cancel state",
    "hurtbox": "the hurtbox state",
    "ground": "the ground touched last",
    "last_attack": "the attack landed last",
}


def _loss(name: str) -> MetricSpec:
    unit, meaning = _MEANINGS[LOSS_TERMS[name].kind]
    meaning = meaning.format(_PREDICTED[name])
    return MetricSpec(name=f"loss/{name}", direction="min", unit=unit, meaning=meaning, lower=0.0)


def _rollout(frames: int) -> MetricSpec:
    meaning = (
        f"mean absolute error of x and y after {frames} frames on the model's own predictions with the real"
        f" controllers, over one example in {ROLLOUT_EVERY}"
    )
    return named_metric(f"metric/rollout_error_{frames}", "min", "game units", meaning)._replace(validation_only=True)


METRICS: Final[tuple[MetricSpec, ...]] = (
    MetricSpec(
        name="loss/total",
        direction="min",
        unit="loss",
        meaning="the loss that is trained: the weighted sum of all terms",
        aliases=("val_loss",),
        lower=0.0,
    ),
    *(_loss(name) for name in LOSS_TERMS),
    named_metric(
        "metric/action_acc",
        "max",
        "share",
        "how often the action state is right, over both players",
        percent=True,
    ),
    named_metric(
        "metric/action_change_acc",
        "max",
        "share",
        "the same on frames whose action differs from the frame before; the previous trainer counted player 0 alone",
        "val_change_acc",
        "change_acc",
        percent=True,
    ),
    named_metric(
        "metric/position_mae", "min", "game units", "mean absolute error of x and y", "val_pos_mae", "pos_mae"
    ),
    named_metric("metric/velocity_mae", "min", "game units per frame", "mean absolute error of the five speeds"),
    named_metric("metric/damage_mae", "min", "percent", "mean absolute error of the percent"),
    named_metric(
        "metric/binary_acc", "max", "share", "how often facing, invulnerable and on ground are right", percent=True
    ),
    *(_rollout(frames) for frames in ROLLOUT_HORIZONS),
    named_metric(
        "metric/action_change_share",
        "max",
        "share",
        "share of the frames whose action differs from the frame before: a fact of the data, the same for every"
        " predictor",
        percent=True,
    ),
)

_ODDS: Final = "logits are the training data's odds of staying the same"
TRIVIAL_BASELINES: Final[tuple[TrivialBaseline, ...]] = (
    TrivialBaseline(name=REPEAT_STATE, meaning=f"nothing changes; its {_ODDS}, so that its loss can be read too"),
    TrivialBaseline(
        name=CONSTANT_VELOCITY,
        meaning=f"x and y go on as they moved in the frame before, nothing else changes; its {_ODDS}",
    ),
)
