"""Metrics in what a script prints, found by patterns with named groups.

Python's `re` cannot be interrupted, so its time is bounded by what it is given: `pattern_fault` refuses patterns that
may take forever, a line is cut to what a pattern can search in about a second at worst, and a pattern that proves slow
on the lines that come is left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cardrunner.workloads.command.reports.base import Garbage, Reading, Sizes, shortened
from cardrunner.workloads.command.reports.patterns import EPOCH, LONGEST_LINE, STEP, searched_length
from cardrunner.workloads.command.reports.tail import AT_ONCE, Tail
from cardrunner.workloads.command.reports.values import number, step_number

MOST_BEHIND = 64 * 2**20
"""Bytes of output that may wait; a script that prints faster is read from a later place on."""
_SLOW_SHARE = 0.25
"""Of the time since the attempt began, the part that one pattern may take."""
_SLOW_SECONDS = 2.0
"""What a pattern may take in any case."""


class Stdout:
    """See `cardrunner.workloads.command.reports.base.Source`.

    Args:
        log: the file with what the script prints; the first attempt begins it, later ones append.
        patterns: regular expressions without a `pattern_fault`.
    """

    def __init__(
        self,
        log: Path,
        patterns: Sequence[str],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name, self.garbage = "stdout", Garbage()
        self._tail = Tail(log, self.garbage, longest=LONGEST_LINE, cut=True, separators=b"\n\r")
        self._patterns = [_Timed(pattern) for pattern in patterns]
        self._clock, self._began = clock, clock()

    def begin(self, sizes: Sizes | None = None) -> Sizes:
        """Leave out what earlier attempts printed."""
        return self._tail.skip(sizes)

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        """A reading for each match of a pattern in a new line."""
        if (behind := self._tail.behind) > MOST_BEHIND:
            self._tail.skip_to_end()
            self.garbage.add(f"{behind / 1e6:,.0f} MB were printed faster than they are read, and are left out", "")
        found, lines = False, 1
        while lines and not found:
            lines = 0
            for _, line in self._tail.lines(ended=ended, most=AT_ONCE):
                lines += 1
                for reading in self._readings(line.decode(errors="replace")):
                    found = True
                    yield reading
            # many lines without a match are not the end, which is what a call that yields nothing means then
            lines = lines if ended else 0
        self._patterns = [timed for timed in self._patterns if not self._is_slow(timed)]

    def _readings(self, text: str) -> Iterator[Reading]:
        for timed in self._patterns:
            began = self._clock()
            match = timed.pattern.search(text, 0, timed.longest)
            timed.seconds += self._clock() - began
            if match is not None and (reading := self._reading(match)) is not None:
                yield reading

    def _is_slow(self, timed: _Timed) -> bool:
        allowed = max(_SLOW_SECONDS, _SLOW_SHARE * (self._clock() - self._began))
        if timed.seconds <= allowed:
            return False
        said = f"{shortened(timed.pattern.pattern)} took {timed.seconds:.1f} s and is left out from here on"
        self.garbage.add(f"{said}; write it with fewer repeats such as .*", "a pattern")
        return True

    def _reading(self, match: re.Match[str]) -> Reading | None:
        found = match.groupdict()
        epoch = number(found.pop(EPOCH, None))
        counted = found.pop(STEP, None) if STEP in match.re.groupindex else epoch
        step, values = step_number(counted), {}
        for name, text in found.items():
            if text is None:
                continue
            value = number(text)
            if value is None:
                self.garbage.add(f"{name} = {text[:60]!r} in {match.string[:200]}", self.name)
            else:
                values[name] = value
        if step is None and values:
            self.garbage.add(f"step {counted!r} in {match.string[:200]}", self.name)
        return Reading(step, values, self.name, epoch) if values and step is not None else None


class _Timed:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.longest, self.seconds = re.compile(pattern), searched_length(pattern), 0.0
