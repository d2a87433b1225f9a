"""What an honest office does, and other layouts of the same content: all of it must pass."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from benchmarks.forgeries.office import ADA, LEE, NOW, Case, Office, edited, load, place_of
from cardrunner.card.reading.document import Mapping as MappingNode, Scalar, Sequence as ListNode
from cardrunner.card.reading.edit import Edit
from cardrunner.card.reading.one_line import PlainValue
from cardrunner.common.clock import timestamp


def reformatted(text: str, chance: random.Random) -> str:
    """The same content in another layout, by a few random edits that touch formatting alone."""
    edits = [_commented, _spaced, _shuffled, _quoted, _windows, _marked]
    for edit in sorted(chance.sample(edits, chance.randrange(1, 4)), key=edits.index):
        text = edit(text, chance)
    return text


def controls(office: Office, text: str) -> Iterator[Case]:
    """What an honest office does, beside what forgers do."""
    yield Case("signed by both", office.signed(text))
    yield Case("signed again by one", office.with_statement(office.signed(text), "scav", key="scav", note="again"))
    if office.policy == "ssh":
        yield Case("signed by both, under the floor", office.signed(text), "floor")
    lifted = office.with_statement(office.signed(text), "scav", key="scav", verdict="block")
    yield Case("a block lifted by its author", office.with_statement(lifted, "scav", key="scav"))
    asked = load(office.with_statement(office.signed(text), "scav", key="scav", conditions=("rerun",)))
    met: PlainValue = [{"condition": "rerun", "by": ADA, "at": timestamp(NOW)}]
    yield Case("a condition met", edited(asked, Edit((*place_of("scav", asked), "met"), met)))
    ticked = load(office.signed(text))
    marks = Edit(("checklist", 0, "evidence"), "日本語, עברית, naïve: all of it"), Edit(("checklist", 0, "by"), LEE)
    yield Case("evidence in any script", edited(ticked, *marks))
    for old, new in (("1e-3", "0.001"), ("1e-5", "0.00001"), ("30 min", "1800 s"), ("12h", "720 min"), ("90%", "0.9")):
        if re.search(rf": {old}(?=[,}}\n ])", ticked.document.text):
            yield Case(f"{old} as {new}", re.sub(rf": {old}(?=[,}}\n ])", f": {new}", ticked.document.text))
    free = load(edited(load(text), Edit(("goal",), "NO"), Edit(("notes",), [{"title": "Ελληνικά", "text": "no: yes"}])))
    yield Case("free text in any script", office.signed(free.document.text))


def _commented(text: str, chance: random.Random) -> str:
    free = _free_lines(text)
    lines = text.split("\n")
    for number in chance.sample(sorted(free), min(12, len(free))):
        lines[number] = f"{lines[number]}  # {chance.choice(('checked', '{odd} [text]', 'TODO: nothing', '日本'))}"
    return "\n".join(lines)


def _spaced(text: str, chance: random.Random) -> str:
    sections = re.split(r"(?m)^(?=[a-z_]+:)", text)
    return "".join(("\n\n# next\n\n" if chance.random() < 0.4 else "") + section for section in sections)


def _shuffled(text: str, chance: random.Random) -> str:
    head, *sections = re.split(r"(?m)^(?=[a-z_]+:)", text if text.endswith("\n") else f"{text}\n")
    chance.shuffle(sections)
    return head + "".join(sections)


def _quoted(text: str, chance: random.Random) -> str:
    nodes = [node for node in scalars(load(text).document.root) if node.style == "plain" and type(node.value) is str]
    for node in sorted(chance.sample(nodes, min(15, len(nodes))), key=lambda node: -node.start):
        if "\n" not in text[node.start : node.end]:
            quote = chance.choice("'\"")
            inner = str(node.value).replace("'", "''") if quote == "'" else str(node.value).replace('"', '\\"')
            text = f"{text[: node.start]}{quote}{inner}{quote}{text[node.end :]}"
    return text


def _windows(text: str, chance: random.Random) -> str:  # noqa: ARG001
    return text.replace("\n", "\r\n")


def _marked(text: str, chance: random.Random) -> str:  # noqa: ARG001
    return f"\ufeff{text}"


def _free_lines(text: str) -> set[int]:
    """Lines at whose end a comment may stand: not inside quoted or block text, and with something on them."""
    nodes = list(scalars(load(text).document.root))
    spans = [
        (text.count("\n", 0, node.start), text.count("\n", 0, node.end))
        for node in nodes
        if node.style in ("literal", "folded") or "\n" in text[node.start : node.end]
    ]
    lines = {number for number, line in enumerate(text.split("\n")) if line.strip() and "#" not in line}
    return {number for number in lines if not any(first <= number <= last for first, last in spans)}


def scalars(node: object) -> Iterator[Scalar]:
    if isinstance(node, MappingNode):
        for entry in node.entries:
            yield from scalars(entry.value)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from scalars(item)
    elif isinstance(node, Scalar):
        yield node
