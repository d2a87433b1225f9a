"""Card files to checked cards: read, validate, check the numbers, compute the digest.

A file is read once: `LoadedCard` holds what was checked, and `LoadedCard.data` are the bytes that run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError, create_model

from cardrunner.card.changes import changed_card, check_restarts, section_validator
from cardrunner.card.checks.table import check_card, check_restarted
from cardrunner.card.contracts import OwnsDemo, WorkloadSpec, spec_for
from cardrunner.card.reading.document import Document, Fault
from cardrunner.card.reading.reader import MAX_FAULTS, read_bytes, read_document
from cardrunner.card.schema.base import Section
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.plan import AfterTraining, DemoSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.common.redaction import secrets_in
from cardrunner.errors import CardError, PluginFailed, UsageError
from cardrunner.kill_rules.table import is_absent
from cardrunner.specs import Remark
from cardrunner.workspace import Workspace

SpecResolver = Callable[[str], WorkloadSpec]
"""From the name of a workload to its torch-free half; raises UsageError for an unknown name, PluginFailed for a broken
plug-in."""


@dataclass(frozen=True)
class LoadedCard:
    """A card without faults, the bytes it was read from, and its warnings.

    Args:
        document: the card's own file, to which signatures and ticks are written.
        card: the effective card.
        digest: of the effective card.
        bases: the cards that it extends, nearest first.
    """

    path: Path
    document: Document
    card: Card
    spec: WorkloadSpec
    digest: str
    warnings: tuple[Fault, ...]
    bases: tuple[Document, ...] = ()

    @property
    def data(self) -> bytes:
        """The exact bytes of the card's own file."""
        return self.document.data

    @property
    def sources(self) -> tuple[bytes, ...]:
        """The exact bytes of the cards that it extends, as `load_card_bytes` takes them."""
        return tuple(base.data for base in self.bases)

    @property
    def files(self) -> tuple[tuple[str, bytes], ...]:
        """Every file that it was read from, by name, its own first."""
        return (str(self.path), self.data), *((base.file, base.data) for base in self.bases)

    def value(self) -> dict[str, object]:
        """The effective card as read."""
        if not self.bases:
            return self.document.value()
        from cardrunner.card.reading.extends import Chain

        return Chain(self.document, self.bases).effective.value()

    def changed(self, *changes: Mapping[str, Any]) -> Card:
        """The card with the changes of restarts; see `cardrunner.card.changes.changed_card`."""
        return changed_card(self.value(), type(self.card), *changes)


def load_card(path: Path, resolve: SpecResolver) -> LoadedCard:
    """Read a card file and the ones it extends.

    Raises:
        CardError: it has faults or cannot be read; the error carries every fault.
    """
    return _loaded(_examine(read_bytes(path), str(path), path, resolve))


def load_card_bytes(
    data: bytes, *, file: str, resolve: SpecResolver, sources: Sequence[bytes] = (), admitted: bool = False
) -> LoadedCard:
    """Read a card from bytes, such as those frozen in a run folder.

    Args:
        file: the file name in faults.
        sources: the cards that it extends, nearest first; see `LoadedCard.sources`.
        admitted: whether it was launched before. An error of a check is then a warning, because the check is newer than
            the launch. Syntax errors and violations of the schema stay faults.

    Raises:
        CardError: it has faults; the error carries every one of them.
    """
    return _loaded(_examine(data, file, sources, resolve, admitted=admitted))


def absent_rules(data: bytes, sources: Sequence[bytes] = ()) -> tuple[str, ...]:
    """The keys of a card's kill rules that neither cardrunner nor an installed package provides.

    Args:
        data: the card.
        sources: the cards that it extends, nearest first.

    Raises:
        CardError: it cannot be read.
    """
    document, _, _ = _effective(read_document(data, file=""), sources)
    rules = document.value().get("kill_thresholds")
    written = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, tuple) else []
    return tuple(dict.fromkeys(key for rule in written for key in rule if is_absent(key)))


def examine_card(path: Path, resolve: SpecResolver) -> tuple[Fault, ...]:
    """Every fault and warning of a card file, in the order of the file; never raises for the content."""
    try:
        found = _examine(read_bytes(path), str(path), path, resolve)
        files = [(document.file, document.data) for document in (found.own, *found.bases)]
        secrets = (Fault(file, line, 1, "", why) for file, line, why in secrets_in(files))
        return tuple(sorted((*found.faults, *secrets), key=partial(_place, [file for file, _ in files])))
    except CardError as error:
        return tuple(fault for fault in error.faults if isinstance(fault, Fault))


@lru_cache(maxsize=32)
def _model_of(data: type, model: type, training: type, demo: type[DemoSection]) -> type[Card]:
    sections = {"data": data, "model": model, "training": training}
    narrowed: dict[str, Any] = {name: (section, _default(section)) for name, section in sections.items()}
    if demo is not DemoSection:
        own: dict[str, Any] = {"demo": (demo | None, None)}
        after = create_model("AfterTraining", __base__=AfterTraining, __doc__=AfterTraining.__doc__, **own)
        narrowed["after_training"] = (after, Field(default_factory=after.model_construct))
    return create_model("Card", __base__=Card, __doc__=Card.__doc__, **narrowed)


def _default(section: type[Section]) -> Any:
    """What stands for a section that a card leaves out: one without a field that has to be stated can be."""
    needed = any(field.is_required() for field in section.model_fields.values())
    return ... if needed else Field(default_factory=section)


def card_model(spec: WorkloadSpec) -> type[Card]:
    """`Card` with the workload's own `data`, `model`, `training` and `after_training.demo` sections."""
    demo = spec.demo_section if isinstance(spec, OwnsDemo) else DemoSection
    return _model_of(spec.data_section, spec.model_section, spec.training_section, demo)


@lru_cache(maxsize=1)
def _model_of_any() -> type[Card]:
    """`Card` for an unknown workload, whose own fields are accepted unchecked."""
    sections: tuple[type[Section], ...] = (DataSection, ModelSection, TrainingSection, DemoSection)
    return _model_of(
        *(create_model("Open", __base__=section, __cls_kwargs__={"extra": "ignore"}) for section in sections)
    )


class _Examined(NamedTuple):
    own: Document
    bases: tuple[Document, ...]
    card: Card | None
    spec: WorkloadSpec | None
    faults: tuple[Fault, ...]
    usable: bool


def _loaded(found: _Examined) -> LoadedCard:
    if found.card is None or found.spec is None or not found.usable:
        raise CardError(found.faults)
    from cardrunner.card.digest import card_digest  # validate alone needs none

    path, digest = Path(found.own.file), card_digest(found.card)
    return LoadedCard(path, found.own, found.card, found.spec, digest, found.faults, found.bases)


def _effective(own: Document, sources: Path | Sequence[bytes]) -> tuple[Document, tuple[Document, ...], list[Fault]]:
    """The effective card, the cards that it extends, and the faults of extending.

    Args:
        sources: the card's path, to read the cards it extends from its workspace, or their bytes.
    """
    if own.root.entry("extends") is None:
        return own, (), []
    from cardrunner.card.reading.extends import from_bytes, from_workspace, read_chain  # most cards extend no other

    chain = read_chain(own, from_workspace(sources) if isinstance(sources, Path) else from_bytes(sources))
    return chain.effective, chain.bases, list(chain.faults())


def _examine(
    data: bytes, file: str, sources: Path | Sequence[bytes], resolve: SpecResolver, *, admitted: bool = False
) -> _Examined:
    own = read_document(data, file=file)
    document, bases, faults = _effective(own, sources)
    value = document.value()
    spec, unknown = _spec_of(value, resolve)
    faults += _as_faults(unknown, document)
    remarks: list[Remark] = []
    model = card_model(spec) if spec else _model_of_any()
    card, told = None, {fault.path for fault in faults}
    try:
        card = part = model.model_validate(value)
        faulty: frozenset[str] = frozenset()
        remarks += check_restarts(card, value)
    except ValidationError as error:
        from cardrunner.card.explain import explain  # most cards have no faults

        faults += (fault for fault in explain(error, document, model) if fault.path not in told)
        part, faulty = _clean_part(value, model, error)
    if spec:
        spec = spec_for(spec, part)
        here = Workspace.around(sources).root if isinstance(sources, Path) else None
        remarks += check_card(part, spec, without=faulty, here=here)
        if card is not None and not any(remark.severity == "error" for remark in remarks):
            remarks += check_restarted(card, value, spec)
    usable = not any(fault.severity == "error" for fault in faults)
    usable = usable and (admitted or not any(remark.severity == "error" for remark in remarks))
    faults += _as_faults(remarks, document)
    files = [own.file, *(base.file for base in bases)]
    return _Examined(own, bases, card, spec, _first(sorted(faults, key=partial(_place, files))), usable)


def _first(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """At most `MAX_FAULTS` of them; if there are more, errors come first."""
    if len(faults) <= MAX_FAULTS:
        return tuple(faults)
    kept = sorted(faults, key=lambda fault: fault.severity != "error")[:MAX_FAULTS]
    more = f"there are more than {MAX_FAULTS} faults; correct the ones above first"
    return (*kept, kept[-1]._replace(path="", message=more))


def _place(files: Sequence[str], fault: Fault) -> tuple[int, int, int]:
    return files.index(fault.file), fault.line, fault.column


def _spec_of(value: Mapping[str, object], resolve: SpecResolver) -> tuple[WorkloadSpec | None, list[Remark]]:
    name = value.get("workload")
    if not isinstance(name, str):
        return None, []
    try:
        return resolve(name), []
    except (UsageError, PluginFailed) as error:
        return None, [Remark(loc=("workload",), message=str(error))]


def _clean_part(value: Mapping[str, Any], model: type[Card], error: ValidationError) -> tuple[Card, frozenset[str]]:
    """The card without its faulty sections, so that the numbers of the others can be checked too."""
    faulty = {str(detail["loc"][0]) for detail in error.errors(include_url=False, include_input=False) if detail["loc"]}
    faulty |= {name for name, field in model.model_fields.items() if field.is_required() and name not in value}
    clean = {
        name: section_validator(model, name).validate_python(value[name])
        for name in value
        if name in model.model_fields and name not in faulty
    }
    part = model.model_construct(**clean)
    for name in faulty & vars(part).keys():
        del vars(part)[name]
    return part, frozenset(faulty)


def _as_faults(remarks: Iterable[Remark], document: Document) -> Iterator[Fault]:
    for remark in remarks:
        yield document.fault(document.mark(remark.loc), remark.loc, remark.message, severity=remark.severity)
