"""What a training script says to cardrunner, and asks it. One file without dependencies; any Python from 3.8 runs it.

::

    import cardrunner_script as cardrunner

    cardrunner.fact("parameters", 108_224)
    for step in range(steps):
        ...
        if step % 100 == 0:
            cardrunner.report(step=step, loss=loss, **{"val/loss": val_loss})
        if cardrunner.should_stop():
            save(); break

Outside a run of cardrunner (CARDRUNNER_METRICS is not set) all of it does nothing. In a group of processes only the
first one (RANK 0) writes. Values may be numbers, texts of numbers, numpy's scalars and tensors of one element.

Hugging Face: ``Trainer(..., callbacks=[cardrunner.hugging_face()])``; Lightning:
``Trainer(..., callbacks=[cardrunner.lightning()])``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["fact", "hugging_face", "lightning", "report", "should_stop"]

LONGEST_LINE = 4000
"""Bytes of a line: one that is shorter than a page is appended whole, whatever else writes to the file."""


def report(step: object = None, epoch: object = None, **metrics: object) -> None:
    """Append the values of one step: ``report(step=100, loss=0.5)``. The epoch counts where no step is given."""
    where = {name: _plain(value) for name, value in (("step", step), ("epoch", epoch)) if value is not None}
    part: dict[str, Any] = {}
    for name, value in metrics.items():
        entry = {str(name)[:200]: _plain(value)}
        if part and len(_line({**where, "values": {**part, **entry}})) > LONGEST_LINE:
            _append({**where, "values": part})
            part = {}
        part.update(entry)
    if part:
        _append({**where, "values": part})


def fact(name: str, value: object) -> None:
    """State what the script found out, such as ``fact("parameters", 108_224)``, to be held against the card."""
    _append({"fact": str(name)[:200], "value": _plain(value)})


def should_stop() -> bool:
    """Whether the run is to end: save and leave at the next good place.

    Processes of a group may see it at different times; let one of them ask, and tell the others.
    """
    metrics = os.environ.get("CARDRUNNER_METRICS")
    return metrics is not None and os.path.exists(metrics + ".stop")  # noqa: PTH110


def hugging_face() -> Any:
    """A callback for transformers' Trainer: reports what it logs, and saves and stops when the run is to end."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
            if state.is_world_process_zero:
                report(**{**(logs or {}), "step": state.global_step, "epoch": state.epoch})

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            if _agreed(should_stop()):
                control.should_save = control.should_training_stop = True

    return Callback()


def lightning() -> Any:
    """A callback for Lightning's Trainer: reports what modules log, and stops when the run is to end."""
    try:
        from lightning.pytorch import Callback as Base
    except ImportError:
        from pytorch_lightning import Callback as Base

    class Callback(Base):  # type: ignore[misc]
        _logged: dict[str, Any] = {}  # noqa: RUF012 - each report sets the instance's own

        def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
            if trainer.global_step % trainer.log_every_n_steps == 0:
                self._report(trainer)
            if trainer.strategy.reduce_boolean_decision(should_stop(), all=False):
                trainer.should_stop = True

        def on_validation_end(self, trainer: Any, *_: Any) -> None:
            if not trainer.sanity_checking:
                self._report(trainer)

        def _report(self, trainer: Any) -> None:
            """What was logged since the last report; the trainer keeps older values, the same objects, beside it."""
            logged = dict(trainer.logged_metrics)
            new = {name: value for name, value in logged.items() if value is not self._logged.get(name)}
            self._logged = logged
            if new and trainer.is_global_zero:
                report(**{**new, "step": trainer.global_step, "epoch": trainer.current_epoch})

    return Callback()


def _append(entry: dict[str, Any]) -> None:
    path = os.environ.get("CARDRUNNER_METRICS")
    if not path or os.environ.get("RANK", "0") != "0":
        return
    line = _line(entry)
    if len(line) > LONGEST_LINE:
        line = _line({"dropped": len(line)})
    try:
        place = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(place, line)
        finally:
            os.close(place)
    except OSError as error:
        _complain(error)


def _line(entry: dict[str, Any]) -> bytes:
    return (json.dumps(entry) + "\n").encode()


def _plain(value: Any) -> Any:
    """What JSON can hold of a value: its one element, or the beginning of its text for cardrunner to show."""
    if isinstance(value, (bool, int, float)):
        return value
    try:
        value = value.item()
    except Exception:
        return str(value)[:100]
    return value if isinstance(value, (bool, int, float)) else str(value)[:100]


def _agreed(stop: bool) -> bool:
    """Whether any process of the group wants to stop; each of them has to ask."""
    group = sys.modules.get("torch.distributed")
    if group is None or not group.is_available() or not group.is_initialized():
        return stop
    torch = sys.modules["torch"]
    device = "cuda" if group.get_backend() == "nccl" else "cpu"
    answer = torch.tensor(int(stop), device=device)
    group.all_reduce(answer, op=group.ReduceOp.MAX)
    return bool(answer.item())


_complained = False


def _complain(error: OSError) -> None:
    global _complained
    if not _complained:
        _complained = True
        sys.stderr.write(f"cardrunner_script: CARDRUNNER_METRICS cannot be written: {error}\n")
