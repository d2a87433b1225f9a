"""A handful of the stops of ``benchmarks.hostile_stops``, and its table."""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.hostile_set_ups import MANNERS, RIGHT, SHAPES
from benchmarks.hostile_stops import Trial, drawn, table, told
from tests.conftest import Zygote
from tests.workloads.command.scripts import shapes


def test_the_table_says_what_is_right_for_every_shape_of_the_script() -> None:
    assert set(SHAPES) == set(shapes.SHAPES)
    lines = table(list(SHAPES)).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == [f"| {name}" for name in SHAPES]
    assert all(RIGHT[shape.right] in line for line, shape in zip(lines, SHAPES.values(), strict=True))
    assert {manner for shape in SHAPES.values() for manner in shape.manners} == set(MANNERS)


def test_the_same_seed_draws_the_same_stops() -> None:
    one, other = (list(drawn(list(SHAPES), 140, random.Random(14))) for _ in range(2))
    assert one == other
    assert {stop.name for stop in one} == set(SHAPES)
    assert sum(stop.at_row for stop in one) >= 40


def test_a_handful_of_stops_is_as_the_table_says(tmp_path: Path, zygote: Zygote) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    names = chance.sample([name for name in SHAPES if name != "Stray"], 4)  # which takes half a minute

    def tried(number: int) -> Trial:
        (tmp_path / str(number)).mkdir()
        return Trial(stops[number], tmp_path / str(number), zygote).run()

    stops = list(drawn(names, len(names), chance))
    with ThreadPoolExecutor(len(stops)) as pool:
        trials = list(pool.map(tried, range(len(stops))))
    print(told(trials))  # noqa: T201
    assert [str(trial) for trial in trials if trial.faults] == []


@pytest.mark.parametrize("name", ["SingleFile", "Folders"])
def test_a_shape_resumes_at_the_step_that_its_checkpoint_holds(name: str, tmp_path: Path) -> None:
    parsed = argparse.Namespace(out=tmp_path, resume=None, iters=1, pause=0.0, megabytes=1.0)
    training = shapes.SHAPES[name](parsed)
    training.save(8)
    (saved,) = tmp_path.iterdir()
    assert training.load(saved) == 8
