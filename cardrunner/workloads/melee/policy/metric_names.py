"""Every metric of the policy workload, in reading order, and the trivial baselines. Torch-free."""

from __future__ import annotations

from cardrunner.specs import Direction, MetricSpec, TrivialBaseline

REPEAT_LAST = "repeat last input"
NEUTRAL = "neutral"
TRAINING_MEAN = "training mean"


def named_metric(
    name: str, direction: Direction, unit: str, meaning: str, *more: str, percent: bool = False
) -> MetricSpec:
    """A metric with a range from 0; its aliases are its short name, with and without ``val_``, and ``more``."""
    short = name.partition("/")[2]
    aliases = (f"val_{short}", short, *more)
    return MetricSpec(
        name=name, direction=direction, unit=unit, meaning=meaning, aliases=aliases, percent=percent, lower=0.0
    )


METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="loss/total",
        direction="min",
        unit="loss",
        meaning="the loss that is trained: weighted sum of the analog and the button loss",
        aliases=("val_loss",),
        lower=0.0,
    ),
    MetricSpec(
        name="loss/analog",
        direction="min",
        unit="squared 0..1 units",
        meaning="mean squared error over the 5 analog values",
        lower=0.0,
    ),
    MetricSpec(
        name="loss/button",
        direction="min",
        unit="nats",
        meaning="mean binary cross entropy over the 8 buttons",
        lower=0.0,
    ),
    named_metric("metric/analog_mae", "min", "0..1 units", "mean absolute error over the 5 analog values"),
    named_metric("metric/stick_mae", "min", "0..1 units", "mean absolute error over the 4 stick axes"),
    named_metric(
        "metric/button_acc",
        "max",
        "share",
        "share of the 8 buttons predicted right",
        "btn_acc",
        "val_btn_acc",
        percent=True,
    ),
    named_metric(
        "metric/button_pressed_acc",
        "max",
        "share",
        "the same on frames where at least one button is down",
        "btn_pressed_acc",
        "val_btn_pressed_acc",
        percent=True,
    ),
    named_metric(
        "metric/stick_mae_changed", "min", "0..1 units", "stick_mae on frames where the human's input changed"
    ),
    named_metric(
        "metric/button_acc_changed",
        "max",
        "share",
        "button_acc on frames where the human's input changed",
        percent=True,
    ),
    named_metric(
        "metric/button_change_f1",
        "max",
        "F1, 0..1",
        "presses and releases predicted against those that happened: twice the hits over predicted plus real ones;"
        " repeating the last input finds none",
    )._replace(upper=1.0),
    named_metric(
        "metric/changed_share",
        "max",
        "share",
        "share of the frames where the human's input changed: a fact of the data, the same for every predictor",
        percent=True,
    ),
)

TRIVIAL_BASELINES: tuple[TrivialBaseline, ...] = (
    TrivialBaseline(
        name=REPEAT_LAST,
        meaning="the controller of the frame before; its button logits are the training data's log-odds, for a button"
        " that was down and for one that was up, of being down now, so that its loss can be read too",
    ),
    TrivialBaseline(
        name=NEUTRAL,
        meaning="untouched hands: sticks centred, shoulder 0, no button; its button logits are the training data's"
        " log-odds of a press",
    ),
    TrivialBaseline(
        name=TRAINING_MEAN,
        meaning="the same answer for every frame: the training data's mean of each analog value and log-odds of each"
        " button",
    ),
)
