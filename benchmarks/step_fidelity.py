"""How near a Mamba-2 in play, one step for each frame, is to the same model over windows of K frames as in training.

    CARDRUNNER_DATA=folder python -m benchmarks.step_fidelity runs/world-model-small/best.pt

Both see real validation games with the real controllers. Prints, for the windows, for the step with K frames
remembered, and for steps that remember more: how often the action is right, the same on changes, the position error,
the cross entropy of the action, and how often the likeliest action is the windows' one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.encoded_files import opened
from cardrunner.workloads.melee.encoding.frame_dataset import split_games
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.world_model.columns import CONTROL_COLUMNS, POSITION_COLUMNS
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2
from cardrunner.workloads.melee.world_model.model_file import load_world_model
from cardrunner.workloads.melee.world_model.world_steps import Mamba2Step, MambaStep, output_order

_ACTIONS = slice(30, 830)
_PLACES = [1, 2, 16, 17]  # x and y of both players in the order of play
_CHUNK = 512


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    model = load_world_model(wanted.checkpoint)
    if not isinstance(model, Mamba2):
        raise SystemExit("only a Mamba2 has two ways to play")
    data = opened(wanted.file)
    _, validation = split_games(data.games, 0.9)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for game in validation[: wanted.games]:
        floats, ints = (part[: wanted.frames].numpy() for part in data.game(game))
        exact = windows(model, floats, ints)
        found = {"windows": exact, "step": steps(model, floats, ints, model.context_len)}
        found |= {f"step, {frames} remembered": steps(model, floats, ints, frames) for frames in wanted.remembered}
        for name, outputs in found.items():
            rows.setdefault(name, []).append(scores(outputs, exact, floats, ints, model.context_len))
    print(f"{'':<24}{'action':>9}{'changes':>9}{'position':>10}{'entropy':>9}{'as windows':>12}")
    for name, values in rows.items():
        right, changed, place, entropy, same = np.mean(values, axis=0)
        print(f"{name:<24}{right:>9.2%}{changed:>9.2%}{place:>10.4f}{entropy:>9.4f}{same:>12.2%}")


@torch.inference_mode()
def windows(model: Mamba2, floats: Floats, ints: Ints) -> Floats:
    """Outputs for every frame from the K-th on, each from the K frames before it: (n - K, outputs)."""
    reach, frames, kinds = model.context_len, torch.from_numpy(floats), torch.from_numpy(ints)
    weight, bias = (part[torch.from_numpy(output_order(model.encoding))] for part in model.heads())
    found = []
    for rows in torch.split(torch.arange(len(floats) - reach), _CHUNK):
        context = rows[:, None] + torch.arange(reach)
        trunk = model.trunk_output(frames[context], kinds[context], frames[rows + reach][:, CONTROL_COLUMNS])
        found.append(functional.linear(trunk, weight, bias))
    return torch.cat(found).numpy()


def steps(model: Mamba2, floats: Floats, ints: Ints, remembered: int) -> Floats:
    """The same by one step for each frame."""
    step = Mamba2Step(model)
    step._blocks = MambaStep(model, remembered)
    found = []
    for row in range(len(floats) - 1):
        step.observe(floats[row], ints[row])
        if row >= model.context_len - 1:
            found.append(step.predict(floats[row + 1, CONTROL_COLUMNS]).copy())
    return np.stack(found)


def scores(outputs: Floats, exact: Floats, floats: Floats, ints: Ints, reach: int) -> tuple[float, ...]:
    """What `main` prints of a game."""
    logits, of_windows = (part[:, _ACTIONS].reshape(len(part), 2, -1) for part in (outputs, exact))
    actions, before = ints[reach:, [0, 8]], ints[reach - 1 : -1, [0, 8]]
    right = logits.argmax(2) == actions
    moved = floats[reach - 1 : -1, POSITION_COLUMNS] + outputs[:, _PLACES] - floats[reach:, POSITION_COLUMNS]
    entropy = functional.cross_entropy(torch.from_numpy(logits).flatten(0, 1), torch.from_numpy(actions).flatten())
    same = logits.argmax(2) == of_windows.argmax(2)
    place = float(np.abs(moved).mean()) / 0.05
    return float(right.mean()), float(right[actions != before].mean()), place, float(entropy), float(same.mean())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = Path(os.environ.get("CARDRUNNER_DATA", ".")) / "encoded-real-32.pt"
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--file", type=Path, default=real, help="encoded games (default: the real ones)")
    parser.add_argument("--games", type=int, default=3, help="validation games")
    parser.add_argument("--frames", type=int, default=3000, help="of each")
    parser.add_argument("--remembered", type=int, nargs="*", default=[20, 3000], help="frames of further steps")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
