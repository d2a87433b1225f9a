"""What every stage keeps, built in or of another package: it is done when it ran, and `finish` misses what is gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cardrunner import plugins, registry
from cardrunner.contracts import DemoResult, Stage
from cardrunner.launching.finish import finish_run
from cardrunner.launching.pipeline import run_stage
from cardrunner.runs.events import AttemptEnded
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.tracking.progress import NullProgress
from cardrunner.workloads.toy.workload import ToyWorkload

HERE = Path(__file__).parent
EXTRA = ("archive", "audit")
AFTER = {"download": {"to": "out/best.pt"}, "demo": {"output": "out/demo.txt"}}


@pytest.fixture(autouse=True)
def everything(monkeypatch: pytest.MonkeyPatch, installed: Callable[..., dict[str, str]]) -> Iterator[None]:
    """The stages of the other package in this process, and a workload with a demo."""

    def demo(*_: object, out: Path, **__: object) -> DemoResult:
        for name in ("match.txt", "page.txt"):
            (out / name).write_text(name)
        return DemoResult(files=(out / "match.txt", out / "page.txt"), summary={"score": 1})

    monkeypatch.setattr(ToyWorkload, "demo", demo)
    monkeypatch.syspath_prepend(installed(HERE)["PYTHONPATH"])
    plugins.find_plugin.cache_clear()
    yield
    plugins.find_plugin.cache_clear()
    plugins._LOADED.pop("acme_archive", None)
    sys.modules.pop("acme_archive", None)


@pytest.fixture
def made(toy_run: Callable[..., Any]) -> tuple[RunFolder, dict[str, list[Path]]]:
    """A completed run, and the files that each stage made and wrote down."""
    run = toy_run({"training.epochs": 1, "after_training": AFTER, "extra_stages": list(EXTRA)})
    ctx, workspace = run.context(), run.folder.root.parents[1]
    found: dict[str, list[Path]] = {}
    for stage in registry.stages_of(EXTRA):
        before = files_below(workspace)
        run_stage(ctx, stage.name)
        new = files_below(workspace) - before
        found[stage.name] = [path for path in new if path == run.folder.record(stage.name) or path in named_in(new)]
    ctx.ledger.append(AttemptEnded(attempt=1, state="completed", exit_code=0, seconds=1.0))
    finish_run(run.folder, progress=NullProgress())
    return run.folder, found


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def named_in(files: set[Path]) -> set[Path]:
    """Those that a JSON file among them names, relative to the run folder or to the workspace."""
    texts = {text for path in files if path.suffix == ".json" for text in texts_of(json.loads(path.read_text()))}
    return {path for path in files if any(path.as_posix().endswith(f"/{text}") for text in texts)}


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(part)


def keeps_the_contract(stage: Stage, folder: RunFolder, files: list[Path]) -> None:
    card = load_frozen(folder, registry.workload_spec).card
    assert folder.record(stage.name) in files, f"{stage.name} left no record"
    assert stage.done(folder, card), f"{stage.name} ran and is not done"
    for path in files:
        content = path.read_bytes()
        path.unlink()
        assert not stage.done(folder, card), f"{stage.name} is done without {path}"
        if stage.side == "worker":
            assert f"what the {stage.name} stage left is not all there" in page_after_finish(folder)
            path.write_bytes(content)
        else:
            assert f"the {stage.name} stage" not in page_after_finish(folder)
            assert path.exists(), f"`finish` does not make {path} again"
        assert stage.done(folder, card), f"{stage.name} is not done with {path} back"


def page_after_finish(folder: RunFolder) -> str:
    finish_run(folder, progress=NullProgress())
    return folder.results.read_text()


def test_every_stage_is_done_when_it_ran_and_repeated_or_missed_when_a_file_of_it_is_gone(made: Any) -> None:
    folder, files = made
    assert {len(found) for found in files.values()} >= {1, 2, 4}
    for stage in reversed(registry.stages_of(EXTRA)):
        keeps_the_contract(stage, folder, files[stage.name])


def test_the_results_card_tells_what_came_of_every_stage(made: Any) -> None:
    folder, files = made
    text = folder.results.read_text()
    assert "not recorded" not in text.lower()
    for name in files:
        assert f"stages/{name}.json" in text
        folder.record(name).unlink()
        finish_run(folder, progress=NullProgress())


@pytest.mark.parametrize("name", ["download", "demo", "archive", "load", "train", "checkpoint"])
def test_a_stage_that_is_forgotten_breaks_the_contract(made: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, files = made
    stage = registry.stage(name)
    own = stage._own if isinstance(stage, plugins.Blamed) else stage
    monkeypatch.setattr(type(own), "done", lambda *_: True)
    with pytest.raises(AssertionError, match=f"{name} is done without"):
        keeps_the_contract(stage, folder, files[name])
