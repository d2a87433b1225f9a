from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cardrunner.runs.heartbeat import Heartbeat, read_heartbeat
from cardrunner.runs.jsonl import Tail


def beat(writer: Heartbeat, step: int) -> None:
    writer.beat(epoch=1, step=step, examples=10 * step, train_seconds=0.5)


def test_a_pulse_says_where_training_is_about_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cardrunner.runs.heartbeat.time.monotonic", lambda: now[0])
    path = tmp_path / "pulse.json"
    writer = Heartbeat(path, attempt=2)
    for step in range(1, 1000):
        now[0] += 0.01
        beat(writer, step)
    seen = read_heartbeat(path)
    assert seen is not None
    assert (seen.attempt, seen.examples) == (2, 10 * seen.step)
    assert seen.step > 890


def test_a_pulse_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    beat(Heartbeat(tmp_path / "absent" / "pulse.json", attempt=1), 1)
    beat(Heartbeat(None, attempt=1), 1)
    (tmp_path / "pulse.json").write_text("{")
    assert read_heartbeat(tmp_path / "pulse.json") is None
    assert read_heartbeat(tmp_path / "nothing.json") is None


def test_half_a_line_waits_for_its_end(tmp_path: Any) -> None:
    tail = Tail(tmp_path / "rows.jsonl")
    assert list(tail.new()) == []
    with (tmp_path / "rows.jsonl").open("a") as file:
        for text, expected in (('{"a": 1}\n{"a"', [{"a": 1}]), (": 2}", []), ("\n", [{"a": 2}])):
            file.write(text)
            file.flush()
            assert list(tail.new()) == expected


def test_a_file_that_was_rewritten_is_read_again_also_when_it_has_grown_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    tail = Tail(path)
    assert len(list(tail.new())) == 2
    (tmp_path / "new").write_text('{"a": 1}\n{"a": 3}\n{"a": 4}\n')
    (tmp_path / "new").replace(path)
    assert list(tail.new()) == [{"a": 1}, {"a": 3}, {"a": 4}]
    path.write_text('{"a": 1}\n')
    assert list(tail.new()) == [{"a": 1}]
