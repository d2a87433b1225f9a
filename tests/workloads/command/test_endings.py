"""The end of a script, told from more than its exit code."""

from __future__ import annotations

import pytest

from cardrunner.workloads.command.endings import Ended, Ending, ending_of

ASKED = "val_loss = 5 above 4"


def ended(
    code: int, asked: str | None = None, progress: float | None = None, *tail: str, kernel: bool = False
) -> Ended:
    return Ended(code=code, asked=asked, progress=progress, tail=tail, kernel_killed=kernel)


KILLED = "the script ran out of memory: the kernel killed it (it counted an oom_kill)"
BY = "the script was killed by signal"
AT_LENGTH = "the script ended with 0 at the length that the card states"
EARLY = "of the length that the card states"


@pytest.mark.parametrize(
    ("found", "kind", "sentence"),
    [
        (ended(0, ASKED), "stopped", f"{ASKED}; the script ended with 0"),
        (ended(1, ASKED, 0.2), "stopped", f"{ASKED}; the script ended with 1"),
        (ended(-15, ASKED), "stopped", f"{ASKED}; {BY} 15 (SIGTERM)"),
        (ended(-9, ASKED, None, "CUDA out of memory"), "stopped", f"{ASKED}; {BY} 9 (SIGKILL)"),
        (ended(0, None, 1.0), "completed", AT_LENGTH),
        (ended(0), "completed", "the script ended with 0; the card states no length to compare with"),
        (ended(0, None, 0.4199), "ended_early", f"ended early, at 41 % {EARLY}"),
        (ended(0, None, 0.997), "ended_early", f"ended early, at 99 % {EARLY}"),
        (
            ended(0, None, 0.5, "[rank: 0] Received SIGTERM: 15"),
            "failed",
            f"the script ended with 0, at 50 % {EARLY}, after a signal from outside: [rank: 0] Received SIGTERM: 15",
        ),
        (ended(0, None, 1.0, "[rank: 0] Received SIGTERM: 15"), "completed", AT_LENGTH),
        (
            ended(0, None, None, "INFO:SIGTERM received, will request JIT checkpoint after 3s"),
            "failed",
            "the script ended with 0, after a signal from outside: "
            "INFO:SIGTERM received, will request JIT checkpoint after 3s",
        ),
        (ended(0, None, 1.0, "torch.OutOfMemoryError: retried"), "completed", AT_LENGTH),
        (ended(1, None, 0.4), "failed", "the script ended with 1; it printed no line"),
        (ended(2, None, 0.4, "error: unknown flag"), "failed", "the script ended with 2; its last 1 line follows"),
        (ended(-11, None, None, "a", "b"), "failed", f"{BY} 11 (SIGSEGV); its last 2 lines follow"),
        (ended(-15), "failed", f"{BY} 15 (SIGTERM); it printed no line"),
        (ended(-9), "failed", f"{BY} 9 (SIGKILL); it printed no line"),
        (ended(-9, kernel=True), "out_of_memory", KILLED),
        (ended(137, kernel=True), "out_of_memory", KILLED),
        (ended(1, None, None, "Signal 9 (SIGKILL) received by PID 7", kernel=True), "out_of_memory", KILLED),
        (ended(1, None, None, "ValueError", kernel=True), "failed", "the script ended with 1; its last 1 line follows"),
    ],
)
def test_the_end_of_a_script(found: Ended, kind: str, sentence: str) -> None:
    ending = ending_of(found)
    assert (ending.kind, ending.sentence) == (kind, sentence)


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000 bytes.",
        "MemoryError",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.",
    ],
)
def test_a_lack_of_memory_is_read_from_the_last_lines(line: str) -> None:
    tail = ("Traceback", line, "E0000 failed (exitcode: 1)")
    ending = ending_of(ended(1, None, 0.3, *tail))
    assert ending == Ending("out_of_memory", f"the script ran out of memory: {line}", tail)


def test_a_failure_shows_the_last_forty_lines() -> None:
    ending = ending_of(ended(1, None, None, *(f"line {number}" for number in range(100))))
    assert ending.lines == tuple(f"line {number}" for number in range(60, 100))
    assert ending.sentence.endswith("its last 40 lines follow")


def test_words_about_memory_are_no_lack_of_it() -> None:
    assert ending_of(ended(1, None, None, "raise MemoryErrorHandler", "memory: out of 16 GB")).kind == "failed"
