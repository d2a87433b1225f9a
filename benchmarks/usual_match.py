"""A match as one would first write it: what `benchmarks.rollout` compares with.

Every frame the three modules see a batch of one, the frames so far grow by `torch.cat`, the next frame is put together
column by column, a dict is made for each player, and one JSON object holds the whole match at the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoding.layout import BINARY, CONTINUOUS, CONTROLLER, PLAYER_FLOATS, PLAYER_INTS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.windows import swap_floats, swap_ints
from cardrunner.workloads.melee.game.names import action_name
from cardrunner.workloads.melee.game.plausible import scales_of
from cardrunner.workloads.melee.policy.mlp import PolicyMLP
from cardrunner.workloads.melee.world_model.foresight import advance
from cardrunner.workloads.melee.world_model.prediction import Prediction, WorldModel


@torch.no_grad()
def usual_match(
    world: WorldModel, policies: tuple[PolicyMLP, PolicyMLP], floats: Tensor, ints: Tensor, *, frames: int, path: Path
) -> None:
    """Play some frames from a seed (K, 56), (K, 17) on, and write them."""
    encoding, context_len = world.encoding, world.context_len
    written: list[dict[str, Any]] = []
    for t in range(frames):
        float_ctx, int_ctx = floats[-context_len:][None], ints[-context_len:][None]
        first = _controls(policies[0], float_ctx, int_ctx)
        second = _controls(policies[1], swap_floats(float_ctx), swap_ints(int_ctx))
        controls = torch.cat([first, second])[None]
        prediction = world(float_ctx, int_ctx, controls)
        made, categories = advance(floats[-1:], ints[-1:], prediction, controls, encoding)
        floats, ints = torch.cat([floats, made]), torch.cat([ints, categories])
        players = {f"p{player}": _player(floats[-1], ints[-1], prediction, player, encoding) for player in (0, 1)}
        written.append({"t": t, "source": "agent", "actual": None, "predicted": players})
    with path.open("w") as stream:
        json.dump({"frames": written}, stream)


def _controls(policy: PolicyMLP, floats: Tensor, ints: Tensor) -> Tensor:
    predicted = policy(floats, ints)
    return torch.cat([predicted.analog[0], predicted.pressed[0].float()])


def _player(
    floats: Tensor, ints: Tensor, prediction: Prediction, player: int, encoding: EncodingConfig
) -> dict[str, Any]:
    mine = dict(zip(PLAYER_FLOATS, floats[28 * player : 28 * player + 28], strict=True))
    whole = dict(zip(PLAYER_INTS, ints[8 * player : 8 * player + 8], strict=True))
    chances = torch.softmax(prediction.categories[0][0, player], -1)
    top = torch.topk(chances, 3)
    scales = scales_of(encoding)
    return {
        **{name: round(mine[name].item() / scales[name], 4) for name in CONTINUOUS},
        **{name: mine[name].item() > 0.5 for name in BINARY},
        "action": int(whole["action"]),
        "action_name": action_name(int(whole["action"])),
        "jumps_left": int(whole["jumps_left"]),
        "character": int(whole["character"]),
        "controller": {name: round(mine[name].item(), 4) for name in CONTROLLER},
        "top3_actions": [
            {"action": int(action), "name": action_name(int(action)), "prob": round(chance.item(), 4)}
            for chance, action in zip(*top, strict=True)
        ],
        "action_entropy": -(chances * torch.log(chances + 1e-12)).sum().item(),
    }
