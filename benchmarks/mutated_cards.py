"""Does any card get past the reader that should not, or break it? Seeded mutations of valid cards.

    python -m benchmarks.mutated_cards --seed 0 --cards 100000      # about a quarter of an hour
    python -m benchmarks.mutated_cards --seed 0 --only 4711         # print one card and what becomes of it

Every card is one of the seeds with one to three mutations, or a control: an edit that must pass. What must hold:

- `CardError` is the only exception that leaves the reader, and every fault has a place in its file and one sentence;
- an accepted card reads as the same values in py-yaml12, a YAML 1.2 core parser written in Rust (saphyr), and
  satisfies the JSON Schema that editors use;
- a control is accepted, with the same digest where it changes only how the card is written.

On purpose cardrunner refuses more than py-yaml12: duplicate keys (there the last one wins), anchors, aliases, merge
keys and tags, directives and second documents, keys that are not text, tabs outside of text, infinities and NaN,
numbers with leading zeros, underscores, more digits than a double holds exactly or that round to 0, characters that
cannot be seen or reorder text, line breaks other than LF and CRLF, text that is not NFC, lines that go on no deeper
than the `- ` or key they belong to, block text without a text, more than 256 KB, 10,000 values, 32 levels or 64 KB of
one text. It accepts nothing that py-yaml12 refuses, but for a bracket that closes right below its key: YAML asks for a
space before it, all the usual parsers take it, and py-yaml12 takes it behind some values. It is compared with a space.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from jsonschema import Draft202012Validator

from benchmarks.card_mutations import MUTATIONS, OTHER, SAME, WEIGHTS, damage
from benchmarks.other_reader import as_json, disagreement
from cardrunner import registry
from cardrunner.card.json_schema import card_json_schema
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.errors import CardError

ROOT = Path(__file__).parents[1]
SEEDS = (
    "runcards/policy-22k",
    "runcards/quickstart",
    "tests/cards/valid/everything",
    "tests/cards/valid/policy-22k-short",
)
EXTENDING = """\
extends: base.yaml
name: child
author: null
training: {seed: 7}
checklist: [{item: look at it}]
sign_off: {reviewers: [{id: scav, signed: null}]}
"""
CONTROLS_EVERY = 10
"""One card in this many is a control."""
MEDIAN_LIMIT, MAX_LIMIT, MEMORY_LIMIT = 0.010, 1.0, 200e6

# ---------------------------------------------------------------- judging


@dataclass(frozen=True)
class Seed:
    """A valid card to begin with."""

    name: str
    text: str
    sources: tuple[bytes, ...] = ()

    def load(self, data: bytes) -> LoadedCard:
        """Read a variant of it."""
        return load_card_bytes(data, file="card.yaml", resolve=registry.workload_spec, sources=self.sources)


@dataclass(frozen=True)
class Case:
    """One card of the harness."""

    seed: Seed
    data: bytes
    control: str | None


@dataclass
class Tally:
    """The results of many cards."""

    accepted: int = 0
    refused: int = 0
    controls: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        cards = len(self.seconds)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return "\n".join(
            (
                f"{cards} cards: {self.accepted} accepted, {self.refused} refused",
                f"{sum(self.controls.values())} controls passed",
                f"controls: {', '.join(f'{name} {count}' for name, count in sorted(self.controls.items()))}",
                f"CPU seconds a card: median {statistics.median(self.seconds):.4f}, max {max(self.seconds):.3f}",
                f"memory at most: {memory / 1e6:.0f} MB",
                f"problems: {len(self.problems)}",
                *self.problems[:20],
            )
        )


@lru_cache(maxsize=1)
def seeds() -> tuple[Seed, ...]:
    """The cards that are mutated."""
    whole = [Seed(name, (ROOT / f"{name}.yaml").read_text(encoding="utf-8")) for name in SEEDS]
    base = whole[-1].text.encode()
    return (*whole, Seed("extending", EXTENDING, (base,)))


@lru_cache(maxsize=1)
def validator() -> Draft202012Validator:
    """The JSON Schema of all workloads."""
    return Draft202012Validator(card_json_schema([registry.workload_spec(name) for name in registry.WORKLOADS]))


@lru_cache(maxsize=8)
def seed_digest(seed: Seed) -> str:
    """What a signature of the seed signs."""
    return seed.load(seed.text.encode()).digest


def make_case(seed: int, number: int) -> Case:
    """Card `number` of a seed; the same on every machine."""
    rng = random.Random(f"{seed}:{number}")
    begin = rng.choice(seeds())
    if number % CONTROLS_EVERY == 0:
        name = rng.choice([*SAME, *OTHER])
        change = SAME.get(name) or OTHER[name]
        present = name in OTHER and ("readings:" in begin.text or "incidents:" in begin.text)
        return Case(begin, begin.text.encode() if present else change(begin.text, rng).encode(), name)
    text = begin.text
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        (mutation,) = rng.choices(MUTATIONS, WEIGHTS)
        text = mutation(text, rng) or " "
    return Case(begin, damage(text.encode("utf-8", "surrogatepass"), rng), None)


def judge(case: Case, tally: Tally) -> None:
    """Read one card and check the result against the rules above."""
    began = time.process_time()
    found: list[str] = []
    try:
        loaded = case.seed.load(case.data)
        tally.seconds.append(time.process_time() - began)
        tally.accepted += 1
        found += _disagreements(loaded)
        if case.control in SAME and loaded.digest != seed_digest(case.seed):
            found.append(f"control {case.control} changed the digest")
        if case.control:
            tally.controls[case.control] += 1
    except CardError as error:
        tally.seconds.append(time.process_time() - began)
        tally.refused += 1
        found += _bad_faults(error, case)
        if case.control:
            found.append(f"control {case.control} was refused: {error}")
    except Exception as error:  # any other exception is a bug
        tally.seconds.append(time.process_time() - began)
        found.append(f"traceback: {type(error).__name__}: {error}")
    if tally.seconds[-1] > MAX_LIMIT:
        found.append(f"took {tally.seconds[-1]:.2f} s")
    tally.problems += found


def run(seed: int, cards: int, *, start: int = 0) -> Tally:
    """Judge many cards."""
    tally = Tally()
    for item in seeds():
        seed_digest(item)  # the first card also builds the models
    for number in range(start, start + cards):
        before = len(tally.problems)
        judge(make_case(seed, number), tally)
        tally.problems[before:] = [f"card {number}: {problem}" for problem in tally.problems[before:]]
    return tally


def _disagreements(loaded: LoadedCard) -> Iterator[str]:
    """Where others read an accepted card differently."""
    value = as_json(loaded.document.value())
    yield from (f"schema: {error.json_path}: {error.message[:200]}" for error in validator().iter_errors(value))
    if (otherwise := disagreement(loaded.document)) is not None:
        yield otherwise


def _bad_faults(error: CardError, case: Case) -> Iterator[str]:
    texts = {"card.yaml": case.data, "base.yaml": b"".join(case.seed.sources)}
    lines = {name: data.decode("utf-8-sig", "replace").split("\n") for name, data in texts.items()}
    for fault in error.faults:
        line, column = getattr(fault, "line", 0), getattr(fault, "column", 0)
        there, message = lines.get(getattr(fault, "file", ""), []), str(fault)
        if not (1 <= line <= len(there) and 1 <= column <= len(there[line - 1]) + 1):
            yield f"no place: {message}"
        if "\n" in message or not message.isprintable() or len(message) > 1000:
            yield f"not one printable sentence: {message!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tally; 1 where a rule is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cards", type=int, default=100_000)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="show one card and what becomes of it")
    options = parser.parse_args(arguments)
    if options.only is not None:
        print(make_case(options.seed, options.only).data.decode("utf-8", "backslashreplace"))
        tally = run(options.seed, 1, start=options.only)
    else:
        tally = run(options.seed, options.cards)
    print(tally)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    slow = statistics.median(tally.seconds) > MEDIAN_LIMIT and options.only is None
    return 1 if tally.problems or slow or memory > MEMORY_LIMIT else 0


if __name__ == "__main__":
    raise SystemExit(main())
