"""What a script prints: bounded, without secrets, complete for the consumer."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from cardrunner.workloads.command.output import OutputLimits, ScriptOutput
from cardrunner.workloads.command.process import Command, Patience, Script

SCRIPTS = Path(__file__).parent / "scripts"
SMALL = OutputLimits(file_bytes=1_000, line_bytes=100, tail_lines=5)


def printed(tmp_path: Path, *blocks: bytes, limits: OutputLimits = SMALL) -> tuple[list[str], ScriptOutput, str]:
    lines: list[str] = []
    path = tmp_path / "script.log"
    path.unlink(missing_ok=True)
    output = ScriptOutput(path, lines.append, limits)
    for block in blocks:
        output.feed(block)
    output.close()
    return lines, output, path.read_text()


def test_lines_are_handed_on_when_they_are_complete(tmp_path: Path) -> None:
    lines: list[str] = []
    output = ScriptOutput(tmp_path / "script.log", lines.append)
    output.feed(b"step 1: lo")
    assert lines == []
    output.feed(b"ss 0.5\nstep 2")
    assert lines == ["step 1: loss 0.5"]
    assert (tmp_path / "script.log").read_text() == "step 1: loss 0.5\n"
    output.close()
    assert lines == ["step 1: loss 0.5", "step 2"]
    assert (tmp_path / "script.log").read_text() == "step 1: loss 0.5\nstep 2\n"


@given(st.lists(st.sampled_from(["a", "ä", "loss 0.5", "\r", "\n", "\r\n", "\n\n", "x" * 30]), max_size=30), st.data())
def test_lines_do_not_depend_on_the_blocks_they_come_in(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], data: st.DataObject
) -> None:
    whole = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    blocks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    limits = OutputLimits(line_bytes=1_000)
    lines, _, log = printed(tmp_path_factory.mktemp("log"), *blocks, limits=limits)
    expected = whole.decode().replace("\r\n", "\n").replace("\r", "\n")
    assert lines == (expected.removesuffix("\n").split("\n") if expected else [])
    assert log == "".join(f"{line}\n" for line in lines)


def test_a_secret_is_hidden_wherever_the_blocks_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "hf_0123456789abcdef")
    text = b"token hf_0123456789abcdef and more\n"
    for cut in range(len(text)):
        lines, output, log = printed(tmp_path, text[:cut], text[cut:])
        assert lines == ["token [HUB_TOKEN hidden] and more"]
        assert "hf_01" not in log + "".join(output.tail())


@pytest.mark.parametrize("begins", [85, 90, 95, 99])
def test_a_secret_across_the_end_of_a_cut_line_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: int
) -> None:
    monkeypatch.setenv("HUB_TOKEN", "hf_0123456789abcdef")
    lines, _, log = printed(tmp_path, b"x" * begins + b"hf_0123456789abcdef" + b"y" * 500 + b"\n")
    assert "hf_" not in log + "".join(lines)


def test_a_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    lines, output, _ = printed(tmp_path, *[b"x" * 50] * 1_000, b"\nstep 3: loss 0.1\n")
    assert lines == ["x" * 100 + " [cardrunner: the rest of this line was left out]", "step 3: loss 0.1"]
    assert output.bytes == 50_000 + 18


@given(st.binary(max_size=2_000))
@example(b"\x00\xff\xfe\x1b[2J\x1b]0;title\x07 loss\n")
@example(b"\xe2\x82")
def test_garbage_becomes_readable_text(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    lines, _, _ = printed(tmp_path_factory.mktemp("log"), garbage, b"\nstep 1\n")
    assert lines[-1] == "step 1"
    assert all("\x1b" not in line and "\x00" not in line for line in lines)


def test_the_first_and_the_last_lines_are_kept_and_the_middle_is_counted(tmp_path: Path) -> None:
    lines, output, log = printed(tmp_path, *(b"line %04d\n" % number for number in range(1_000)))
    assert len(lines) == 1_000
    first, previous = (tmp_path / f"script.{part}.log" for part in ("first", "previous"))
    assert first.read_text().startswith("line 0000\n")
    assert log.splitlines()[-1] == "line 0999"
    kept = first.read_text() + previous.read_text() + log
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= SMALL.file_bytes
    missing = 1_000 - sum(line.startswith("line") for line in kept.splitlines())
    left_out = int(log.split(";")[1].split()[0].replace(",", ""))
    assert 0 <= left_out - missing * len("line 0000\n") < 0.2 * left_out
    assert "is in script.first.log and script.previous.log;" in log
    assert output.tail(2) == ("line 0998", "line 0999")
    assert len(output.tail()) == 5


def test_a_resumed_script_goes_on_in_the_same_log(tmp_path: Path) -> None:
    for word in (b"one\n", b"two\n"):
        output = ScriptOutput(tmp_path / "script.log", lambda line: None, SMALL)
        output.feed(word)
        output.close()
    assert (tmp_path / "script.log").read_text() == "one\ntwo\n"


def test_a_consumer_that_fails_is_not_asked_again_and_the_log_goes_on(tmp_path: Path) -> None:
    def consume(line: str) -> None:
        raise ValueError(line)

    output = ScriptOutput(tmp_path / "script.log", consume, SMALL)
    output.feed(b"one\ntwo\n")
    output.feed(b"three\n")
    output.close()
    assert str(output.consumer_error) == "one"
    assert (tmp_path / "script.log").read_text() == "one\ntwo\nthree\n"


def test_a_full_disk_is_a_sentence_and_the_consumer_goes_on(tmp_path: Path) -> None:
    lines: list[str] = []
    output = ScriptOutput(tmp_path / "script.log", lines.append, SMALL)
    output._log._stream.close()
    output._log._stream = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115 (closed with the log)
    output.feed(b"one\n")
    output.feed(b"two\n")
    output.close()
    assert lines == ["one", "two"]
    assert output.log_problem == (
        f"cannot write {tmp_path / 'script.log'}: the disk is full; free some space; "
        "lines of the script are missing in its log"
    )


@pytest.mark.parametrize("megabytes", [64, pytest.param(1_000, marks=pytest.mark.long)])
def test_a_script_that_prints_without_end_is_not_held_up(tmp_path: Path, megabytes: int) -> None:
    count = 0

    def consume(line: str) -> None:
        nonlocal count
        count += 1

    limits = OutputLimits(file_bytes=4_000_000)
    script = Script.start(Command((sys.executable, str(SCRIPTS / "chatter.py"), str(megabytes)), tmp_path))
    output = ScriptOutput(tmp_path / "script.log", consume, limits)
    began = time.monotonic()
    cpu, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    output.pump(script.output)
    spent = time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert script.end(signal.SIGTERM, Patience(grace=60)).code == 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * limits.file_bytes + 100
    assert memory < 32_000  # kB
    assert output.tail(1)[0].startswith("the last line after ")
    assert output.bytes > megabytes * 980_000
    assert count == output.lines
    print(f"{megabytes} MB in {time.monotonic() - began:.1f} s, {spent:.1f} s of CPU here")  # noqa: T201


def test_lines_come_while_the_script_runs(tmp_path: Path) -> None:
    script = Script.start(Command((sys.executable, str(SCRIPTS / "polite.py")), tmp_path))
    came = threading.Event()
    output = ScriptOutput(tmp_path / "script.log", lambda line: came.set())
    pump = threading.Thread(target=output.pump, args=(script.output,))
    pump.start()
    try:
        assert came.wait(20)
        assert script.poll() is None
    finally:
        script.end(signal.SIGTERM, Patience(grace=10, poll=0.01))
        pump.join(10)
    assert not pump.is_alive()
