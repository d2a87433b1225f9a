"""Splitting a batch that does not fit into memory."""

from __future__ import annotations

from cardrunner.card.schema.training import TrainingSection
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.records import BatchSplit


def halved(failed: BatchSplit, training: TrainingSection, reason: str) -> BatchSplit:
    """Twice the pieces.

    Args:
        failed: the step that did not fit, and its pieces.
        training: names the batch size.
        reason: torch's message.

    Raises:
        EnvironmentFailed: a piece is a single example already.
    """
    if failed.pieces >= training.batch_size:
        raise EnvironmentFailed(
            f"step {failed.step}: not even one example fits into memory ({reason}); "
            "take a larger machine or a smaller model"
        )
    return BatchSplit(step=failed.step, pieces=min(2 * failed.pieces, training.batch_size))


def split_sentence(split: BatchSplit) -> str:
    """The sentence for people."""
    return (
        f"out of memory at step {split.step}: from there on a batch goes through the model in {split.pieces} pieces; "
        "the effective batch stays the same"
    )
