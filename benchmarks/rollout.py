"""How fast two policies play in a world model, file and all, and whether a long match takes more memory.

    OMP_NUM_THREADS=1 python -m benchmarks.rollout
    OMP_NUM_THREADS=1 python -m benchmarks.rollout --memory

Models have the usual sizes and fresh weights, with which categories change in nearly every frame: the worst case.
Prints frames per second of a match, medians of paired ratios with 95 % intervals against a straightforward loop over
the same models (`benchmarks.usual_match`) and against the products of matrix and vector alone; with ``--memory``, the
peak of short and of long matches, each in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import nn

from benchmarks.memory import Peak, anonymous_bytes
from benchmarks.timing import interleaved, ratio
from benchmarks.usual_match import usual_match
from cardrunner.runs.files import write_durably
from cardrunner.workloads.melee.arena.agents import Agent
from cardrunner.workloads.melee.arena.match import play_match
from cardrunner.workloads.melee.arena.match_json import MatchFile, MatchMeta
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.networks.stepwise import as_read
from cardrunner.workloads.melee.policy.agent import PolicyAgent
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.simulator.simulator import play_scripted
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.learned_world import LearnedWorld
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.prediction import WorldModel

_K = 10
_SMALL = 64
WORLDS = ("Mamba2", "FrameStackMLP")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    torch.set_num_threads(1)
    if wanted.inside is not None:
        print(_peak(world(wanted.inside), wanted.frames))
    elif wanted.memory:
        for name in wanted.worlds:
            _memory(name, wanted.lengths)
    else:
        for name in wanted.worlds:
            _speed(name, world(name, small=wanted.small), wanted)


def world(name: str, *, small: bool = False) -> WorldModel:
    """A world model with fresh weights that keep both players still, so that no match ends before its last frame."""
    torch.manual_seed(0)
    model: WorldModel
    if name == "Mamba2":
        model = Mamba2(Mamba2Sizes(context_len=_K, **({"d_model": _SMALL, "n_layers": 1} if small else {})))
    else:
        model = FrameStackMLP(FrameStackSizes(context_len=_K, hidden_dim=_SMALL if small else 512))
    nn.init.zeros_(model.get_parameter("continuous_head.weight"))
    nn.init.zeros_(model.get_parameter("continuous_head.bias"))
    return model.eval()


def policies(*, small: bool = False) -> tuple[PolicyMLP, PolicyMLP]:
    """Two different policies with fresh weights."""
    torch.manual_seed(1)
    sizes = PolicySizes(context_len=_K, hidden_dim=_SMALL if small else 512, trunk_dim=256)
    return PolicyMLP(sizes).eval(), PolicyMLP(sizes).eval()


def match(model: WorldModel, both: tuple[PolicyMLP, PolicyMLP], *, frames: int, path: Path) -> None:
    """A match as a demo plays it, models loaded already."""
    floats, ints = _seed()
    agents: tuple[Agent, Agent] = (PolicyAgent(both[0], 0), PolicyAgent(both[1], 1))
    meta = MatchMeta(model_name="m", arch=model.architecture, context_len=_K, p0_agent="policy", p1_agent="policy")

    def write(stream: BinaryIO) -> None:
        recorder = MatchFile(stream, meta, EncodingConfig())
        end = play_match(
            LearnedWorld(model), agents, floats, ints, max_frames=frames, encoding=EncodingConfig(), recorder=recorder,
            rules=True,
        )  # fmt: skip
        assert recorder.end(end)["total_frames_predicted"] == frames

    write_durably(path, write)


def _speed(name: str, model: WorldModel, wanted: argparse.Namespace) -> None:
    both, frames = policies(small=wanted.small), wanted.frames
    floats, ints = (torch.from_numpy(part) for part in _seed())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "match.json"
        few = max(frames // 10, 1)  # of the slow one, which has no start-up to speak of
        weights = [matrix for one in (model, *both) for matrix in matrices(one)]
        cases: dict[str, Callable[[], object]] = {
            "match": partial(match, model, both, frames=frames, path=path),
            "straightforward loop": partial(usual_match, model, both, floats, ints, frames=few, path=path),
            "products alone": partial(_products, weights, frames),
        }
        seconds = interleaved(cases, repetitions=wanted.repetitions)
    seconds["straightforward loop"] = [each * frames / few for each in seconds["straightforward loop"]]
    print(f"{name}, one thread, {frames} frames, {wanted.repetitions} repetitions")
    for case, times in seconds.items():
        print(f"  {case:<32} {frames / statistics.median(times):>8,.0f} frames/s")
    print(f"  match / straightforward loop     {ratio(seconds['straightforward loop'], seconds['match'])}")
    print(f"  match / products alone           {ratio(seconds['products alone'], seconds['match'])}")


@lru_cache(maxsize=1)
def _seed() -> tuple[Floats, Ints]:
    """K frames of a made-up game."""
    floats, ints = play_scripted(200, seed="benchmark")
    return floats[-_K:], ints[-_K:]


def matrices(model: nn.Module) -> Iterator[Floats]:
    """The weights that every frame is multiplied with: those of all linear layers, all heads as one, as in play."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    weights = {name: as_read(layer.weight.detach().numpy()) for name, layer in layers.items()}
    yield from (weight for name, weight in weights.items() if not name.endswith("_head"))
    yield as_read(np.concatenate([weight for name, weight in weights.items() if name.endswith("_head")]))


def _products(weights: Sequence[Floats], frames: int) -> None:
    vectors = [np.ones(matrix.shape[1], np.float32) for matrix in weights]
    answers = [np.empty(len(matrix), np.float32) for matrix in weights]
    for _ in range(frames):
        for matrix, vector, answer in zip(weights, vectors, answers, strict=True):
            np.dot(matrix, vector, out=answer)


def _memory(name: str, lengths: Sequence[int]) -> None:
    peaks = []
    for frames in lengths:
        argv = [sys.executable, "-m", "benchmarks.rollout", "--inside", name, "--frames", str(frames)]
        peaks.append(int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout))
        print(f"{name}, {frames:>7,} frames: peak {peaks[-1] / 1e6:.1f} MB over the loaded models")
    print(f"{name}: the longest match takes {(peaks[-1] - peaks[0]) / 1e6:+.1f} MB more than the shortest")


def _peak(model: WorldModel, frames: int) -> int:
    """Bytes of anonymous memory that a match takes beside the models."""
    both = policies()
    with tempfile.TemporaryDirectory() as folder:
        match(model, both, frames=10, path=Path(folder) / "first.json")
        own = anonymous_bytes()
        with Peak() as peak:
            match(model, both, frames=frames, path=Path(folder) / "match.json")
    return peak.bytes - own


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2000, help="of a match")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 20_000, 100_000], help="of its matches")
    parser.add_argument("--small", action="store_true", help="tiny models, to try it out")
    parser.add_argument("--inside", choices=WORLDS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
