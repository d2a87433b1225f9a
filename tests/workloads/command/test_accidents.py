"""What befalls a script under a card, through the command line: memory, silence, limits, deaths and killed workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cardrunner.common.clock import utc_seconds
from tests.conftest import Zygote
from tests.workloads.command.bench import LOOP, Bench, wait

RULE = "{metric: loss, above: 1000, action: stop}"


@pytest.fixture
def bench(tmp_path: Path, zygote: Zygote) -> Bench:
    return Bench(tmp_path, zygote)


def test_out_of_memory_in_the_log_restarts_it_with_a_smaller_batch(bench: Bench) -> None:
    bench.script(
        "if first == 1 and options.batch > 8: row(1); row(2); save(2)\n"
        "if options.batch > 8: sys.exit('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB')\n"
        + LOOP
    )
    event = f"{RULE}\n  - {{event: out_of_memory, action: restart, set: {{training.parameters.batch: 8}}}}"
    batch = ('"{out}"]', '"{out}", --batch, "{batch}"]\n  parameters: {batch: 16}')
    bench.run("launch", bench.signed((RULE, event), batch))
    assert [event["set"] for event in bench.events("restarted")] == [{"training.parameters.batch": 8}]
    assert bench.steps() == list(range(1, 11))
    assert [event["action"] for event in bench.events("verdict")] == ["restart"]
    assert [event["step"] for event in bench.events("resumed")] == [2]
    assert "0 differences" in bench.run("verify", bench.name)


def test_out_of_memory_without_a_rule_fails_and_shows_the_line(bench: Bench) -> None:
    bench.script("row(1); sys.exit('RuntimeError: DefaultCPUAllocator: can\\'t allocate memory')")
    said = bench.run("launch", bench.signed(), code=7)
    assert "ran out of memory: RuntimeError: DefaultCPUAllocator" in said


def test_silence_is_a_warning_once_and_a_row_after_it_another_start(bench: Bench) -> None:
    bench.script("row(1); time.sleep(2.2)\n" + LOOP.replace("first", "2"))
    bench.run("launch", bench.signed(("first_metric: 60s", "first_metric: 60s\n  silence: 1s")))
    assert bench.warnings().count("no row and no output for 1 s (training.silence); it may hang") == 1


def test_resumes_that_die_fall_back_twice_and_then_nothing_is_begun_anew(bench: Bench) -> None:
    bench.script(
        "if options.resume: sys.exit('size mismatch')\n"
        "for step in range(1, 7):\n"
        "    time.sleep(0.8); row(step); save(step)\n"
        "sys.exit('power is gone')"
    )
    keep = ('"{out}/ckpt.json"}', '"{out}/ckpt.json", keep: 5}')
    bench.run("launch", bench.signed(keep), code=7)
    rows = bench.steps()
    for _ in range(3):
        assert "size mismatch" in bench.run("resume", bench.name, code=7)
    resumed = [event["step"] for event in bench.events("resumed")]
    assert resumed == sorted(set(resumed), reverse=True)
    assert len(resumed) == 3
    assert bench.warnings().count("died before its first new row, so the older") == 2
    said = bench.run("resume", bench.name, code=7)
    assert "3 resumes in a row died before a new row" in said
    assert "nothing was begun anew" in said
    assert set(bench.steps()) <= set(rows)
    assert "begins anew" not in bench.warnings()
    bench.run("resume", bench.name, code=7)
    assert bench.events("resumed")[-1]["step"] == resumed[0], "the next one tries the newest again"


def test_a_timeout_keeps_the_grace_for_a_good_end(bench: Bench) -> None:
    bench.script("for step in range(first, 1000):\n    time.sleep(0.3); row(step)\n    if step % 10 == 0: save(step)")
    card = bench.signed(("timeout: 10 min", "timeout: 20s"), ("steps: 10", "steps: 1000"))
    began = time.monotonic()
    said = bench.run("launch", card, code=5)
    assert time.monotonic() - began < 30
    assert "the timeout of 20s (infra.timeout) is reached" in said
    (asked,) = bench.events("script_asked")
    assert (asked["reason"], asked["signal"]) == ("limit", "SIGTERM")
    assert bench.events("attempt_ended")[-1]["seconds"] < 20
    assert bench.processes() == []
    assert list(bench.folder.kept.glob("0*/ckpt.json"))


def test_a_budget_keeps_the_grace_too(bench: Bench) -> None:
    bench.script("for step in range(first, 1000):\n    time.sleep(0.3); row(step)\n    if step % 10 == 0: save(step)")
    card = bench.signed(
        ("platform: local,", "platform: local, price: $3600/h,"), ("total: 10s}", "total: 10s, budget: $15.00}"),
        ("steps: 10", "steps: 1000"),
    )  # fmt: skip
    said = bench.run("launch", card, code=5)
    assert "the budget of $15.00 (timing.budget) is spent" in said
    assert bench.events("script_asked")[0]["reason"] == "limit"
    assert bench.events("attempt_ended")[-1]["seconds"] < 15


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_second_interrupt_ends_everything_at_once(bench: Bench, executor: str) -> None:
    bench.script(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0: os.setsid(); time.sleep(600)\n"
        "while True: time.sleep(0.1); row(1)"
    )
    grace = ("grace: 3s", "grace: 60s")
    launched = bench.start("launch", bench.signed(grace, ("local,", f"local, executor: {executor},")))
    wait(lambda: bench.events("training"))
    launched.send_signal(signal.SIGINT)
    wait(lambda: bench.events("leaving"))
    began = time.monotonic()
    launched.send_signal(signal.SIGINT)
    assert launched.wait() == 130
    wait(lambda: bench.processes() == [], 5)
    assert time.monotonic() - began < 10


def test_a_worker_that_is_killed_at_every_start_loses_no_row_that_was_read(bench: Bench) -> None:
    bench.script("for step in range(first, 31):\n    time.sleep(0.1); row(step)\n    if step % 5 == 0: save(step)")
    card = bench.signed(("steps: 10", "steps: 30"))
    for number, words in enumerate((("launch", card), ("resume", bench.name)), start=1):
        bench.start(*words, "--detach")
        wait(lambda: len(bench.events("training")) == number and len(bench.steps()) >= 9 * number)  # noqa: B023
        time.sleep(0.4)
        os.kill(_worker(bench), signal.SIGKILL)
        wait(lambda: "interrupted" in bench.run("status", bench.name))
        wait(lambda: bench.processes() == [])
    bench.run("resume", bench.name)
    steps = bench.steps()
    assert steps == sorted(set(steps))
    assert steps[-1] == 30
    assert len(steps) >= 29, "one row may have been in the pipe"
    assert "0 differences" in bench.run("verify", bench.name)


def _worker(bench: Bench) -> int:
    import json

    return int(json.loads(bench.folder.lease.read_bytes())["pid"])


def test_a_metric_that_does_not_come_pauses_once_and_goes_on_when_a_person_has_said_so(bench: Bench) -> None:
    bench.script(LOOP)
    declared = ("at: validation}", "at: validation}\n    - {name: val_acc, direction: max}")
    groups = ("report: {stdout: 'iter", "report: {jsonl: '{out}/log.jsonl', stdout: 'iter")
    first = ("first_metric: 60s", "first_metric: 1s")
    said = bench.run("launch", bench.signed(declared, groups, first), code=8)
    (missing,) = bench.events("metric_missing")
    assert missing["metrics"] == ["val_acc"]
    assert "seen: loss" in missing["message"]
    assert "val_acc was never reported while 3 rows of its kind (validation) came; seen: loss" in said
    assert "paused to investigate" in bench.run("resume", bench.name, code=8), "it asks why first"
    bench.run("resume", bench.name, "--acknowledge", "validation is off in this one")
    assert bench.steps() == list(range(1, 11))
    assert [event.get("paused") for event in bench.events("metric_missing")][1:] in ([], [False])


def test_rows_that_a_file_had_before_the_start_prove_nothing(bench: Bench) -> None:
    bench.script("time.sleep(600)", log_csv="step,loss\n1,0.5\n2,0.4\n")
    card = bench.signed(
        (r"stdout: 'iter (?P<step>\d+): loss (?P<loss>\S+)'", "csv: log.csv"), ("first_metric: 60s", "first_metric: 3s")
    )
    said = bench.run("launch", card, code=8)
    assert "loss was never reported within 3s; no other name was seen either" in said
    assert bench.events("training") == []
    assert bench.steps() == []


def test_a_retry_resumes_it_and_a_fallback_counts_as_one(bench: Bench) -> None:
    bench.script(
        "tries = options.out.parent / 'tries'\n"
        "tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')\n"
        "number = len(tries.read_text())\n"
        "if number == 2: sys.exit('CUDA error: uncorrectable ECC error')\n"
        + LOOP.replace("save(step)", "save(step)\n    if step == 5 and number == 1: time.sleep(1.2); sys.exit('lost')")
    )
    bench.run("launch", bench.signed(("timeout: 10 min", "timeout: 10 min, retries: 2")))
    assert bench.steps() == list(range(1, 11))
    assert len(bench.events("retried")) == 2
    assert len(bench.events("resumed")) == 2


def test_what_it_prints_is_shown_live_and_without_secrets(bench: Bench) -> None:
    bench.environment = {"HUB_TOKEN": "hf_abcdefghijklmnop"}
    bench.script("print('token', os.environ['HUB_TOKEN'], flush=True)\n" + LOOP.replace("0.1", "0.4"))
    bench.run("launch", bench.signed(), "--detach")
    wait(lambda: "iter 2: loss" in (logs := bench.run("logs", bench.name)) and "hf_abc" not in logs)
    assert "training" in (status := bench.run("status", bench.name)) or "running" in status
    assert "loss 0." in bench.run("attach", bench.name)
    logs = bench.run("logs", bench.name)
    assert "token " in logs
    files = [path for path in bench.folder.root.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hf_abcdefghijklmnop" in path.read_bytes()]


def test_the_ledger_has_the_time_of_the_row_of_the_verdict_and_of_the_signal(bench: Bench) -> None:
    stamped = (
        LOOP.replace("11", "100")
        .replace("% 2", "% 12")
        .replace("row(step)", "row(step); stamps.write(f'{step} {time.time()}\\n')")
    )
    bench.script("stamps = (options.out / 'stamps').open('w', buffering=1)" + stamped)
    rule = (RULE, "{metric: loss, below: 0.2, action: stop}")
    bench.run("launch", bench.signed(rule, ("steps: 10", "steps: 100")), code=5)
    (verdict,), (asked,) = bench.events("verdict"), bench.events("script_asked")
    stamps = (line.split() for line in (bench.folder.script_out / "stamps").read_text().splitlines())
    printed = {int(step): float(at) for step, at in stamps}[verdict["step"]]
    row, decided, sent = (utc_seconds(text) for text in (asked["row_at"], asked["decided_at"], asked["at"]))
    assert printed - 0.01 <= row <= decided <= sent
    assert decided - printed < 4
    assert abs(utc_seconds(verdict["at"]) - decided) < 0.5
    assert sent - decided < 31
    assert asked["waited_seconds"] == pytest.approx(sent - decided, abs=0.6)
    assert (asked["reason"], asked["signal"]) == ("verdict", "SIGTERM")
    page = (bench.folder.root / "results.md").read_text()
    assert "the script was sent SIGTERM" in page
    assert "the script was sent SIGTERM" in bench.run("attach", bench.name, code=None)
