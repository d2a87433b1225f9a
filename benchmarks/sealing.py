"""What checksums and seals cost: milliseconds of each save, and a share of the training.

    python -m benchmarks.sealing --repetitions 7

The same toy training with and without them, in turns and in an order drawn anew for each pair; every step takes its
time, as in a real run. A save is all that a checksum adds to one: lines of a log interval, how far history and ledger
have come, the record's own digest. The seal at the end of an attempt is timed on the trained folder, and so is the
examination that `status` makes of 10,000 rows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History, HistoryRow
from cardrunner.runs.inspect import run_damage
from cardrunner.runs.lines import LinesAnchor, anchor_of
from cardrunner.runs.records import Manifest, read_record, write_record
from cardrunner.runs.seals import changing
from tests.conftest import ToyRun, make_toy_run

_ROWS_A_SAVE = 10
_SAVES = 60
_MOST_SHARE, _MOST_SECONDS = 0.005, 0.005


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the cost of a save, of a training, of the seal at its end, and of an examination."""
    wanted = _parse(arguments)
    with tempfile.TemporaryDirectory(dir=wanted.on) as on:
        pairs = [_pair(Path(on) / str(number), wanted.step_ms) for number in range(wanted.repetitions)]
        folder = RunFolder(Path(on) / "0" / "with" / "runs" / "toy-run")
        save = _added(folder)
        print(f"a save: {save * 1000:.3f} ms more, limit {_MOST_SECONDS * 1000:g} ms")
        shares = sorted(sealed / plain - 1 for sealed, plain in pairs)
        seconds = statistics.median(plain for _, plain in pairs)
        median, low, high = statistics.median(shares), shares[0], shares[-1]
        print(f"a training of {seconds:.2f} s, whole: {median:+.2%} [{low:+.2%}, {high:+.2%}] of {len(pairs)} pairs")
        manifest = read_record(folder.manifest, Manifest)
        share = manifest.saves * save / seconds
        print(f"its {manifest.saves} saves alone: {share:.3%} of it, limit {_MOST_SHARE:.1%}")
        print(f"the seal at its end: {_seal(folder) * 1000:.1f} ms")
        print(f"examining 10,000 rows: {_examined(folder):.3f} s")


def _pair(root: Path, step_ms: float) -> tuple[float, float]:
    """Seconds of the same training with checksums and without."""
    turns: list[tuple[str, Callable[[], Any]]] = [("with", ExitStack), ("without", _plain)]
    random.shuffle(turns)
    found = {name: _trained(root / name, step_ms, setting) for name, setting in turns}
    return found["with"], found["without"]


def _trained(root: Path, step_ms: float, setting: Callable[[], Any]) -> float:
    changes = {"training.epochs": 4, "training.log_every": "1 steps", "training.checkpoint_every": "4 steps"}
    run: ToyRun = make_toy_run(root, changes | {"training.toy.step_ms": step_ms})
    with setting():
        began = time.perf_counter()
        run.train()
        seconds = time.perf_counter() - began
    assert run.ended is None
    return seconds


@contextmanager
def _plain() -> Iterator[None]:
    """Lines and records as earlier versions wrote them."""

    def write(descriptor: int, line: bytes, write: Callable[[bytes], object]) -> None:  # noqa: ARG001
        write(line)

    def record(content: Mapping[str, Any]) -> str:
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    nothing = LinesAnchor(bytes=0, last=None)
    with ExitStack() as patched:
        patched.enter_context(mock.patch("cardrunner.runs.jsonl.write_sealed", write))
        patched.enter_context(mock.patch("cardrunner.runs.records.with_checksum", record))
        patched.enter_context(mock.patch("cardrunner.training.checkpoint.anchor_of", return_value=nothing))
        yield


def _added(folder: RunFolder) -> float:
    """Seconds that checksums add to the lines, marks and records of one save."""
    more = [_save(folder, ExitStack) - _save(folder, _plain) for _ in range(_SAVES)]
    for path in _made_up(folder):
        path.unlink()
    return statistics.median(more)


def _save(folder: RunFolder, setting: Callable[[], Any]) -> float:
    lines, record = _made_up(folder)
    history, row, manifest = History(lines), _row(folder), read_record(folder.manifest, Manifest)
    with setting():
        began = time.perf_counter()
        for _ in range(_ROWS_A_SAVE):
            history.append(row)
        marks = {"history": anchor_of(lines), "ledger": anchor_of(folder.ledger)} if setting is ExitStack else {}
        write_record(record, manifest.model_copy(update=marks))
        return time.perf_counter() - began


def _made_up(folder: RunFolder) -> tuple[Path, Path]:
    return folder.root / "made-up.jsonl", folder.root / "made-up.json"


def _row(folder: RunFolder) -> HistoryRow:
    return next(row for row in History(folder.history).rows() if row.kind == "train")


def _seal(folder: RunFolder) -> float:
    began = time.perf_counter()
    with changing(folder, "finish", warn=print):
        write_text(folder.results, "a page\n")
    return time.perf_counter() - began


def _examined(folder: RunFolder) -> float:
    history, row = History(folder.history), _row(folder)
    for _ in range(10_000):
        history.append(row)
    began = time.perf_counter()
    run_damage(folder)
    return time.perf_counter() - began


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--step-ms", type=float, default=20.0, help="how long a step takes")
    parser.add_argument("--on", type=Path, help="a folder on the disk that is measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
