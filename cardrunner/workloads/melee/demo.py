"""The demo of a policy run: its agents play a match in the built-in simulator, from real frames on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cardrunner.card.schema.after_training import Demo
from cardrunner.contracts import DemoResult, Progress
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.agent_names import read_agent
from cardrunner.workloads.melee.agents import Seat, make_agent
from cardrunner.workloads.melee.encoded_data import EncodedData
from cardrunner.workloads.melee.layout import PLAYERS
from cardrunner.workloads.melee.match import Match, play_match
from cardrunner.workloads.melee.match_json import MatchMeta, write_match
from cardrunner.workloads.melee.simulator import Simulator
from cardrunner.workloads.melee.world import Floats, Frame, Ints, World
from cardrunner.workspace import Workspace

SIMULATOR: Final = "simulator"
GO: Final = 123
"""Row of a game at which the players may move."""
FILE_NAME: Final = "match.json"


def play_demo(
    demo: Demo,
    checkpoint: Path,
    data: EncodedData,
    games: range,
    *,
    seed: int,
    context_len: int,
    out: Path,
    progress: Progress,
) -> DemoResult:
    """Play and write ``match.json``.

    Args:
        demo: who plays, from where and for how long.
        checkpoint: the run's best; the latest stands beside it.
        games: validation games, of which the card may choose one.
        seed: of agents with chance.
        context_len: frames of the seed at least.
        out: the demo's folder.

    Raises:
        EnvironmentFailed: the world model or a checkpoint is not there, or the disk refuses.
        IntegrityError: a checkpoint cannot play, or the game to begin with is not there or too short.
    """
    workspace = Workspace.around(out).root
    _check_world(demo.world_model, workspace)
    encoding = data.encoding
    agents = [
        make_agent(read_agent(text), best=checkpoint, workspace=workspace, seed=2 * seed + player, encoding=encoding)
        for player, text in zip(PLAYERS, (demo.p0, demo.p1), strict=True)
    ]
    frames = max(context_len, *(agent.context_len for agent in agents))
    floats, ints = seed_frames(data, _seed_game(demo, games), frames)
    first, second = (Seat(agent, player) for agent, player in zip(agents, PLAYERS, strict=True))
    world: World = Simulator.from_frame(*Frame(floats[-1], ints[-1]))
    with progress.task("playing a match", demo.max_frames, unit="frames") as task:
        match = play_match(
            world, (first, second), floats, ints, max_frames=demo.max_frames, encoding=encoding, advance=task.advance
        )
    return _written(match, demo, context_len=frames, out=out)


def seed_frames(data: EncodedData, game: int, frames: int) -> tuple[Floats, Ints]:
    """The frames of a game that lead up to GO, or its first ones where it is shorter.

    Returns:
        float32 (K, 56) and int64 (K, 17).

    Raises:
        IntegrityError: the game has fewer than K frames.
    """
    floats, ints = data.game(game)
    if len(floats) < frames:
        raise IntegrityError(f"game {game} has {len(floats)} frames, but a match begins with {frames}; choose another")
    stop = min(max(GO, frames), len(floats))
    rows = slice(stop - frames, stop)
    return floats[rows].numpy().copy(), ints[rows].numpy().copy()


def _check_world(world_model: str, workspace: Path) -> None:
    if world_model == SIMULATOR:
        return
    if not (workspace / world_model).is_file():
        reason = f"was not found in {workspace}; put it there"
    else:
        reason = "cannot be played in by this version, learned world models come later"
    raise EnvironmentFailed(f"after_training.demo.world_model: {world_model} {reason}, or write {SIMULATOR}")


def _seed_game(demo: Demo, games: range) -> int:
    chosen = demo.seed_game or 0
    if isinstance(chosen, str) or chosen >= len(games):
        text = f"{chosen} is not one of the {len(games)} validation games; write 0 to {len(games) - 1}"
        raise IntegrityError(f"after_training.demo.seed_game: {text}")
    return games[chosen]


def _written(match: Match, demo: Demo, *, context_len: int, out: Path) -> DemoResult:
    meta = MatchMeta(
        model_name=demo.world_model, arch=demo.world_model, context_len=context_len, p0_agent=demo.p0, p1_agent=demo.p1
    )
    path = out / FILE_NAME
    summary = write_match(path, match, meta)
    return DemoResult(files=(path,), summary=summary)
