"""Every published case; see README.md."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Zygote
from tests.forgeries.corpus import Case, cases
from tests.forgeries.places import Place, wait_for

CASES = cases()
NUMBERS = itertools.count(1)
QUICK = (
    "a container that is lost is followed by another", "the keys on the volume changed before the next container",
    "a ticked card for a container",
)  # fmt: skip
"""The cases in containers that every run of the tests tries; they take seconds each."""


@pytest.fixture(scope="session")
def place(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return Place(zygote, tmp_path_factory.mktemp("forgeries") / "place")


def marked(case: Case) -> Any:
    is_long = case.long or (case.base == "far" and case.name not in QUICK)
    marks = [pytest.mark.long] if is_long else []
    return pytest.param(case, id=case.name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("case", [marked(case) for case in CASES if case.base != "far"])
def test_a_forgery_is_refused_and_its_honest_sibling_is_not(case: Case, place: Place) -> None:
    place.put(case.base)
    thread = meanwhile(case, place)
    place.do_all(case.steps)
    judged(case, place, thread)


@pytest.mark.parametrize("case", [marked(case) for case in CASES if case.base == "far"])
def test_in_a_container_too(case: Case, place: Place, modal_plane: Any) -> None:
    place.put("far")
    run = f"far-forgery-{next(NUMBERS)}"
    volume = modal_plane.add_volume(run)
    place.variables |= {**modal_plane.environment, "RUN": run, "VOLUME": str(volume.folder)}
    card = place.team / "runcards" / "far.yaml"
    card.write_text(card.read_text().replace("RUN", run).replace("VOLUME", run))
    card.rename(card.with_stem(run))
    place.do(f"cardrunner sign runcards/{run}.yaml --as scav --key ../keys/scav --yes --quiet")
    if case.during:
        modal_plane.at_step(volume, run, 8, partial(place.do_all, case.during))
        modal_plane.script(volume, run, (16, "lost"))
    place.do_all(case.steps)
    for call in modal_plane.calls(app=f"cardrunner-{run}"):
        modal_plane.wait(lambda call=call: call.is_over)
    judged(case, place, None)


def meanwhile(case: Case, place: Place) -> threading.Thread | None:
    """Do what the case does while the run hangs."""
    if not case.during:
        return None

    def act() -> None:
        wait_for(lambda: list(place.team.glob("runs/*/**/toy-hang_at")))
        place.do_all(case.during)

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def judged(case: Case, place: Place, thread: threading.Thread | None) -> None:
    before = place.trained(attempts=case.attempt is None)
    code, said = place.type(case.command)
    if thread is not None:
        thread.join()
    running = left(place)
    assert code == case.exit, said
    assert not running
    for sentence in case.says:
        assert place.filled(sentence) in said
    if case.must_be_refused and not case.during:
        assert case.exit in (2, 3, 4, 5, 6, 7)
        assert place.trained(attempts=case.attempt is None) == before, "it trained, or began to"
    place.do_all(case.afterwards)


def left(place: Place) -> list[int]:
    """Processes that still work on a case when it is over; they are ended."""
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: not place.processes(), seconds=5)
    numbers = place.processes()
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    return numbers


# ---------------------------------------------------------------- the corpus itself


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(CASES) >= 100
    assert sum(case.must_be_refused for case in CASES) >= 70


def test_every_name_is_used_once_and_every_forgery_has_a_control_that_passes() -> None:
    named = {case.name: case for case in CASES}
    assert len(named) == len(CASES)
    for case in CASES:
        if case.control is not None:
            control = named[case.control]
            assert not control.must_be_refused, case.name
            assert not control.limit, case.name
            assert control.base == case.base, case.name


def test_everything_in_the_folder_is_read(request: pytest.FixtureRequest) -> None:
    here = Path(__file__).parent
    listed = (here / "README.md").read_text()
    assert all(file.name in listed for file in (here / "cases").iterdir())
