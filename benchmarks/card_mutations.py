"""Ways to spoil a card, and edits that must pass, for `benchmarks.mutated_cards`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

SCALARS = (
    "NO", "yes", "on", "null", "~", "", "true", "TRUE", "010", "0o10", "0x1F", "1_0", "1:30", "1e-3", "1e400",
    "-0", "+1", ".5", "5.", ".inf", "-.INF", ".nan", "9007199254740993", "1e-400", "9" * 400, "2026-02-26",
    "2026-13-45", "12h", "-1h", "1e3h", "90 %", "101%", "$1", "'NO'", '"NO"', "''", '""', "'it''s'",
    '"\\u202e"', '"\\ud800"', '"\\x00"', '"\\UFFFFFFFF"', '"a\\nb"', "[]", "{}", "[1, 2]", "{a: 1}", "[[[]]]",
    "*a", "&a 1", "!!int 3", "!!str 3", "!x y", "|", ">", "|\n  text", ">-\n  text", "@x", "`x`", "%x", "- x",
    "a: b", "a #b", "#b", "<<", "=", "--- x", "...", "日本語", "é", "e\u0301", "🎮", "\u200bx", "x\u2028y",
    "мattie", "../x", "/etc/passwd", "~/x", "-x", "{{ x }}", "${HOME}", "x" * 600, "\ufeff",
)  # fmt: skip
CHARACTERS = (
    "\x00\x01\t\r\n\x1b\x7f\x85\xa0\u00ad\u200b\u200d\u200e\u202e\u2028\u2066"
    "\ufeff\ufffd\U000e0041:#-[]{}&*!|>'\"%@`?,\\ ~0é日"
)
LINES = (
    "---", "...", "%YAML 1.1", "%TAG ! !x", "<<: *a", "<<: {a: 1}", "? a", "? [a]\n: b", ": b", "- a", "  - a",
    "a: 1", "1: a", "null: a", "true: a", "[a]: b", "{a: 1}: b", '"a": 1', "'name': x", "name: x", "name : x",
    "card: 1", "extends: x.yaml", "\t# x", "# comment", "x: " + "[" * 40, "x: " + "[" * 20 + "]" * 20,
    "x: &a [*a]", "x: !!binary aGk=", "training.epochs: 9", "training: {epochs: 9}",
)  # fmt: skip
PIECES = (
    ": ", ",", "\n", "\n  ", "\n    ", "\n- ", "- ", "? ", "[", "]", "{", "}", "'", '"', "|", "|2", ">-", "|+", "#",
    " # c", " -", " \n", "\n\n", "\r\n", "\t", "\\", "...", "''", "\\n", "'x\n  y'", '"x\n y"', "{a: }", "[,]", "?a",
    ":a",
)  # fmt: skip
SCRIPTS = (
    "日本語の説明",
    "شرح بالعربية",
    "Ελληνικά",
    "עברית",
    "हिन्दी में",
    "Обучение",
    "한국어",
    "ไทย",
    "Ünïcödé",
    "🎮 ok",
)

Text = Callable[[str, random.Random], str]


# ---------------------------------------------------------------- mutations


def _character(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(CHARACTERS) + text[place + rng.choice((0, 0, 1)) :]


def _removed(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + text[place + rng.randrange(1, 12) :]


def _moved_piece(text: str, rng: random.Random) -> str:
    start, to = rng.randrange(len(text)), rng.randrange(len(text))
    return text[:to] + text[start : start + rng.randrange(1, 200)] + text[to:]


def _line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    change = rng.randrange(7)
    if change == 0:
        del lines[place]
    elif change == 1:
        lines.insert(rng.randrange(len(lines)), lines[place])
    elif change == 2:
        other = rng.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    elif change == 3:
        lines[place] = " " * rng.randrange(1, 4) + lines[place]
    elif change == 4:
        lines[place] = lines[place][rng.randrange(1, 4) :]
    elif change == 5:
        lines.insert(place, " " * rng.choice((0, 0, 2, 4)) + rng.choice(LINES))
    else:
        lines[place:] = []
    return "\n".join(lines)


def _value(text: str, rng: random.Random) -> str:
    """Another value behind a key or in a list."""
    places = list(re.finditer(r"(?<=: )[^\n,{}\[\]]+|(?<=- )[^\n,{}\[\]:]+$", text, re.MULTILINE))
    if not places:
        return text
    found = rng.choice(places)
    return text[: found.start()] + rng.choice(SCALARS) + text[found.end() :]


def _key(text: str, rng: random.Random) -> str:
    """Another key: a typo, one from elsewhere, or an empty one."""
    places = list(re.finditer(r"[A-Za-z_]+(?=:)", text))
    if not places:
        return text
    found, other = rng.choice(places), rng.choice(places)[0]
    typo = found[0][:-1] + rng.choice("abcxyz")
    new = rng.choice(
        (other, other, typo, found[0].upper(), f'"{found[0]}"', f"? {found[0]}", "", "<<", found[0] + "\u200d")
    )
    return text[: found.start()] + new + text[found.end() :]


def _breaks(text: str, rng: random.Random) -> str:
    return text.replace(
        "\n", rng.choice(("\r\n", "\r", "\n\n", "\x85", "\u2028", " \n", "\t\n", "\n\r")), rng.choice((1, 3, -1))
    )


def _piece(text: str, rng: random.Random) -> str:
    """A mark of YAML inserted anywhere."""
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(PIECES) + text[place:]


def _layout(text: str, rng: random.Random) -> str:
    """A line broken where YAML may allow it: in brackets, behind a key, between words."""
    places = [found.end() for found in re.finditer(r"[\[{,:] ?|\w (?=\w)", text)]
    if not places:
        return text
    place = rng.choice(places)
    deeper = rng.choice(("", " ", "  ", "    ", "      ", " " * rng.randrange(12)))
    return text[:place].rstrip(" ") + rng.choice(("", " ", " # c")) + "\n" + deeper + text[place:]


def _block_text(text: str, rng: random.Random) -> str:
    """A value as block text, with any header and indentation."""
    places = list(re.finditer(r"(?m)^( *)(?:- )?[a-z_]+: (?=[^\s|>])(.+)$", text))
    if not places:
        return text
    found = rng.choice(places)
    indent = found[1] + " " * rng.choice((2, 2, 2, 1, 4, 0))
    lines = [
        rng.choice(("", " ", "")) + line for line in rng.choice(("x y", "a\n\nb", "# a\nb", "a\n b", "")).split("\n")
    ]
    header = rng.choice("|>") + rng.choice(("", "", "-", "+", "2", "1-", "+3", " # c", "#", " "))
    block = f"{header}\n" + "\n".join(indent + line for line in lines)
    return text[: found.start(2)] + block + text[found.end(2) :]


def _bulk(text: str, rng: random.Random) -> str:
    """Much of one thing."""
    piece = rng.choice(
        ("a: 1\n", "- x\n", "[", "{a: ", "# x\n", '"', "\n", "x", "  ", "? ", "&a ", "key%d: [1, 2]\n", "- {risk: x}\n")
    )
    many = "".join(piece.replace("%d", str(number)) for number in range(rng.choice((10, 200, 3000))))
    return text + many if rng.random() < 0.7 else many + text


MUTATIONS: tuple[Text, ...] = (
    _character,
    _removed,
    _moved_piece,
    _line,
    _line,
    _value,
    _value,
    _value,
    _key,
    _key,
    _piece,
    _layout,
    _block_text,
    _breaks,
    _bulk,
)
WEIGHTS = (10, 10, 6, 10, 10, 12, 12, 12, 10, 10, 10, 12, 6, 3, 1)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Damage below the text: one card in twenty."""
    if rng.random() < 0.95 or not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]


# ---------------------------------------------------------------- controls


def _commented(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    plain = [number for number, line in enumerate(lines) if re.fullmatch(r"[a-z_]+:.*[^|>]", line)]
    lines.insert(rng.choice(plain), f"# {rng.choice(SCRIPTS)}: & * ! [ ' \" \t \\u202e")
    return "\n".join(lines)


def _reordered(text: str, rng: random.Random) -> str:
    """The sections in another order, each with its lines."""
    sections = re.split(r"(?m)^(?=[a-z_]+:)", text)
    head, body = sections[0], [section.rstrip("\n") + "\n" for section in sections[1:]]
    rng.shuffle(body)
    return head + "".join(body)


def _exponent(text: str, rng: random.Random) -> str:
    return re.sub(
        r"learning_rate: \S+",
        lambda found: f"learning_rate: {float(found[0].split()[1]):.{rng.choice((0, 3))}e}",
        text,
        count=1,
    )


def _crlf(text: str, _: random.Random) -> str:
    return text.replace("\n", "\r\n")


def _bom(text: str, _: random.Random) -> str:
    return "\ufeff" + text


def _spaced(text: str, rng: random.Random) -> str:
    """A blank line above every section, and spaces or a comment behind values that stand alone."""
    return re.sub(r"(?m)^(card: 1|workload: [a-z-]+)$", rf"\n\1{rng.choice(('   ', '  # why', ' #'))}", text)


def _quoted(text: str, rng: random.Random) -> str:
    quote = rng.choice("'\"")
    return re.sub(r"(?m)^name: (\S+)$", rf"name: {quote}\1{quote}", text)


def _no(text: str, rng: random.Random) -> str:
    """Words that other YAML versions read as true, false or a number are text."""
    return text + f"\nreadings:\n  - {{if: {rng.choice(('NO', 'yes', 'On', 'y', '1:30', '0b1'))}, then: text}}\n"


def _free_text(text: str, rng: random.Random) -> str:
    written = rng.choice(SCRIPTS)
    marked = f"'| a | - [x] *b* ](http://x) {written}'"
    return text + "\nincidents:\n" + "".join(f"  - {{date: 2026-01-15, what: {what}}}\n" for what in (written, marked))


SAME = {
    "comment": _commented,
    "order": _reordered,
    "1e-3": _exponent,
    "CRLF": _crlf,
    "BOM": _bom,
    "spaces": _spaced,
    "quotes": _quoted,
}
"""Controls that leave the signed content unchanged."""
OTHER = {"NO": _no, "any script": _free_text}
"""Controls that change the content."""
