"""The demo of a run: agents play a match in a world, starting from real frames.

Everything is loaded and checked before the first frame, and the match file appears complete or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

from cardrunner.contracts import DataMatch, DemoResult, Progress
from cardrunner.runs.files import write_durably
from cardrunner.workloads.melee.arena.agent_names import AgentName, checkpoint_path, read_agent
from cardrunner.workloads.melee.arena.agents import Agent, RandomAgent, make_agent
from cardrunner.workloads.melee.arena.demo_world import DemoWorld, load_demo_world
from cardrunner.workloads.melee.arena.match import play_match
from cardrunner.workloads.melee.arena.match_json import MatchFile, MatchMeta
from cardrunner.workloads.melee.arena.seeds import GO, Opening, find_seed
from cardrunner.workloads.melee.demo.data_match import DemoOrigins, read_origin
from cardrunner.workloads.melee.demo.page import RecordedPlay, show_match
from cardrunner.workloads.melee.demo.section import MatchDemo
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.layout import PLAYERS
from cardrunner.workspace import Workspace

FILE_NAME: Final = "match.json"
_RANDOM_SEEDS: Final = 1_000_000
"""Base of the seeds of random inputs, apart from those of the agents."""


@dataclass(frozen=True, kw_only=True)
class DemoRun:
    """The inputs of a demo.

    Attributes:
        demo: who plays, from where and for how long.
        policy: the run's best checkpoint if it trains a policy; the latest is beside it.
        world_model: the same if it trains a world model.
        data: the run's own games.
        games: validation games, of which the card may choose one.
        seed: of random agents, and of a made-up game.
        context_len: the least number of seed frames.
    """

    demo: MatchDemo
    policy: Path | None = None
    world_model: Path | None = None
    data: EncodedData
    games: range
    seed: int
    context_len: int


def play_demo(run: DemoRun, *, out: Path, progress: Progress) -> DemoResult:
    """Play and write ``match.json`` into the demo's folder.

    Raises:
        EnvironmentFailed: the world model, a checkpoint or the game to begin with is missing, or the disk fails.
        IntegrityError: a checkpoint cannot play, the game is unsuitable, or the world model explodes.
    """
    table = DemoTable(run, Workspace.around(out), progress)
    path = out / FILE_NAME
    summary = table.play(path, table.agents, (run.demo.p0, run.demo.p1), run.demo.max_frames)
    files, likeness = show_match(path, table.recorded(), table.play_random)
    figures = {**summary, **table.notes()}
    return DemoResult(files=(path, *files), summary=figures, data_match=table.data_match, exhibits=(likeness,))


class DemoTable:
    """World, game and agents of a demo; matches from the same start can be played on it.

    Raises:
        as `play_demo`.
    """

    def __init__(self, run: DemoRun, workspace: Workspace, progress: Progress) -> None:
        self.run, self.workspace, self.progress = run, workspace, progress
        names = (read_agent(run.demo.p0), read_agent(run.demo.p1))
        self.names: tuple[AgentName, AgentName] = names
        self.world: DemoWorld = load_demo_world(
            run.demo.world_model, own=run.world_model, workspace=workspace.root, encoding=run.data.encoding
        )
        pressed_again = any(name.kind == "replay" for name in names)
        most = GO + run.context_len + (run.demo.max_frames if pressed_again else 0)
        self.seed_game = find_seed(
            run.demo.seed_game, run.data, run.games, workspace=workspace, seed=run.seed, frames=most
        )
        self.world.check_encoding(self.seed_game.encoding)
        self.stage_note = self.seed_game.stage_note

    @cached_property
    def agents(self) -> tuple[Agent, Agent]:
        """The card's agents, as player 0 and player 1."""
        first, second = (
            make_agent(
                name,
                player,
                best=self.run.policy,
                workspace=self.workspace.root,
                seed=self.run.seed,
                encoding=self.seed_game.encoding,
                replay=self.opening.following,
            )
            for name, player in zip(self.names, PLAYERS, strict=True)
        )
        return first, second

    @cached_property
    def opening(self) -> Opening:
        """The opening of every match: the context of the world and the card's model."""
        return self.seed_game.opening(max(self.run.context_len, self.world.context_len))

    def play(self, path: Path, agents: Sequence[Agent], names: tuple[str, str], max_frames: int) -> dict[str, Any]:
        """Play a match and write its file, whole or not at all; its summary.

        Args:
            agents: player 0's and player 1's.
            names: the players' names, for people.
        """
        first, second = agents
        opening = self.opening_for(agents)
        meta = MatchMeta(
            model_name=self.world.name,
            arch=self.world.architecture,
            context_len=max(self.run.context_len, self.world.context_len),
            p0_agent=names[0],
            p1_agent=names[1],
            seed_players="scripted players" if self.seed_game.made_up else "people",
            distribution_match=self.data_match.sentence,
        )
        found: dict[str, Any] = {}

        def write(stream: BinaryIO) -> None:
            recorder = MatchFile(stream, meta, self.seed_game.encoding)
            with self.progress.task("playing a match", max_frames, unit="frames") as task:
                end = play_match(
                    self.world.fresh(opening),
                    (first, second),
                    opening.floats,
                    opening.ints,
                    max_frames=max_frames,
                    encoding=self.seed_game.encoding,
                    recorder=recorder,
                    rules=self.world.needs_rules and self.run.demo.rules,
                    advance=task.advance,
                )
            found.update(recorder.end(end))

        write_durably(path, write)
        return found

    def play_random(self, path: Path, number: int, max_frames: int) -> None:
        """Play random inputs from the same start; the number decides the inputs."""
        first = 2 * (self.run.seed + number) + _RANDOM_SEEDS
        self.play(path, (RandomAgent(first), RandomAgent(first + 1)), ("random", "random"), max_frames)

    def recorded(self) -> RecordedPlay:
        """The recorded play that the match is compared with."""
        game, row = self.seed_game, self.opening_for(self.agents).row
        return RecordedPlay(
            floats=game.floats[row:],
            ints=game.ints[row:],
            encoding=game.encoding,
            made_up=game.made_up,
            data=self.run.data,
            games=self.run.games,
            idle=GO,
        )

    def opening_for(self, agents: Sequence[Agent]) -> Opening:
        """The same start with more frames before it, if an agent needs more context."""
        wanted = max(len(self.opening.floats), *(agent.context_len for agent in agents))
        return self.opening if wanted == len(self.opening.floats) else self.seed_game.opening(wanted)

    def notes(self) -> dict[str, str]:
        """Notes for people beside the figures."""
        found = {"began_with": self.seed_game.name}
        return {**found, "stage": self.stage_note} if self.stage_note else found

    @cached_property
    def data_match(self) -> DataMatch:
        """Whether the models were trained on the same data, according to their checkpoints."""
        own = self.run.policy or self.run.world_model
        return DemoOrigins.of(
            self.run.demo, lambda name: read_origin(checkpoint_path(name, own=own, workspace=self.workspace.root))
        ).match()
