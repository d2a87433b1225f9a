"""A training of one number in JSON, with all that a card can prove it by; see its subcommands."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cardrunner_script as cardrunner


def loss_of(weight: float) -> float:
    return round((weight - 3.0) ** 2, 6)


def save(wanted: argparse.Namespace, step: int, state: dict[str, float]) -> None:
    if wanted.folders:
        (wanted.out / f".checkpoint-{step}").mkdir()
        (wanted.out / f".checkpoint-{step}" / "state.json").write_text(json.dumps(state))
        (wanted.out / f".checkpoint-{step}").rename(wanted.out / f"checkpoint-{step}")
    else:
        (wanted.out / ".ckpt").write_text(json.dumps(state))
        (wanted.out / ".ckpt").rename(wanted.out / "ckpt.json")


def weight_of(checkpoint: Path) -> float:
    state = json.loads((checkpoint / "state.json" if checkpoint.is_dir() else checkpoint).read_text())
    return float(state["weight"])


def train(wanted: argparse.Namespace) -> None:
    cardrunner.fact("parameters", wanted.parameters)
    cardrunner.fact("layers", 1)
    weight = 0.0
    for step in range(1, wanted.iters + 1):
        weight += wanted.lr * 2 * (3.0 - weight)
        print(f"iter {step}: loss {loss_of(weight)}")
        if step % 5 == 0:
            print(f"step {step}: val_loss {loss_of(weight)}")
            save(wanted, step, {"step": step, "weight": weight})
        time.sleep(wanted.pause)


def evaluate(wanted: argparse.Namespace) -> None:
    weight = weight_of(wanted.checkpoint)
    print(f"val_loss {loss_of(weight) + wanted.off}")


def demo(wanted: argparse.Namespace) -> None:
    weight = weight_of(wanted.checkpoint)
    (wanted.out / "curve.svg").write_text(f"<svg><title>{weight}</title></svg>\n")
    (wanted.out / "more").mkdir()
    (wanted.out / "more" / "samples.txt").write_text(f"{weight}\n")


def preflight(wanted: argparse.Namespace) -> None:
    data = Path("data").glob("*.bin")
    print(f"{len(list(data))} data files")
    if wanted.hangs:
        print("the token is", os.environ["SOME_TOKEN"])
        subprocess.run([sys.executable, "-c", "import time; time.sleep(300)", str(wanted.out)], check=False)
    if wanted.fails:
        print("there is no room for the training")
        sys.exit(3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("train", "evaluate", "demo", "preflight"))
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--iters", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.2)
    parser.add_argument("--parameters", type=int, default=1)
    parser.add_argument("--off", type=float, default=0.0)
    parser.add_argument("--folders", action="store_true")
    parser.add_argument("--hangs", action="store_true")
    parser.add_argument("--fails", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    given = parser.parse_args()
    {"train": train, "evaluate": evaluate, "demo": demo, "preflight": preflight}[given.what](given)
