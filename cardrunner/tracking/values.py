"""The values of a history row for a tracker, and their names."""

from __future__ import annotations

from cardrunner.runs.history import HistoryRow


def values_of(row: HistoryRow) -> dict[str, float]:
    """Names and numbers of a row; its step is the x axis.

    Training metrics over the steps since the previous row keep their names, those over a whole epoch begin with
    ``epoch/``, and validation metrics with ``val_``.
    """
    if row.kind == "train":
        found = {**row.metrics, "learning_rate": row.learning_rate, "epoch": float(row.epoch)}
    else:
        found = {name if name.startswith("val_") else f"epoch/{name}": value for name, value in row.metrics.items()}
        found["epoch"] = float(row.epoch)
    clock = {
        "time/examples_per_second": row.clock.examples_per_second,
        "time/epoch_seconds": row.clock.epoch_seconds,
        "time/train_seconds": row.clock.train_seconds if row.kind == "train" else None,
        "time/wait_seconds": row.clock.wait_seconds if row.kind == "train" else None,
    }
    return {**found, **{name: value for name, value in clock.items() if value is not None}}
