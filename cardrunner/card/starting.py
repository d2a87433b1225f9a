"""The text of a new card: from a workload's starter, or from another card without its signatures and ticks."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cardrunner.card.load import LoadedCard
from cardrunner.card.reading.document import Document, Mapping, Scalar, Sequence as ListNode, locate
from cardrunner.card.reading.edit import Edit, Removal, edit_document
from cardrunner.card.reading.reader import read_document

STARTER_NAME = "my-run"
"""The name of the run in every starter."""
SCHEMA_FILE = "card.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
"""Points editors to the schema of the card."""
_MARKS = ("by", "at", "evidence")


def from_starter(text: str, name: str, *, today: datetime.date) -> bytes:
    """A workload's starter under another name."""
    document = read_document(text.replace(STARTER_NAME, name).encode(), file=name)
    return edit_document(document, [Edit(("created",), today.isoformat())])


def from_card(loaded: LoadedCard, name: str, *, today: datetime.date, target: Path) -> bytes:
    """Another card under a new name, unsigned, unticked, built on the run it is copied from.

    Args:
        target: where the copy will be; the path of what it extends is relative to that.

    Raises:
        UsageError: its layout does not allow editing in place.
    """
    document = loaded.document
    edits = [
        Edit(("name",), name),
        *_dated(document, today),
        *_unsigned(document),
        *_unticked(document),
        *_own_paths(loaded, name),
        *_from_there(loaded, target),
        *_lineage(loaded),
    ]
    names = {loaded.path.stem: target.stem, loaded.card.name: name}
    data = _renamed(read_document(edit_document(document, edits), file=target.name), names)
    return _headed(data, new=target.name)


def _dated(document: Document, today: datetime.date) -> Iterator[Edit]:
    yield Edit(("created",), today.isoformat())
    if document.find(("author",)) is not None:
        yield Edit(("author",), None)


def _unsigned(document: Document) -> Iterator[Edit]:
    for index, reviewer in _mappings(document, "sign_off", "reviewers"):
        if reviewer.entry("signed") is not None:
            yield Edit(("sign_off", "reviewers", index, "signed"), None)


def _unticked(document: Document) -> Iterator[Edit | Removal]:
    for index, item in _mappings(document, "checklist"):
        if item.entry("done") is not None:
            yield Edit(("checklist", index, "done"), False)
        yield from (Removal(("checklist", index, mark)) for mark in _MARKS if item.entry(mark) is not None)


def _mappings(document: Document, *loc: str) -> Iterator[tuple[int, Mapping]]:
    found = document.find(loc)
    for index, item in enumerate(found.items if isinstance(found, ListNode) else ()):
        if isinstance(item, Mapping):
            yield index, item


def _own_paths(loaded: LoadedCard, name: str) -> Iterator[Edit]:
    """Rename the output files after the new run, so that they do not overwrite those of the old one."""
    after, old = loaded.card.after_training, loaded.card.name
    paths = {
        ("download", "to"): after.download and after.download.to,
        ("demo", "output"): after.demo and after.demo.output,
    }
    for (section, key), path in paths.items():
        if path and old in path and loaded.document.find(("after_training", section, key)) is not None:
            yield Edit(("after_training", section, key), path.replace(old, name))


def _from_there(loaded: LoadedCard, target: Path) -> Iterator[Edit]:
    if loaded.card.extends is not None:
        base = Path(os.path.abspath(loaded.path)).parent / loaded.card.extends  # noqa: PTH100 - symbolic links stay unresolved
        yield Edit(("extends",), Path(os.path.relpath(base, target.absolute().parent)).as_posix())


def _lineage(loaded: LoadedCard) -> Iterator[Edit]:
    built_on = [loaded.card.name]
    if isinstance(loaded.document.find(("lineage",)), Mapping):
        yield Edit(("lineage", "built_on"), built_on)
    elif loaded.card.lineage is not None:  # inherited, so left unchanged
        yield Edit(("lineage",), {"built_on": built_on})
    else:
        yield Edit(("lineage",), {"type": "hyperparameter", "built_on": built_on})


def _renamed(document: Document, names: dict[str, str]) -> bytes:
    """The comments with other names, where they name the file of the card or the folder of the run."""
    old = "|".join(map(re.escape, names))
    parts, end = [], 0
    for found in re.finditer(rf"(?<=/)(?:{old})(?=\.yaml\b)|(?<=runs/)(?:{old})(?![\w.-])", document.text):
        node = document.find(locate(document.root, found.start()))
        if not (isinstance(node, Scalar) and node.start <= found.start() < node.end):
            parts += [document.text[end : found.start()], names[found[0]]]
            end = found.end()
    return "".join((*parts, document.text[end:])).encode()


def _headed(data: bytes, *, new: str) -> bytes:
    """With the line for editors above the first key."""
    document = read_document(data, file=new)
    head, rest = document.text[: document.root.start], document.text[document.root.start :]
    newline = "\r\n" if "\r\n" in document.text else "\n"
    if "yaml-language-server:" not in head:
        head = f"{MODELINE}{newline}{head}"
    return (head + rest).encode()
