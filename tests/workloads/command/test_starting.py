"""A new card keeps the command line, and marks what it guesses."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.workloads.command.script_options import options_of, out_option, resume_like, resume_of
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.starting import starter

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("-o", "--output-dir",
                    default="results")
parser.add_argument("--resume", action="store_true", help="go on")
"""
CONFIGURATOR = """
out_dir = 'out'
init_from = 'scratch'
max_iters = 5
exec(open('configurator.py').read())
"""
CLICK = """
@click.command()
@click.option("--save-dir", default="x")
@click.option("--ckpt-path", default=None)
def main(): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print(1)\n")
    return tmp_path


def text_of(folder: Path, *command: str) -> str:
    text = starter(command, folder=folder, workspace=folder)
    load_card_bytes(text.encode(), file="new.yaml", resolve=registry.workload_spec, sources=())
    return text


def training(folder: Path, *command: str) -> CommandTraining:
    text = text_of(folder, *command)
    return training_of(load_card_bytes(text.encode(), file="new.yaml", resolve=registry.workload_spec, sources=()).card)


def test_numbers_after_options_become_parameters_and_nothing_else_changes(folder: Path) -> None:
    found = training(
        folder, "python3", "train.py", "config/a.py", "--lr", "1e-3", "--n-layer=4", "trainer.lr=0.1", "--x=a"
    )
    assert found.command == (
        "python3", "train.py", "config/a.py", "--lr", "{lr}", "--n-layer={n_layer}", "trainer.lr={trainer_lr}", "--x=a",
    )  # fmt: skip
    assert found.parameters == {"lr": 1e-3, "n_layer": 4, "trainer_lr": 0.1}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--out_dir", "results"], ("--out_dir", "{out}")),
        (["--output-dir=results/a"], ("--output-dir={out}",)),
        (["--logdir", "logs"], ("--logdir", "{out}")),
        (["--output", "out/model.pt"], ("--output", "{out}/model.pt")),
        (["--snapshot", "saved/s.pt"], ("--snapshot", "{out}/s.pt")),
        (["trainer.default_root_dir=x"], ("trainer.default_root_dir={out}",)),
    ],
)
def test_where_it_writes_becomes_the_folder_of_the_run(folder: Path, typed: list[str], kept: Sequence[str]) -> None:
    text = text_of(folder, "python3", "train.py", *typed)
    assert training(folder, "python3", "train.py", *typed).command[2:] == tuple(kept)
    assert "# guessed:" in text
    assert "no option says where" not in text


def test_a_command_without_such_an_option_gets_the_one_that_its_script_has(folder: Path) -> None:
    (folder / "train.py").write_text(ARGPARSE)
    assert training(folder, "python3", "train.py").command[2:] == ("--output-dir", "{out}")
    (folder / "train.py").write_text(CONFIGURATOR)
    assert training(folder, "python3", "train.py").command[2:] == ("--out_dir={out}",)
    (folder / "train.py").write_text("print(1)")
    assert "# guessed: no option says where the script writes" in text_of(folder, "python3", "train.py")


@pytest.mark.parametrize(
    ("source", "out", "resume"),
    [
        (ARGPARSE, ("output_dir", "{out}"), ("--resume",)),
        (CONFIGURATOR, ("out_dir", "{out}"), ("--init_from=resume",)),
        (CLICK, ("save_dir", "{out}"), ("--ckpt-path", "{checkpoint}")),
        ('add_argument("--snapshot", default="snapshot.pt")', ("snapshot", "{out}/snapshot.pt"), None),
        ('add_argument("--out", default="model.json")', ("out", "{out}/model.json"), None),
        ('add_argument("--model_path")', None, None),
        ("HfArgumentParser((A, T))", ("output_dir", "{out}"), ("--resume_from_checkpoint", "{checkpoint}")),
        ("LightningCLI(Net)", ("trainer.default_root_dir", "{out}"), ("--ckpt_path", "{checkpoint}")),
        ("print(1)", None, None),
    ],
)
def test_options_are_read_from_the_source(
    folder: Path, source: str, out: tuple[str, str] | None, resume: tuple[str, ...] | None
) -> None:
    (folder / "train.py").write_text(source)
    options = options_of(["python", "train.py"], folder)
    assert (out_option(options), resume_of(options)) == (out, resume)


@pytest.mark.parametrize("text", ["\0\xff", "add_argument(" * 10_000, "add_argument('--a'," * 5_000])
def test_a_source_that_is_none_gives_no_options(folder: Path, text: str) -> None:
    (folder / "train.py").write_text(text)
    assert resume_of(options_of(["python", "train.py"], folder)) is None
    assert options_of(["python", "absent.py"], folder).flags == {}


def test_the_virtual_environment_of_the_folder_runs_it(folder: Path) -> None:
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text("")
    assert training(folder, "python", "train.py").command[0] == ".venv/bin/python"
    assert "guessed: python is that of the virtual environment here" in text_of(folder, "python", "train.py")


def test_seed_and_length_stand_where_the_card_has_them(folder: Path) -> None:
    found = training(folder, "python3", "train.py", "--seed", "7", "--max_iters=200", "--epochs", "3")
    assert (found.seed, found.parameters) == (7, {"max_iters": 200, "epochs": 3})
    assert found.planned_steps == 200
    assert training(folder, "python3", "train.py", "--num_train_epochs", "3").planned_epochs == 3


def test_without_git_the_code_is_named_by_patterns(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "net.py").write_text("")
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").write_text("")
    (folder / "env" / "a.py").write_text("")
    assert 'code: {folder: ., files: ["*.py", "model/**/*.py"]}     # guessed' in text_of(folder, "python3", "train.py")
    subprocess.run(["git", "init", "-q", folder], check=True)
    assert "code: {folder: .}\n" in text_of(folder, "python3", "train.py")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (['"--load", default=None'], ("--load", "{checkpoint}")),
        (['"--ckpt", type=str'], ("--ckpt", "{checkpoint}")),
        (['"--restore-from", default=""'], ("--restore-from", "{checkpoint}")),
        (['"--init-from", default=None'], ("--init-from", "{checkpoint}")),
        (['"--init-from", default="scratch"'], ("--init-from", "resume")),
        (['"--continue-from"', '"--load", default="x.pt"'], ("--continue-from", "{checkpoint}")),
        (['"--resume-from", default="last.pt"', '"--load", default=None'], ("--load", "{checkpoint}")),
        (['"--continue", action="store_true"'], ("--continue",)),
        (['"--checkpoint", default="ckpt.pt"'], None),
        (['"--load", default=Path("x")'], None),
        (['"--ckpt", required=True'], None),
        (['"--resume", type=int'], None),
        (['"--model-path", default=None'], None),
        (['"--load"', '"--x"'], ("--load", "{checkpoint}")),
    ],
)
def test_options_to_resume_are_known_where_nothing_is_loaded_unless_they_are_typed(
    folder: Path, declared: list[str], expected: tuple[str, ...] | None
) -> None:
    calls = "".join(f"p.add_argument({arguments})\n" for arguments in declared)
    (folder / "train.py").write_text(f"{calls}a = p.parse_args()\nx = f(default=3, type=int, required=True)\n")
    assert resume_of(options_of(["python", "train.py"], folder)) == expected


def test_options_that_may_be_the_one_to_resume_are_listed(folder: Path) -> None:
    names = ("--lr", "--model-path", "--warm-start", "--init-std", "--start-from", "--reload")
    (folder / "train.py").write_text("".join(f'p.add_argument("{name}")\n' for name in names))
    found = resume_like(options_of(["python", "train.py"], folder))
    assert found == ("--model-path", "--warm-start", "--start-from", "--reload")


def test_a_file_that_an_option_names_is_offered_as_data_unless_git_tracks_it(folder: Path) -> None:
    (folder / "train.py").write_text('p.add_argument("--ratings", default="ratings.csv")\n')
    for name in ("ratings.csv", "words.txt", "films.csv"):
        (folder / name).write_text("1\n")
    command = ("python", "train.py", "--films", "films.csv", "--lr", "0.1")
    offered = 'data: {source: [{path: "ratings.csv"}, {path: "films.csv"}]}'
    assert f"# {offered}     # guessed: the default of --ratings, which the command names;" in text_of(folder, *command)
    pasted = text_of(folder, *command).replace(f"# {offered}", offered)
    load_card_bytes(pasted.encode(), file="new.yaml", resolve=registry.workload_spec, sources=())
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "ratings.csv"], check=True)
    text = text_of(folder, *command)
    assert "# ratings.csv, the default of --ratings, is tracked by git: the digest of the code covers it" in text
    assert '# data: {source: [{path: "films.csv"}]}     # guessed: which the command names;' in text
