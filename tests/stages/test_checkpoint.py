"""The checkpoint stage: the best weights must still be what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner import registry
from cardrunner.errors import IntegrityError
from cardrunner.runs.agreement import largest_difference
from cardrunner.runs.records import CheckpointRecord, Manifest, read_record, write_record

MakeRun = Callable[..., Any]


def check(run: Any) -> CheckpointRecord:
    registry.stage("checkpoint").run(run.context())
    return read_record(run.folder.record("checkpoint"), CheckpointRecord)


def rewritten(run: Any, change: Callable[[dict[str, Any]], None], **entry: Any) -> None:
    """Change best.pt and let the manifest vouch for it."""
    path: Path = run.folder.best
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    facts = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size, **entry}
    entries = tuple(row.model_copy(update=facts) if row.file == "best.pt" else row for row in run.manifest.entries)
    write_record(run.folder.manifest, Manifest(entries=entries))


@pytest.mark.parametrize(
    "changes", [{}, {"training.precision": "bf16"}, {"training.drop_last": False, "data.examples": 301}]
)
def test_the_best_weights_validate_exactly_as_they_did(toy_run: MakeRun, changes: dict[str, Any]) -> None:
    run = toy_run(changes).train()
    record = check(run)
    assert record.agrees
    assert record.largest_difference == 0
    assert record.file == "best.pt"
    assert set(record.measured) == {"val_loss/total", "val_metric/accuracy", "val_metric/first_class_accuracy"}
    assert record.epoch == run.record.best.epoch


def test_other_bytes_are_refused(toy_run: MakeRun) -> None:
    run = toy_run().train()
    data = bytearray(run.folder.best.read_bytes())
    data[len(data) // 2] ^= 1
    run.folder.best.write_bytes(data)
    with pytest.raises(IntegrityError, match="manifest says"):
        check(run)


def test_a_run_without_a_best_checkpoint_is_an_integrity_error(toy_run: MakeRun) -> None:
    run = toy_run({"training.toy": {"nan_at": 1}}).train()
    with pytest.raises(IntegrityError, match=r"has no checkpoint best\.pt"):
        check(run)


def test_weights_that_the_manifest_does_not_name_are_refused(toy_run: MakeRun) -> None:
    def nudge(content: dict[str, Any]) -> None:
        content["model_state_dict"]["layers.0.bias"][0] += 1e-7

    run = toy_run().train()
    rewritten(run, nudge)
    with pytest.raises(IntegrityError, match="its weights are"):
        check(run)


def test_numbers_that_disagree_are_recorded_and_refused(toy_run: MakeRun) -> None:
    run = toy_run().train()
    best = next(entry for entry in run.manifest.entries if entry.file == "best.pt")
    metrics = {**best.metrics, "val_metric/accuracy": best.metrics["val_metric/accuracy"] + 0.01}
    rewritten(run, lambda content: None, metrics=metrics)
    with pytest.raises(IntegrityError, match=r"val_metric/accuracy was .* in training and is .* now"):
        check(run)
    record = read_record(run.folder.record("checkpoint"), CheckpointRecord)
    assert not record.agrees
    assert record.largest_difference == pytest.approx(0.01)


def test_another_model_is_refused(toy_run: MakeRun) -> None:
    def widen(content: dict[str, Any]) -> None:
        content["model_state_dict"]["layers.0.bias"] = torch.zeros(99)

    run = toy_run().train()
    rewritten(run, widen)
    with pytest.raises(IntegrityError, match=r"layers\.0\.bias is float32 \(99,\)"):
        check(run)


def test_two_missing_numbers_agree_and_one_does_not() -> None:
    nan = float("nan")
    assert largest_difference({"a": nan, "b": 1.0}, {"a": nan, "b": 1.0}) == 0
    assert largest_difference({"a": nan}, {"a": 1.0}) == float("inf")
    assert largest_difference({"a": 100.0}, {"a": 101.0}) == pytest.approx(0.01)
