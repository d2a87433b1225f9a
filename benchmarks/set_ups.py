"""The five usual set-ups of `examples/`, as `benchmarks.random_stops` stops them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.random_stops import SetUp

EXAMPLES: Final = Path(__file__).parents[1] / "examples"


def example(name: str, *changes: tuple[str, str]) -> Callable[[Path], Path]:
    """Makes the workspace of an example, with changes of its card: pairs of a pattern and what takes its place."""

    def make(folder: Path) -> Path:
        shutil.copytree(
            EXAMPLES / name,
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("runs", ".cardrunner", "__pycache__"),
        )
        card = folder / "runcards" / f"{name}.yaml"
        text = card.read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            if count != 1:
                raise ValueError(f"{card}: {pattern} is there {count} times")
        card.write_text(text)
        return card.relative_to(folder)

    return make


def loaded_by_torch(key: str) -> Callable[[Path], int]:
    """Loads a file of `torch.save`, whose step is under a key."""

    def load(path: Path) -> int:
        import torch

        return int(torch.load(path, weights_only=True)[key])

    return load


def loaded_by_trainer(path: Path) -> int:
    """Loads a checkpoint folder of Hugging Face's Trainer: weights, optimizer and state."""
    import torch
    from transformers import BertForSequenceClassification, TrainerState

    BertForSequenceClassification.from_pretrained(path)
    torch.load(path / "optimizer.pt", weights_only=True)
    return int(TrainerState.load_from_json(str(path / "trainer_state.json")).global_step)


SET_UPS: Final = (
    SetUp(
        name="single-file-gpt",
        make=example("single-file-gpt"),
        last_step=600,
        metric="val_loss",
        row=r"^step \d+: train loss",
        validations=13,
        checkpoints=("ckpt.pt",),
        load=loaded_by_torch("iter_num"),
    ),
    SetUp(
        name="hugging-face",
        make=example("hugging-face"),
        last_step=600,
        metric="val_loss",
        row=r"^\{'eval_loss'",
        validations=12,
        checkpoints=("checkpoint-*",),
        complete=("trainer_state.json",),
        load=loaded_by_trainer,
    ),
    SetUp(
        name="lightning",
        make=example("lightning"),
        last_step=2159,
        metric="val_loss",
        row=r"^\d+,\d+,,",
        lines="out/lightning_logs/*/metrics.csv",
        validations=24,
        checkpoints=("lightning_logs/version_*/checkpoints/*.ckpt",),
        load=loaded_by_torch("global_step"),
    ),
    SetUp(
        name="xgboost",
        make=example("xgboost"),
        last_step=3000,
        metric="val_mlogloss",
        row=r"^\[\d+\]\ttrain-mlogloss",
        validations=31,
        outcome="lost",
    ),
    SetUp(
        name="torchrun",
        make=example("torchrun"),
        last_step=32,
        metric="val_loss",
        row=r"\[GPU0\] Epoch \d+ \| Validation loss",
        validations=9,
        checkpoints=("snapshot.pt",),
        load=lambda path: loaded_by_torch("EPOCHS_RUN")(path) - 1,  # they count from 0
    ),
)
