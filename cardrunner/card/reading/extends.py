"""Cards that extend another one: ``extends: base.yaml`` and, below it, only the keys that differ.

The effective card is the base with this card's values over it: mappings are merged key by key; everything else, lists
and null included, is replaced whole. What belongs to one card alone (`OWN`) is never inherited.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path

from cardrunner.card.reading.document import Document, Entry, Fault, Mapping, Node, Scalar, Sequence as ListNode, quoted
from cardrunner.card.reading.reader import MAX_BYTES, read_bytes, read_document
from cardrunner.errors import CardError
from cardrunner.workspace import Workspace

KEY = "extends"
OWN = ("name", "author", "checklist", "sign_off")
"""Names, ticks and signatures belong to one card; inherited, they would vouch for a card that was never reviewed."""
MAX_DEPTH = 8

OpenBase = Callable[[Document, str], tuple[str, bytes]]
"""The extending document and the path it writes, to the base's name for messages and its bytes.

Raises ValueError with one sentence if there is no such card.
"""
_ELSEWHERE = re.compile(r"[/\\~]|[^/\\]*:|.*\\", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Chain:
    """A card's own file and the ones it extends, nearest first."""

    own: Document
    bases: tuple[Document, ...] = ()

    @property
    def effective(self) -> Document:
        """The merged card under the name of its own file; only marks lead back to a base, offsets do not."""
        if not self.bases:
            return self.own
        roots = [self.own.root, *(_inheritable(base) for base in self.bases)]
        root = reduce(lambda base, over: _merged(over, base), reversed(roots))
        return dataclasses.replace(self.own, root=root)

    def faults(self) -> Iterator[Fault]:
        """Faults for keys that a base sets and that each card has to set for itself."""
        mark = self.own.mark((KEY,))
        for key in OWN:
            owner = next((base for base in self.bases if base.root.entry(key) is not None), None)
            if owner is not None and _says(owner, key) and self.own.root.entry(key) is None:
                yield self.own.fault(mark, (key,), _not_inherited(key, owner.file))


def read_chain(own: Document, open_base: OpenBase) -> Chain:
    """Read the cards that a card extends.

    Raises:
        CardError: one cannot be reached or read, or has faults of its own syntax.
    """
    documents, total = [own], len(own.data)
    while (written := _written(documents[-1])) is not None:
        extending = documents[-1]
        if len(documents) > MAX_DEPTH:
            raise _refused(extending, f"more than {MAX_DEPTH} cards extend each other; copy what is needed into fewer")
        try:
            file, data = open_base(extending, written)
        except ValueError as error:
            raise _refused(extending, str(error)) from None
        total += len(data)
        if total > MAX_BYTES:
            raise _refused(extending, f"the card and those it extends are larger than {MAX_BYTES // 1024} KB together")
        documents.append(read_document(data, file=file))
    return Chain(own, tuple(documents[1:]))


def from_workspace(card: Path) -> OpenBase:
    """Opens the bases of a card file, which stay inside its workspace."""
    root = os.path.realpath(Workspace.around(card).root)
    seen = [os.path.realpath(card)]

    def open_base(extending: Document, written: str) -> tuple[str, bytes]:
        file = _beside(extending.file, written)
        lexical = Path(file).absolute().parent.resolve() / Path(file).name
        target = os.path.realpath(lexical)
        if not lexical.is_relative_to(root):
            raise ValueError("leaves the workspace; write the path of a card in it, relative to this one")
        if not Path(target).is_relative_to(root):
            raise ValueError(f"{quoted(written)} is a link that leads out of the workspace; put the card itself there")
        if target in seen:
            raise ValueError(f"{quoted(written)} already extends this card, or is it; a card cannot extend itself")
        seen.append(target)
        try:
            return file, read_bytes(Path(target))
        except CardError as error:
            raise ValueError(f"{quoted(written)}: {getattr(error.faults[0], 'message', error)}") from None

    return open_base


def from_bytes(sources: Sequence[bytes]) -> OpenBase:
    """Opens bases from bytes that were read before, in their order."""
    left = iter(sources)

    def open_base(extending: Document, written: str) -> tuple[str, bytes]:
        data = next(left, None)
        if data is None:
            raise ValueError(f"{quoted(written)} was not kept with this card; read the card from its workspace")
        return _beside(extending.file, written), data

    return open_base


def _beside(file: str, written: str) -> str:
    """A path relative to a card, as messages name it."""
    if not written.strip() or _ELSEWHERE.match(written):
        raise ValueError("must be a path relative to this card, inside the workspace, such as base.yaml")
    return os.path.normpath(os.path.join(os.path.dirname(file), written))  # noqa: PTH118, PTH120


def _written(document: Document) -> str | None:
    entry = document.root.entry(KEY)
    if entry is None or (isinstance(entry.value, Scalar) and entry.value.value is None):
        return None
    if isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
        return entry.value.value
    raise _refused(document, "must be text: the path of another card, relative to this one")


def _refused(document: Document, message: str) -> CardError:
    return CardError([document.fault(document.mark((KEY,)), (KEY,), message)])


def _says(document: Document, key: str) -> bool:
    entry = document.root.entry(key)
    if entry is None:
        return False
    empty = isinstance(entry.value, ListNode) and not entry.value.items
    return not (empty or (isinstance(entry.value, Scalar) and entry.value.value is None))


def _not_inherited(key: str, owner: str) -> str:
    none = {"author": ", or null", "checklist": ", or [] for none"}.get(key, "")
    return f"is not inherited from {owner} because it belongs to one card; write it here{none}"


def _inheritable(base: Document) -> Mapping:
    """The part of a base that other cards inherit, with the file named in every mark."""
    kept = (entry for entry in base.root.entries if entry.key.value not in (*OWN, KEY))
    root = base.root._replace(entries=tuple(kept))
    return _marked(root, base.file)  # type: ignore[return-value]  # a mapping stays one


def _marked(node: Node, file: str) -> Node:
    mark = node.mark._replace(file=file)
    if isinstance(node, Mapping):
        return node._replace(mark=mark, entries=tuple(_marked_entry(entry, file) for entry in node.entries))
    if isinstance(node, ListNode):
        return node._replace(mark=mark, items=tuple(_marked(item, file) for item in node.items))
    return node._replace(mark=mark)


def _marked_entry(entry: Entry, file: str) -> Entry:
    return Entry(entry.key._replace(mark=entry.key.mark._replace(file=file)), _marked(entry.value, file))


def _merged(over: Mapping, base: Mapping) -> Mapping:
    """The base's keys in their order with the values of `over`, then the keys that only `over` has."""
    own = {entry.key.value: entry for entry in over.entries}
    merged = [_entry(own.pop(entry.key.value, None), entry) for entry in base.entries]
    return over._replace(entries=(*merged, *own.values()))


def _entry(over: Entry | None, base: Entry) -> Entry:
    if over is None:
        return base
    if isinstance(over.value, Mapping) and isinstance(base.value, Mapping):
        return Entry(over.key, _merged(over.value, base.value))
    return over
