"""The full state of a training: everything that decides what happens next; digests and differences of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from cardrunner.errors import IntegrityError
from cardrunner.runs.records import BatchSplit, BestRecord
from cardrunner.training import state as weights
from cardrunner.training.loop import Cursor, Trainer
from cardrunner.training.numerics import random_state, restore_random_state
from cardrunner.training.optim import adopt

FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class StateOrigin:
    """The run, card, data and code that a state belongs to; a resume with others continues something else."""

    run: str
    card_digest: str
    data: Mapping[str, Any]
    """`Data.identity`."""
    order: str
    """How epochs are shuffled; a change would train some examples twice in the epoch that is resumed."""
    versions: Mapping[str, str]
    code: str
    """sha256 of the sources; see `cardrunner.runs.environment.code_sha256`."""
    plugins: Mapping[str, str]
    """Package -> version and sources of its plug-ins that the run uses."""
    threads: int
    processes: int

    def differences(self, other: Mapping[str, Any]) -> tuple[str, ...]:
        """The ways in which the saved origin differs, as sentences."""
        pairs = (
            ("run", "it was saved by run {saved}, this is {now}"),
            ("card_digest", "it was trained with another card ({saved:.12}..., now {now:.12}...)"),
            ("data", "it was trained on other data"),
            ("order", "its examples were {saved}, now they are {now}; state data.shuffle"),
            ("versions", "it was trained with other versions ({saved}, now {now})"),
            ("code", "it was trained by other code (sources {saved:.12}..., now {now:.12}...)"),
            ("plugins", "it was trained with other plug-ins ({saved}, now {now})"),
            ("processes", "it was trained by {saved} processes, now {now}"),
            ("threads", "it was trained with {saved} CPU threads, now {now}; results will differ in the last bits"),
        )
        now, saved = asdict(self), {"plugins": {}, **other}  # states of earlier versions name no plug-ins
        return tuple(
            text.format(saved=saved.get(name, "unknown"), now=now[name])
            for name, text in pairs
            if saved.get(name) != now[name]
        )


@dataclass
class Findings:
    """The results of a training so far, over all attempts, beside its weights."""

    best: BestRecord | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics of the newest validation."""
    validations: int = 0
    """Number of validations in the history."""
    weights_sha256: str | None = None
    """sha256 of the newest exported weights."""
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    """Trivial baseline -> validation metric -> value."""
    notes: list[str] = field(default_factory=list)
    splits: list[BatchSplit] = field(default_factory=list)
    """Steps that did not fit into memory."""
    best_of: dict[str, BestRecord] = field(default_factory=dict)
    """The best row by metric of ``training.keep_best``."""
    seconds: float = 0.0
    """Seconds of training and validation."""
    wait_seconds: float = 0.0
    stopped: str | None = None
    """Why a kill threshold or a projection ended the run with this state."""
    acknowledgements: int = 0
    """How many the ledger had then; one more lets the run go on."""

    def to_dict(self) -> dict[str, Any]:
        """In types that ``torch.load(weights_only=True)`` reads."""
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "best": self.best.model_dump() if self.best else None,
            "splits": [split.model_dump() for split in self.splits],
            "best_of": {name: best.model_dump() for name, best in self.best_of.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Findings:
        """The inverse of `to_dict`."""
        own = {
            "best": BestRecord.model_validate(values["best"]) if values["best"] else None,
            "splits": [BatchSplit.model_validate(split) for split in values["splits"]],
            "best_of": {name: BestRecord.model_validate(best) for name, best in values["best_of"].items()},
        }
        return cls(**{**values, **own})


def capture(trainer: Trainer, origin: StateOrigin, findings: Findings) -> dict[str, Any]:
    """The state of a trainer between two steps, in types that ``torch.load(weights_only=True)`` reads.

    Every process has to call it; only the leader's result is complete.
    """
    return {
        "format": FORMAT,
        "origin": asdict(origin),
        "cursor": asdict(trainer.cursor),
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "processes": trainer.group.gather(_own_state(trainer)),
        "training": trainer.training.model_dump(mode="json"),
        "findings": findings.to_dict(),
    }


def restore(trainer: Trainer, state: Mapping[str, Any], *, steps_per_epoch: int) -> None:
    """Restore a trainer to a captured state.

    A `training` section that a restart has changed since is taken up by optimizer and schedule.

    Raises:
        IntegrityError: it is the state of another model or another kind of optimizer.
    """
    if state.get("format") != FORMAT:
        raise IntegrityError(f"its format is {state.get('format')}, this version reads {FORMAT}")
    if (found := weights.difference(state["model"], trainer.model.state_dict())) is not None:
        raise IntegrityError(f"it holds another model: {found}")
    if state["training"]["optimizer"] != trainer.training.optimizer:
        raise IntegrityError(
            f"it holds the state of {state['training']['optimizer']}, the card says {trainer.training.optimizer}"
        )
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.schedule.load_state_dict(state["schedule"])
    if state["scaler"]:
        trainer.scaler.load_state_dict(state["scaler"])
    if state["training"] != trainer.training.model_dump(mode="json"):
        adopt(trainer.training, trainer.optimizer, trainer.schedule, steps_per_epoch=steps_per_epoch)
    trainer.cursor = Cursor(**state["cursor"])
    if trainer.group.rank < len(state["processes"]):  # a resume may have more processes than saved state
        _restore_own(trainer, state["processes"][trainer.group.rank])


def _own_state(trainer: Trainer) -> dict[str, Any]:
    """The part of the state that each process has for itself."""
    return {
        "random": random_state(),
        "epoch_meter": trainer.epoch_meter.state_dict(),
        "window_meter": trainer.window_meter.state_dict(),
    }


def _restore_own(trainer: Trainer, state: Mapping[str, Any]) -> None:
    trainer.epoch_meter.load_state_dict(state["epoch_meter"])
    trainer.window_meter.load_state_dict(state["window_meter"])
    restore_random_state(state["random"])


Weights = Mapping[str, Tensor]


def weights_sha256(weights: Weights) -> str:
    """The sha256 that is equal for two models exactly if they are bit-identical.

    Over every tensor of the state dict (parameters and persistent buffers), sorted by name in code-point order, of::

        name NUL dtype NUL shape NUL data

    with the name in UTF-8; the dtype as torch prints it without ``torch.``, such as ``float32``; the shape as decimal
    numbers joined by commas, such as ``512,1960``, empty for a scalar; the data as the values in row-major order,
    little-endian, without padding.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        shape = ",".join(str(size) for size in tensor.shape)
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def difference(found: Weights, expected: Weights) -> str | None:
    """The first tensor of a file whose name, dtype or shape differs from the model's; None if all match."""
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or foreign:
        return f"it has no {missing[0]}" if missing else f"it has {foreign[0]}, which the model lacks"
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            return f"{name} is {_kind(found[name])} where the model has {_kind(tensor)}"
    return None


def all_finite(model: nn.Module) -> bool:
    """Whether every parameter is finite; waits for the device."""
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def parameter_count(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def on_cpu(tree: Any) -> Any:
    """The same nest of dicts and lists with every tensor on the CPU."""
    if isinstance(tree, Tensor):
        return tree.detach().cpu()
    if isinstance(tree, Mapping):
        return {key: on_cpu(value) for key, value in tree.items()}
    return [on_cpu(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
