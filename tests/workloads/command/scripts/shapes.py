"""A training in the shape of a usual one, or with a habit that destroys work: SHAPE --out OUT [--resume CHECKPOINT].

Each prints ``iter N: loss X``, and at each eighth step ``step N: val_loss X``, and then saves as its shape does.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

EVERY = 8
"""Steps between two validations, each with a checkpoint."""


class Training:
    """What all shapes do; each is a class with its own habits."""

    wait = 0.0
    """Seconds within a save, during which the file is torn."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out

    def begin(self) -> int:
        """The step that it goes on after."""
        return self.load(self.options.resume) if self.options.resume else 0

    def load(self, path: pathlib.Path) -> int:
        return int(json.loads(path.read_text())["step"])

    def step(self, number: int) -> None:
        print(f"iter {number}: loss {1 / number:.6f}", flush=True)

    def validate(self, number: int) -> None:
        print(f"step {number}: val_loss {1 / number + 0.01:.6f}", flush=True)

    def save(self, number: int) -> None:
        self.write(self.out / "ckpt.json", number)

    def write(self, path: pathlib.Path, number: int) -> None:
        """Overwrite a file in place, in two parts."""
        text = json.dumps({"step": number, "weights": [0.5] * 2000})
        with path.open("w") as file:
            file.write(text[:4000])
            file.flush()
            time.sleep(self.wait)
            file.write(text[4000:])

    def end(self) -> None:
        pass

    def run(self) -> None:
        for number in range(self.begin() + 1, self.options.iters + 1):
            time.sleep(self.options.pause)
            self.step(number)
            if number % EVERY == 0:
                self.validate(number)
                self.save(number)
        self.end()


class SingleFile(Training):
    """One file, overwritten right after the row."""

    wait = 0.05


class Folders(Training):
    """A folder for each checkpoint, its last file last."""

    def load(self, path: pathlib.Path) -> int:
        return int(json.loads((path / "trainer_state.json").read_text())["global_step"])

    def save(self, number: int) -> None:
        folder = self.out / f"checkpoint-{number}"
        folder.mkdir()
        header = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
        with (folder / "model.safetensors").open("wb", buffering=0) as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for _ in range(4):
                time.sleep(0.05)
                file.write(bytes(1000))
        time.sleep(0.05)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": number, "log_history": []}))


class Versions(Training):
    """A CSV that is rewritten, one checkpoint kept in a new folder for each start, and 0 when it is asked to end."""

    def begin(self) -> int:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.rows: list[dict[str, float]] = []
        self.version = self.out / f"version_{sum(1 for _ in self.out.glob('version_*'))}"
        (self.version / "checkpoints").mkdir(parents=True)
        return super().begin()

    def step(self, number: int) -> None:
        print(f"epoch {number}", flush=True)
        self.log({"step": number, "loss": 1 / number})

    def validate(self, number: int) -> None:
        print(f"step {number}: val_loss in the CSV", flush=True)
        self.log({"step": number, "val_loss": 1 / number + 0.01})

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        with (self.version / "metrics.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, ["step", "loss", "val_loss"])
            table.writeheader()
            table.writerows(self.rows)

    def save(self, number: int) -> None:
        before = list((self.version / "checkpoints").iterdir())
        self.write(self.version / "checkpoints" / f"step={number}.json", number)
        for path in before:
            path.unlink()


class AtEnd(Training):
    """One model at the end, and nothing to resume from."""

    def save(self, number: int) -> None:
        pass

    def end(self) -> None:
        self.write(self.out / "model.json", self.options.iters)


class Launcher(Training):
    """Starts two processes in sessions of their own; the first writes and finds its snapshot itself."""

    def run(self) -> None:
        if "LOCAL_RANK" in os.environ:
            super().run()
            return
        words = [sys.executable, *sys.argv]
        ranks = [
            subprocess.Popen(words, env={**os.environ, "LOCAL_RANK": str(rank)}, start_new_session=True)
            for rank in range(2)
        ]

        def end(*_: object) -> None:
            for rank in ranks:
                rank.terminate()

        signal.signal(signal.SIGTERM, end)
        while any(rank.poll() is None for rank in ranks):
            time.sleep(0.05)
        sys.exit(int(any(rank.returncode for rank in ranks)))

    @property
    def leads(self) -> bool:
        return os.environ["LOCAL_RANK"] == "0"

    def begin(self) -> int:
        snapshot = self.out / "ckpt.json"
        return self.load(snapshot) if snapshot.exists() else 0

    def step(self, number: int) -> None:
        print(f"[rank {os.environ['LOCAL_RANK']}] ", end="" if self.leads else "\n", flush=True)
        if self.leads:
            super().step(number)

    def validate(self, number: int) -> None:
        if self.leads:
            super().validate(number)

    def save(self, number: int) -> None:
        if self.leads:
            super().save(number)


class SlowSave(Training):
    """Its file is torn for a second after each row."""

    wait = 1.0


class Stray(Training):
    """Leaves a process in another session that ignores SIGTERM."""

    def begin(self) -> int:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                time.sleep(600)
            os._exit(0)
        os.wait()
        return super().begin()


class Deaf(Training):
    """Ignores SIGTERM and SIGINT."""

    def begin(self) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return super().begin()


class ExitsZero(Training):
    """Ends with 0 when it is asked to, in the middle of a save too."""

    wait = 0.1

    def begin(self) -> int:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        return super().begin()


class Loud(Training):
    """Prints without measure between its rows."""

    def step(self, number: int) -> None:
        line = f"{'x' * 2000} {number}\n" * 500
        for _ in range(max(1, int(self.options.megabytes / self.options.iters))):
            sys.stdout.write(line)
        super().step(number)


class NeverReports(Training):
    """Prints, and no line has a number of the card."""

    def step(self, number: int) -> None:
        print(f"working on {number}", flush=True)

    def validate(self, number: int) -> None:
        print("still working", flush=True)


class WrongName(Training):
    """Its loss has another name than the card says."""

    def step(self, number: int) -> None:
        print(f"iter {number}: train_loss {1 / number:.6f}", flush=True)


class Picky(Folders):
    """Dies while it resumes from a checkpoint of every other validation."""

    def load(self, path: pathlib.Path) -> int:
        step = super().load(path)
        if step % (2 * EVERY) == 0:
            raise RuntimeError(f"size mismatch for weights of step {step}")
        return step


class Outside(Training):
    """Saves in another folder than it is told to."""

    def save(self, number: int) -> None:
        with contextlib.suppress(FileExistsError):
            (self.out.parent.parent.parent / "elsewhere").mkdir()
        self.write(self.out.parent.parent.parent / "elsewhere" / "ckpt.json", number)


SHAPES = {
    name: shape
    for name, shape in list(globals().items())
    if isinstance(shape, type) and issubclass(shape, Training) and shape is not Training
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--iters", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--resume", type=pathlib.Path)
    options = parser.parse_args()
    SHAPES[options.shape](options).run()


if __name__ == "__main__":
    main()
