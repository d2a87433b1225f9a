"""Card files as checked cards: read, validate, do the sums, digest.

A file is read once; what was checked is what `LoadedCard` holds, and `LoadedCard.data` are the bytes that run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError, create_model

from cardrunner.card.arithmetic import check_card
from cardrunner.card.changes import changed_card, check_restarts
from cardrunner.card.digest import card_digest
from cardrunner.card.document import Document, Fault, format_path
from cardrunner.card.explain import explain
from cardrunner.card.reader import read_bytes, read_document
from cardrunner.card.schema.base import Section
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.model import ModelSection
from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Remark, WorkloadSpec
from cardrunner.errors import CardError, UsageError

SpecResolver = Callable[[str], WorkloadSpec]
"""The name of a workload to its torch-free half; raises UsageError for a name nobody declares."""


@dataclass(frozen=True)
class LoadedCard:
    """A card without faults, the bytes it was read from, and what was odd about it."""

    path: Path
    document: Document
    card: Card
    spec: WorkloadSpec
    digest: str
    warnings: tuple[Fault, ...]

    @property
    def data(self) -> bytes:
        """The exact bytes of the file."""
        return self.document.data

    def changed(self, changes: Mapping[str, Any]) -> Card:
        """The card as a restart changes it; see `cardrunner.card.changes.changed_card`."""
        return changed_card(self.document.value(), type(self.card), changes)


def load_card(path: Path, resolve: SpecResolver) -> LoadedCard:
    """Read a card file.

    Raises:
        CardError: it has faults; carries every one of them.
        UsageError: it cannot be read.
    """
    return load_card_bytes(read_bytes(path), file=str(path), resolve=resolve)


def load_card_bytes(data: bytes, *, file: str, resolve: SpecResolver) -> LoadedCard:
    """Read a card from bytes that are at hand already, such as the frozen ones of a run folder.

    Args:
        file: the name that faults carry.

    Raises:
        CardError: it has faults; carries every one of them.
    """
    found = _examine(data, file=file, resolve=resolve)
    if found.card is None or found.spec is None or any(fault.severity == "error" for fault in found.faults):
        raise CardError(found.faults)
    return LoadedCard(Path(file), found.document, found.card, found.spec, card_digest(found.card), found.faults)


def examine_card(path: Path, resolve: SpecResolver) -> tuple[Fault, ...]:
    """Every fault and warning of a card file, in the order of the file; raises for no content.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return _examine(read_bytes(path), file=str(path), resolve=resolve).faults
    except CardError as error:
        return tuple(fault for fault in error.faults if isinstance(fault, Fault))


@lru_cache(maxsize=32)
def _model_of(data: type, model: type, training: type) -> type[Card]:
    narrowed: dict[str, Any] = {"data": (data, ...), "model": (model, ...), "training": (training, ...)}
    return create_model("Card", __base__=Card, __doc__=Card.__doc__, **narrowed)


def card_model(spec: WorkloadSpec) -> type[Card]:
    """`Card` with the workload's own `data`, `model` and `training` sections."""
    return _model_of(spec.data_section, spec.model_section, spec.training_section)


@lru_cache(maxsize=1)
def _model_of_any() -> type[Card]:
    """`Card` for a workload nobody declares: its own fields are unknown, so they are let pass."""
    sections: tuple[type[Section], ...] = (DataSection, ModelSection, TrainingSection)
    return _model_of(
        *(create_model("Open", __base__=section, __cls_kwargs__={"extra": "ignore"}) for section in sections)
    )


@dataclass(frozen=True)
class _Examined:
    document: Document
    card: Card | None
    spec: WorkloadSpec | None
    faults: tuple[Fault, ...]


def _examine(data: bytes, *, file: str, resolve: SpecResolver) -> _Examined:
    document = read_document(data, file=file)
    value = document.value()
    spec, remarks = _spec_of(value, resolve)
    model = card_model(spec) if spec else _model_of_any()
    card, faults = None, list[Fault]()
    try:
        card = part = model.model_validate(value)
        faulty: frozenset[str] = frozenset()
        remarks += check_restarts(card, value)
    except ValidationError as error:
        faults += explain(error, document, model)
        part, faulty = _clean_part(value, model, error)
    if spec:
        remarks += check_card(part, spec, without=faulty)
    faults += _as_faults(remarks, document)
    return _Examined(document, card, spec, tuple(sorted(faults, key=lambda fault: (fault.line, fault.column))))


def _spec_of(value: Mapping[str, object], resolve: SpecResolver) -> tuple[WorkloadSpec | None, list[Remark]]:
    name = value.get("workload")
    if not isinstance(name, str):
        return None, []
    try:
        return resolve(name), []
    except UsageError as error:
        return None, [Remark(loc=("workload",), message=str(error))]


def _clean_part(value: Mapping[str, Any], model: type[Card], error: ValidationError) -> tuple[Card, frozenset[str]]:
    """The sections that have no fault, so that their sums can be checked too; the faulty ones are not there."""
    faulty = {str(detail["loc"][0]) for detail in error.errors(include_url=False, include_input=False) if detail["loc"]}
    faulty |= {name for name, field in model.model_fields.items() if field.is_required() and name not in value}
    clean = {
        name: _validator(model, name).validate_python(value[name])
        for name in value
        if name in model.model_fields and name not in faulty
    }
    part = model.model_construct(**clean)
    for name in faulty & vars(part).keys():
        del vars(part)[name]
    return part, frozenset(faulty)


@lru_cache(maxsize=256)
def _validator(model: type[Card], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    return TypeAdapter(field.rebuild_annotation())


def _as_faults(remarks: Iterable[Remark], document: Document) -> Iterator[Fault]:
    for remark in remarks:
        mark = document.mark(remark.loc)
        yield Fault(document.file, mark.line, mark.column, format_path(remark.loc), remark.message, remark.severity)
