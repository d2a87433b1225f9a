from __future__ import annotations

import io

import pytest

from cardrunner.errors import Terminated
from cardrunner.runs.interrupts import StoppableProgress, StopRequest
from cardrunner.tracking.progress import NullProgress


def test_work_is_left_at_the_next_advance_after_somebody_asked() -> None:
    stop, lines = StopRequest(), io.StringIO()
    progress = StoppableProgress(NullProgress(lines), stop)
    progress.note("begun")
    with progress.task("reading", 10, unit="B") as task:
        task.advance(4)
        stop.request("terminated")
        with pytest.raises(Terminated):
            task.advance(4)
    assert lines.getvalue() == "begun\n"
