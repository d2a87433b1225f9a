"""How fast an attempt goes, and so how long the rest of the training will take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cardrunner.training.loop import Cursor

FORWARD_SHARE = 1 / 3
"""What scoring an example takes of training on it: a backward pass is about twice the forward pass (J. Kaplan et al.,
"Scaling Laws for Neural Language Models", 2020, section 2.1). What it is off by weighs little, and less with every
validation, whose time is part of what is measured."""


@dataclass
class Pace:
    """Measures work against the clock, from the first step of the attempt on, which still warms up.

    Work is counted in training examples; a validation counts as those that would take as long. Everything else that a
    run does between two steps (saving, logging, waiting) takes its time along.

    Args:
        epochs: of the run.
        examples: that an epoch trains.
        validation_examples: that a validation scores.
    """

    epochs: int
    examples: int
    validation_examples: int
    _began: tuple[float, float] | None = None

    def step(self, cursor: Cursor) -> None:
        """Note the first step; every later one costs nothing."""
        if self._began is None:
            self._began = time.monotonic(), self._done(cursor, validated=False)

    def seconds_left(self, cursor: Cursor, *, validated: bool) -> float | None:
        """Until the last validation; None until there is something to go by.

        Args:
            cursor: where the training stands.
            validated: the epoch in progress was trained, and just validated.
        """
        if self._began is None:
            return None
        (began, before), done = self._began, self._done(cursor, validated=validated)
        left = self.epochs * self._epoch - done
        return max(left, 0.0) * (time.monotonic() - began) / (done - before) if done > before else None

    @property
    def _epoch(self) -> float:
        return self.examples + FORWARD_SHARE * self.validation_examples

    def _done(self, cursor: Cursor, *, validated: bool) -> float:
        if validated:
            return cursor.epoch * self._epoch
        return (cursor.epoch - 1) * self._epoch + min(cursor.position, self.examples)
