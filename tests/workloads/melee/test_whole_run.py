"""Policy runs from card to results: both ways to shuffle, several files, exact resume, and bad data."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cardrunner.errors import CardrunnerError
from cardrunner.launching.finish import RunEnd
from cardrunner.launching.launch import LaunchOptions, launch, resume
from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LoadRecord, TrainRecord, read_record
from cardrunner.tracking.progress import NullProgress
from cardrunner.workloads.melee.encoding import game_data
from cardrunner.workloads.melee.encoding.layout import STAGE_COLUMN, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import save_encoded
from cardrunner.workloads.melee.game.stage_table import BATTLEFIELD
from cardrunner.workloads.melee.policy import workload as policy_workload
from tests.ledger_lines import recorded

CARD: dict[str, Any] = {
    "card": 1,
    "name": "small-policy",
    "created": "2026-11-23",
    "repeat": True,
    "goal": "Learn from a few games.",
    "workload": "melee-policy",
    "data": {"source": ["a.pt", "b.pt"], "split": {"train": 0.75, "by": "game"}, "shuffle_block": "64 KiB"},
    "model": {"architecture": "PolicyMLP", "context_len": 4, "hidden_dim": 8, "trunk_dim": 8},
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.003,
        "drop_last": False,
        "threads": 1,
        "device": "cpu",
        "log_every": "5 steps",
        "checkpoint_every": "7 steps",
        "select": {"metric": "val_loss/total", "mode": "min"},
    },
    "infra": {"platform": "local", "executor": "inline"},
    "timing": {"calibration": [1], "epoch": "1s"},
    "targets": [{"metric": "val_loss/total", "below": 1}],
    "sign_off": {"policy": "boxes", "reviewers": [{"id": "mattie", "signed": True}]},
}
ROWS = ((300, 150, 4, 200), (250, 220, 100, 60))

Game = tuple[Any, Any]


@pytest.fixture
def files(tmp_path: Path, make_game: Callable[[int, int], Game]) -> Callable[..., None]:
    """Writes two files of four games each; ``spoil`` sees all eight before."""

    def write(spoil: Callable[[list[Game]], object] | None = None) -> None:
        games = [make_game(rows, seed) for seed, rows in enumerate((*ROWS[0], *ROWS[1]))]
        if spoil is not None:
            spoil(games)
        for name, part in (("a.pt", games[:4]), ("b.pt", games[4:])):
            save_encoded(tmp_path / name, part, rules=EncoderRules(source="slp"))

    return write


def run(folder: Path, name: str, **data: object) -> RunEnd:
    """Launch the card with another name and other fields of its data."""
    card = copy.deepcopy(CARD)
    card["data"].update(data)
    path = folder / "runcards" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**card, "name": name}))
    return launch(path, LaunchOptions(), progress=NullProgress())


def weights(ending: RunEnd) -> str | None:
    return read_record(ending.folder.record("train"), TrainRecord).weights_sha256


def rows(folder: RunFolder) -> list[object]:
    return [row.model_dump(exclude={"clock"}) for row in History(folder.history).rows()]


def test_two_files_are_trained_as_one_in_either_mode(files: Callable[..., None], tmp_path: Path) -> None:
    files()
    found = {mode: run(tmp_path, f"run-{mode}", shuffle=mode) for mode in ("full", "block", "auto")}
    loads = {mode: read_record(ending.folder.record("load"), LoadRecord) for mode, ending in found.items()}
    assert [ending.exit_code for ending in found.values()] == [0, 0, 0]
    assert loads["full"].mode == loads["auto"].mode == "memory-mapped, full shuffle"
    assert loads["block"].mode == "read in sequence, shuffled in blocks of 64 KiB"
    counts = {sum(max(count - 4, 0) for count in (*ROWS[0], *ROWS[1])[:6])}
    assert {load.train_examples for load in loads.values()} == counts
    assert [file["file"] for file in loads["block"].identity["files"]] == ["a.pt", "b.pt"]
    assert weights(found["full"]) == weights(found["auto"]) != weights(found["block"])


def stopped_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Have the next attempt asked to stop once at this step."""
    on_batch = policy_workload.PolicyData.__dict__.get("on_batch")
    assert on_batch is None

    def ask(self: object, now: int, batch: Any) -> Any:
        if now == step:
            os.kill(os.getpid(), 15)
        return batch

    patch.setattr(policy_workload.PolicyData, "on_batch", ask, raising=False)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("mode", "step"),
    [("full", 17), ("block", 8), pytest.param("block", 3, marks=LONG), pytest.param("block", 23, marks=LONG)],
)
def test_a_run_that_was_interrupted_anywhere_ends_with_the_same_bits(
    files: Callable[..., None], tmp_path: Path, mode: str, step: int
) -> None:
    files()
    whole = run(tmp_path, "whole", shuffle=mode)
    with pytest.MonkeyPatch.context() as patch:
        stopped_at(step, patch)
        broken = run(tmp_path, "broken", shuffle=mode)
    assert broken.exit_code == 143
    assert 0 < read_record(broken.folder.record("train"), TrainRecord).steps <= step
    again = resume(broken.folder, acknowledge=None, progress=NullProgress())
    assert (again.exit_code, weights(again)) == (0, weights(whole))
    assert rows(again.folder) == rows(whole.folder)


def test_no_attempt_reads_what_is_known(
    files: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files()
    run(tmp_path, "first")
    assert {path.name for path in tmp_path.glob("*.cardrunner.json")} == {
        "a.pt.cardrunner.json",
        "b.pt.cardrunner.json",
    }

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("cardrunner.workloads.melee.encoding.game_data.scan_file", never)
    monkeypatch.setattr("cardrunner.runs.file_memo.sha256_file", never)
    assert run(tmp_path, "second", shuffle="block").exit_code == 0


def test_a_pinned_digest_is_compared_in_every_attempt(files: Callable[..., None], tmp_path: Path) -> None:
    files()
    digest = read_record(run(tmp_path, "first").folder.record("load"), LoadRecord).identity["files"][0]["sha256"]
    pinned = [{"path": "a.pt", "sha256": digest}, "b.pt"]
    assert run(tmp_path, "second", source=pinned).exit_code == 0
    files(lambda games: games.reverse())
    ending = run(tmp_path, "third", source=pinned)
    assert ending.exit_code == 4
    assert f"expected {digest}" in problem(ending)


def test_a_run_goes_on_only_with_the_shuffle_it_began_with(files: Callable[..., None], tmp_path: Path) -> None:
    files()
    with pytest.MonkeyPatch.context() as patch:
        stopped_at(8, patch)
        broken = run(tmp_path, "broken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(game_data, "machine_memory", lambda: 0)
        ending = resume(broken.folder, acknowledge=None, progress=NullProgress())
    assert ending.exit_code == 4
    assert "its examples were shuffled in full, now they are shuffled in blocks of 65536 bytes" in problem(ending)


# ------------------------------------------------------------ bad data


def problem(ending: RunEnd) -> str:
    last = recorded(Ledger(ending.folder.ledger), "attempt_ended")[-1]
    assert last is not None
    return str(last["reason"])


def spoilt(column: int, value: float, *, part: int = 0, game: int = 5, row: int = 7) -> Callable[[list[Game]], None]:
    def spoil(games: list[Game]) -> None:
        games[game][part][row, column] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoilt(0, np.nan), "b.pt: p0.percent is nan in game 5, row 7"),
        (spoilt(float_index("x", 1), -np.inf), "b.pt: p1.x is -inf in game 5, row 7"),
        (
            spoilt(int_index("action"), 400, part=1),
            "b.pt: p0.action is 400, outside its vocabulary 0..399 in game 5, row 7",
        ),
        (
            spoilt(int_index("state_age", 1), -3, part=1),
            "b.pt: p1.state_age is -3, outside its vocabulary 0..149 in game 5, row 7",
        ),
        (spoilt(float_index("shoulder"), 3.8e22), "b.pt: p0.shoulder is 3.8e+22, outside [0, 1] in game 5, row 7"),
    ],
)
def test_values_that_would_spoil_a_training_end_the_run_before_it(
    files: Callable[..., None], tmp_path: Path, spoil: Callable[[list[Game]], None], sentence: str
) -> None:
    files(spoil)
    ending = run(tmp_path, "bad")
    assert ending.exit_code == 4
    assert sentence in problem(ending)
    assert not ending.folder.record("train").exists()
    assert run(tmp_path, "bad-again").exit_code == 4  # what is remembered is bad as well


def rewritten(path: Path, **changes: object) -> None:
    torch.save({**torch.load(path, weights_only=True), **changes}, path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"game_offsets": torch.tensor([0, 300, 300, 454, 654])}, "game_offsets does not ascend at game 1"),
        ({"game_offsets": torch.tensor([0, 300, 450, 454, 700])}, "game_offsets ends at 700, beyond the 654 rows"),
        ({"game_offsets": torch.tensor([0, 300, 450, 454, 600])}, "game_offsets ends at 600, before the 654 rows"),
        ({"floats": torch.zeros(654, 144)}, "144 floats and 17 ints per frame, expected 56 and 17"),
    ],
)
def test_files_that_contradict_themselves_end_the_run(
    files: Callable[..., None], tmp_path: Path, changes: Mapping[str, object], sentence: str
) -> None:
    files()
    rewritten(tmp_path / "a.pt", **changes)
    ending = run(tmp_path, "bad")
    assert ending.exit_code == 4
    assert sentence in problem(ending)


def test_games_that_are_all_too_short_end_the_run(tmp_path: Path, make_game: Callable[[int, int], Game]) -> None:
    for name in ("a.pt", "b.pt"):
        save_encoded(tmp_path / name, [make_game(4, 0), make_game(3, 1)], rules=EncoderRules(source="slp"))
    ending = run(tmp_path, "bad")
    assert ending.exit_code == 4
    assert "games too short is all 4, expected none (4 frames or fewer give no example)" in problem(ending)


def test_a_workload_without_blocks_refuses_them(toy_run: Callable[..., Any]) -> None:
    found = toy_run({"data.shuffle": "block"}).train(stop=StopRequest())
    assert isinstance(found.ended, CardrunnerError)
    assert "data.shuffle: the workload toy cannot read in blocks" in str(found.ended)


# ------------------------------------------------------------ the demo


def on_battlefield(games: list[Game]) -> None:
    for _, ints in games:
        ints[:, STAGE_COLUMN] = BATTLEFIELD


def test_a_run_with_a_demo_leaves_a_page_that_can_be_opened(
    files: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files(on_battlefield)
    monkeypatch.setitem(CARD, "after_training", {"demo": {"max_frames": 40, "output": "demos/match.json"}})
    ending = run(tmp_path, "shown")
    assert ending.exit_code == 0
    names = [f"demo/{name}" for name in ("match.json", "match.html", "recorded.json", "random.json")]
    assert [name for name in names if (ending.folder.root / name).is_file()] == names
    assert (tmp_path / "demos" / "match.json").read_bytes() == (ending.folder.root / names[0]).read_bytes()
    card = ending.folder.results.read_text()
    assert "### Does it play like people?\n\nThis cannot be answered from " in card
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    capsys.readouterr()
    assert main(["demo", "shown", "--open", "--runs", str(tmp_path / "runs")]) == 0
    assert opened == [(ending.folder.root / "demo" / "match.html").as_uri()]
    assert capsys.readouterr().out.split() == [str(ending.folder.root / name) for name in names]
