"""What is wrong with a command, its reports or its checkpoints is said with its place; nothing is launched for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner.workloads.command.missing_metrics import last_line
from cardrunner.workloads.command.obstacles import absence
from tests.conftest import Zygote
from tests.workloads.command.bench import LOOP, Bench

PROGRAM = "[python, train.py"
PATTERN = r"stdout: 'iter (?P<step>\d+): loss (?P<loss>\S+)'"


@pytest.fixture
def bench(tmp_path: Path, zygote: Zygote) -> Bench:
    return Bench(tmp_path, zygote)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (
            "no-such-trainer",
            "no-such-trainer is not installed: no folder of PATH has it; install it, or write its path",
        ),
        (
            ".venv/bin/python",
            ".venv/bin/python leads to an interpreter that is gone; make its virtual environment anew",
        ),
        ("other/python", "other/python is not there"),
        ("./data.csv", "./data.csv cannot be run; name its interpreter first, or chmod +x it"),
    ],
)
def test_a_program_that_cannot_be_run_is_refused_before_anything_is_launched(
    bench: Bench, program: str, sentence: str
) -> None:
    bench.script(LOOP, data_csv="step,loss\n")
    (bench.root / ".venv" / "bin").mkdir(parents=True)
    (bench.root / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    said = bench.run("launch", bench.signed((PROGRAM, f"[{program}, train.py")), code=2)
    assert f"training.command[0]: {sentence}" in said
    assert not bench.folder.root.exists()
    bench.script(LOOP, data_csv="step,loss\n")
    assert bench.run("plan", "runcards/run.yaml", code=None), "a plan can be read all the same"


def test_a_working_folder_that_the_code_lacks_is_refused(bench: Bench) -> None:
    bench.script()
    said = bench.run("launch", bench.signed(("  first_metric: 60s", "  workdir: inner\n  first_metric: 60s")), code=2)
    assert "training.workdir: the code has no folder inner" in said
    assert not bench.folder.root.exists()


def test_a_program_whose_own_interpreter_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "torchrun").write_text("#!/nowhere/venv/bin/python\n")
    (tmp_path / "bin" / "torchrun").chmod(0o755)
    said = "bin/torchrun is run by /nowhere/venv/bin/python, which is gone; make its virtual environment anew"
    assert absence(tmp_path, "bin/torchrun") == said


def test_a_program_that_can_be_run_is_no_fault() -> None:
    assert absence(Path("/"), "sh") is None
    assert absence(Path("/"), "bin/sh") is None


def test_a_script_that_asks_at_a_terminal_ends_and_that_is_said(bench: Bench) -> None:
    bench.script("row(1); input('Overwrite? ')")
    said = bench.run("launch", bench.signed(), code=7)
    assert (
        "it asked something, and has no terminal at which that is answered: give it the answer in training.comma"
        in said
    )
    assert "EOFError: EOF when reading a line" in said


def test_a_pattern_that_matches_nothing_pauses_it_and_shows_what_is_printed(bench: Bench) -> None:
    bench.script("print('epoch 1 | loss=0.5', flush=True); time.sleep(600)")
    said = bench.run("launch", bench.signed(("first_metric: 60s", "first_metric: 2s")), code=8)
    assert "training.metrics[0]: loss was never reported within 2s; no other name was seen either" in said
    assert "the last line that it printed: epoch 1 | loss=0.5" in said


def test_sources_that_disagree_and_steps_that_go_back_are_said_once_and_the_first_counts(bench: Bench) -> None:
    bench.script(
        "table = (options.out / 'log.csv').open('w', buffering=1); print('step,loss', file=table)\n"
        "for step in (1, 2, 3, 1, 2, 4, 10):\n"
        "    row(step); time.sleep(0.4); print(f'{step},9.5', file=table); time.sleep(0.1)"
    )
    bench.run("launch", bench.signed((PATTERN, "csv: '{out}/log.csv', " + PATTERN)))
    assert bench.steps() == [1, 2, 3, 4, 10]
    told = bench.warnings()
    assert told.count("training.report: val_loss at step 1 is 1 by stdout and 9.5 by csv {out}/log.csv") == 1
    assert told.count("training.report: loss of stdout went back from step 3 to 1") == 1


def test_values_that_are_no_numbers_are_counted_and_shown_once(bench: Bench) -> None:
    bench.script("print('iter 1: loss n/a\\niter 2: loss n/a', flush=True)\n" + LOOP.replace("first", "3"))
    bench.run("launch", bench.signed())
    assert bench.steps() == list(range(3, 11))
    assert bench.warnings().count("cannot be read") == 1
    assert "training.report: stdout: " in bench.warnings()


def test_a_link_to_the_data_is_taken_for_no_checkpoint(bench: Bench) -> None:
    bench.script("(options.out / 'data.json').symlink_to(pathlib.Path('data.csv').resolve())\n" + LOOP, data_csv="1\n")
    bench.run("launch", bench.signed(('at: "{out}/ckpt.json"', 'at: "{out}/*.json"')))
    assert "data.json is not taken for a checkpoint: it is a link" in bench.warnings()
    assert [path.name for path in bench.folder.kept.glob("0*/*.json")].count("data.json") == 0


def test_the_last_line_of_a_log_is_shown_without_terminal_codes(tmp_path: Path) -> None:
    assert last_line(tmp_path / "absent") == ""
    (tmp_path / "log").write_text("first\n\x1b[31mlast\x1b[0m\n\n")
    assert "last" in last_line(tmp_path / "log")
    assert "\x1b" not in last_line(tmp_path / "log")
