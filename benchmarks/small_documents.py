"""Is small YAML read as others read it? Seeded texts in every layout, most of which no card would be written in.

    python -m benchmarks.small_documents --seed 0 --texts 200000      # a minute

Mutated cards are seldom accepted, and so seldom compared; of these texts a third is. What must hold is the same:
nothing but `CardError`, every fault at a place in the text, and the same values in py-yaml12 for what is accepted.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.other_reader import disagreement
from cardrunner.card.reading.reader import read_document
from cardrunner.errors import CardError

PIECES = (
    "a", "b", ": ", ":", " ", "  ", "    ", "\n", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "- ", "? ", "[", "]", "{",
    "}", ", ", ",", "'", '"', "''", "\\n", '\\"', "|", "|-", "|+", ">", ">-", ">+", "|2", "|1-", ">2+", "#", " # c",
    "x y", "1", "1.5", "0x1F", "~", "null", "true", "1e-3", ".5", "-", "--- ", "---", "...", "%", "&a", "*a", "!t",
    "@", "`", "=", "<<", "日", "é", "\t", "\\", "12h", "a:b", "a: b: c", "\r\n", " \n", "\n\n", "\n \n", "'q: r'",
    '"d # e"', "http://x", "a#b", "a #b", "-1", "+1", "- - x", "? a\n: b", "{a: 1}", "[1, 2]", "{a, b: }", "[a: 1]",
    "{: a}", "[,]", "'x\n  y'", '"x\n  y"', "a\n  b", "'x':1", "{'x':1}", "{x:1}",
)  # fmt: skip
PLAIN = (
    "1", "x", "true", "~", "", "0o7", "0x-1", "0o+7", "1e3", "-.5", "+.5", "1.", "'s'", '"\\u00e9"', '"\\x41\\tb"',
    "a, b", "a]b", "x:", "-x", "?x", ":x", "x -", "x ?", "$5", "50%", "'it''s'", "x #c", "x# c", "---x", "...x", "=",
    "<", "é", "a  b",
)  # fmt: skip
HEADERS = ("|", "|-", "|+", ">", ">-", ">+", "|2", "|1", ">1-", "|2+", " |", "| # c", "|\t")
BLOCK_LINES = ("x", "x ", "# y", "- z", "", "a: b", "  deeper", "\tq", "]")
QUOTED_LINES = ("x", "y z", "", "\\n", " # c", "''")
PLAIN_LINES = ("x", "y z", "# no", "a#b", "1", "- a", "k: v", "? z", "-")
DEEPEST = 3


@dataclass
class Tally:
    """The results of many texts."""

    texts: int = 0
    accepted: int = 0
    problems: list[str] = field(default_factory=list)


def run(seed: int, texts: int) -> Tally:
    """Read many texts and compare them."""
    tally = Tally()
    for number in range(texts):
        rng = random.Random(f"{seed}:{number}")
        text = _heap(rng) if number % 3 == 0 else _mapping(rng)
        tally.texts += 1
        tally.problems += [f"text {number}: {problem}: {text!r}" for problem in _judge(text, tally)]
    return tally


def _judge(text: str, tally: Tally) -> list[str]:
    try:
        document = read_document(text.encode(), file="card.yaml")
    except CardError as error:
        return [f"no place: {fault}" for fault in error.faults if not _inside(text, fault)]
    except Exception as error:  # any other exception is a bug
        return [f"traceback: {type(error).__name__}: {error}"]
    tally.accepted += 1
    return list(filter(None, (disagreement(document),)))


def _inside(text: str, fault: object) -> bool:
    lines, line, column = text.split("\n"), getattr(fault, "line", 0), getattr(fault, "column", 0)
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


# ---------------------------------------------------------------- texts


def _heap(rng: random.Random) -> str:
    """Any pieces one after the other."""
    text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 14)))
    return ("a: " if rng.random() < 0.8 else "") + text + ("\n" if rng.random() < 0.7 else "")


def _mapping(rng: random.Random) -> str:
    """A block mapping of a few values, sometimes with a piece too many."""
    indent = rng.choice((0, 0, 0, 2))
    lines = []
    for number in range(rng.randrange(1, 4)):
        key = rng.choice(("a", "b", "'c'", '"d"', "e f")) if rng.random() < 0.3 else f"k{number}"
        gap = rng.choice((" ", "  ", "\n" + " " * (indent + 2), " \n" + " " * (indent + 1)))
        lines.append(" " * indent + f"{key}:{gap}{_value(rng, indent + 2, 0)}")
    text = "\n".join(lines) + ("\n" if rng.random() < 0.8 else "")
    if rng.random() < 0.3:
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(PIECES) + text[place:]
    return text


def _value(rng: random.Random, indent: int, depth: int) -> str:
    kinds = (_block_text, _quoted, _over_lines, _flow_list, _flow_mapping, _list, _inner_mapping)
    made = rng.randrange(len(kinds) + 4)
    if made < 3 or (made < len(kinds) and depth < DEEPEST):
        return kinds[made](rng, indent, depth)
    return rng.choice(PLAIN)


def _block_text(rng: random.Random, indent: int, _: int) -> str:
    spaces = " " * indent
    lines = [rng.choice(("", spaces, spaces + " ", spaces)) + rng.choice(BLOCK_LINES) for _ in range(rng.randrange(5))]
    return "\n".join([rng.choice(HEADERS), *lines])


def _quoted(rng: random.Random, indent: int, _: int) -> str:
    quote, spaces = rng.choice("'\""), " " * indent
    lines = [rng.choice((spaces, "", spaces + " ")) + rng.choice(QUOTED_LINES) for _ in range(rng.randrange(1, 4))]
    return quote + "\n".join(lines) + quote


def _over_lines(rng: random.Random, indent: int, _: int) -> str:
    return ("\n" + " " * indent).join(rng.choice(PLAIN_LINES) for _ in range(rng.randrange(1, 4)))


def _flow_list(rng: random.Random, indent: int, depth: int) -> str:
    spaces = "\n" + " " * indent
    items = [_value(rng, indent + 1, depth + 1) for _ in range(rng.randrange(4))]
    end = rng.choice(("]", " ]", ",]", f"{spaces}]", f"{spaces[:-2]}]"))
    return "[" + rng.choice((",", ", ", f",{spaces}", f",{spaces[:-1]}", " , ")).join(items) + end


def _flow_mapping(rng: random.Random, indent: int, depth: int) -> str:
    spaces = "\n" + " " * indent
    entries = []
    for number in range(rng.randrange(4)):
        key = rng.choice(
            (f"p{number}", f"'q{number}'", f'"r{number}"', f"s {number}", f"?u{number}", f"-v{number}", "")
        )
        colon = rng.choice((": ", ":", " : ", "", " :"))
        entries.append(f"{key}{colon}{_value(rng, indent + 1, depth + 1)}")
    return "{" + rng.choice((",", ", ", f",{spaces}")).join(entries) + rng.choice(("}", " }", f"{spaces}}}"))


def _list(rng: random.Random, indent: int, depth: int) -> str:
    spaces = " " * rng.choice((indent, indent - 2))
    items = (_value(rng, len(spaces) + 2, depth + 1) for _ in range(rng.randrange(1, 3)))
    return "\n" + "\n".join(f"{spaces}- {item}" for item in items)


def _inner_mapping(rng: random.Random, indent: int, depth: int) -> str:
    spaces = "\n" + " " * indent
    return "".join(f"{spaces}{key}: {_value(rng, indent + 2, depth + 1)}" for key in "kl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the results; 1 if a rule is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texts", type=int, default=200_000)
    options = parser.parse_args(arguments)
    tally = run(options.seed, options.texts)
    print(f"{tally.texts} texts: {tally.accepted} accepted and compared, {len(tally.problems)} problems")
    print("\n".join(tally.problems[:20]))
    return int(bool(tally.problems))


if __name__ == "__main__":
    raise SystemExit(main())
