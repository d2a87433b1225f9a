from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cardrunner.contracts import BatchScore
from cardrunner.training.metrics import Meter, row_of
from cardrunner.workloads.melee.encoding.windows import FrameBatch
from cardrunner.workloads.melee.policy.metric_names import METRICS
from cardrunner.workloads.melee.policy.mlp import Controls, PolicyMLP, PolicySizes
from cardrunner.workloads.melee.policy.objective import PolicyObjective

B, K = 7, 3


def example_batch(seed: int = 0) -> FrameBatch:
    """Controllers with steps as real ones have, some held from the frame before."""
    chance = torch.Generator().manual_seed(seed)
    floats = torch.rand(B, K, 56, generator=chance)
    floats[:, :, 20:28] = (floats[:, :, 20:28] > 0.7).float()
    target = torch.rand(B, 13, generator=chance)
    target[:, 5:] = (target[:, 5:] > 0.7).float()
    target[::2] = floats[::2, -1, 15:28]
    target[3, 5:] = 0
    return floats, torch.zeros(B, K, 17, dtype=torch.int64), target


def example_controls(seed: int = 1) -> Controls:
    chance = torch.Generator().manual_seed(seed)
    return Controls(torch.rand(B, 5, generator=chance), torch.randn(B, 8, generator=chance))


def values(outcome: BatchScore) -> dict[str, float]:
    ratios = (outcome.numerators / outcome.denominators).tolist()
    return dict(zip(PolicyObjective.names, ratios, strict=True))


def cut(batch: FrameBatch, rows: Tensor | slice) -> FrameBatch:
    floats, ints, target = batch
    return floats[rows], ints[rows], target[rows]


def test_one_batch_scores_as_the_definitions_say() -> None:
    batch, controls = example_batch(), example_controls()
    target = batch[2]
    errors, right = (controls.analog - target[:, :5]).abs(), (controls.button_logits > 0) == (target[:, 5:] > 0.5)
    pressed = (target[:, 5:] > 0.5).any(1)
    different = target != batch[0][:, -1, 15:28]
    changed = different.any(1)
    happened, foretold = different[:, 5:], (controls.button_logits > 0) != (batch[0][:, -1, 20:28] > 0.5)
    f1 = 2 * (happened & foretold).sum() / (happened.sum() + foretold.sum())
    expected = {
        "loss/analog": errors.square().mean(),
        "loss/button": functional.binary_cross_entropy_with_logits(controls.button_logits, target[:, 5:]),
        "metric/analog_mae": errors.mean(),
        "metric/stick_mae": errors[:, :4].mean(),
        "metric/button_acc": right.float().mean(),
        "metric/button_pressed_acc": right[pressed].float().mean(),
        "metric/stick_mae_changed": errors[changed, :4].mean(),
        "metric/button_acc_changed": right[changed].float().mean(),
        "metric/button_change_f1": f1,
        "metric/changed_share": changed.float().mean(),
    }
    expected["loss/total"] = expected["loss/analog"] + expected["loss/button"]
    found = values(PolicyObjective().score(controls, batch))
    assert found == pytest.approx({name: float(value) for name, value in expected.items()})


def test_sums_over_batches_are_the_score_of_all_examples() -> None:
    batch, controls = example_batch(), example_controls()
    objective = PolicyObjective()
    whole = objective.score(controls, batch)
    parts = [
        objective.score(Controls(controls.analog[rows], controls.button_logits[rows]), cut(batch, rows))
        for rows in (slice(0, 2), slice(2, 3), slice(3, 7))
    ]
    summed = replace(
        whole,
        numerators=torch.stack([part.numerators for part in parts]).sum(0),
        denominators=torch.stack([part.denominators for part in parts]).sum(0),
    )
    assert values(summed) == pytest.approx(values(whole))


def test_weights_change_the_total_alone() -> None:
    batch, controls = example_batch(), example_controls()
    plain = values(PolicyObjective().score(controls, batch))
    weighted = values(PolicyObjective(analog_weight=3, button_weight=0.5).score(controls, batch))
    assert weighted["loss/total"] == pytest.approx(3 * plain["loss/analog"] + 0.5 * plain["loss/button"])
    assert {**weighted, "loss/total": 0} == {**plain, "loss/total": 0}


def test_a_batch_without_pressed_or_changed_frames_counts_nothing_there() -> None:
    batch = cut(example_batch(), torch.tensor([3]))
    floats, ints, target = batch
    floats[:, -1, 15:28] = target
    outcome = PolicyObjective().score(Controls(target[:, :5], target[:, 5:]), (floats, ints, target))
    counted = dict(zip(PolicyObjective.names, outcome.denominators.tolist(), strict=True))
    nothing = ("button_pressed_acc", "stick_mae_changed", "button_acc_changed", "button_change_f1")
    assert [counted[f"metric/{name}"] for name in nothing] == [0, 0, 0, 0]


def test_the_loss_trains_and_the_metrics_do_not_hold_the_graph() -> None:
    model = PolicyMLP(PolicySizes(context_len=K, hidden_dim=4, trunk_dim=4))
    objective, batch = PolicyObjective(), example_batch()
    outcome = objective.score(objective.predict(model, batch), batch)
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    assert not outcome.numerators.requires_grad
    assert not outcome.denominators.requires_grad
    assert all(weights.grad is not None for weights in model.parameters())


def test_every_declared_metric_is_scored() -> None:
    assert PolicyObjective.names == tuple(metric.name for metric in METRICS)
    outcome = PolicyObjective().score(example_controls(), example_batch())
    assert outcome.numerators.shape == outcome.denominators.shape == (len(METRICS),)


@pytest.mark.parametrize("spoiled", ["analog", "button_logits"])
def test_accuracies_and_f1_of_outputs_that_are_nan_are_not_numbers(spoiled: str) -> None:
    controls = replace(
        example_controls(), **{spoiled: torch.full_like(getattr(example_controls(), spoiled), torch.nan)}
    )
    meter = Meter(PolicyObjective.names, device=torch.device("cpu"))
    meter.add(row_of([PolicyObjective().score(controls, example_batch())]))
    found = meter.figures().weighted
    shares = {metric.name for metric in METRICS if metric.percent}
    assert "metric/button_acc" in shares
    assert all(math.isnan(found[name]) for name in shares)
