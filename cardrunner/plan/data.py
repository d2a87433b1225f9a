"""Expected against actual, as far as it is known before the data is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cardrunner.card.checks.metrics import target_text
from cardrunner.card.load import LoadedCard
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.data import SYNTHETIC, DataFile, DataFiles, DataSection
from cardrunner.card.values import leaves, worded
from cardrunner.common.text import plural
from cardrunner.common.units import format_bytes, rounding_of
from cardrunner.contracts import Derived, ForeseesCommand, ForeseesData, ForeseesMatch, MetricNames
from cardrunner.errors import EnvironmentFailed
from cardrunner.kill_rules import QUANTITIES
from cardrunner.plan.records import MetricUse, PlannedData, PlannedFact, PlannedMetric, PlannedRule
from cardrunner.runs.records import DataMatchRecord
from cardrunner.workspace import Workspace

_NAMED_FILES = 8
_CONTENT = ("sha256", "train_examples", "val_examples")


def planned_data(card: Card, workspace: Workspace) -> Iterator[PlannedData]:
    """The data files that a run on this machine would open; files on a volume are not checked."""
    if card.data.is_synthetic or platform_of(card.infra).storage(card.infra) is not None:
        return
    yield from (_planned(entry, _stated_size(card, entry), workspace) for entry in card.data.source)


def data_mode(loaded: LoadedCard) -> str | None:
    """How the data will be read; None if the workload can tell only once it is open."""
    return loaded.spec.data_mode(loaded.card) if isinstance(loaded.spec, ForeseesData) else None


def command_lines(loaded: LoadedCard, run: Path, workspace: Workspace) -> tuple[str, ...]:
    """What will run in a run folder, where the run is a command line."""
    spec = loaded.spec
    return tuple(spec.command_lines(loaded.card, run, workspace.root)) if isinstance(spec, ForeseesCommand) else ()


def data_match(loaded: LoadedCard, workspace: Workspace) -> DataMatchRecord | None:
    """Whether the models of the demo learned from the same data; None if only playing it can tell."""
    spec = loaded.spec
    found = spec.data_match(loaded.card, workspace.root) if isinstance(spec, ForeseesMatch) else None
    return DataMatchRecord(**found._asdict()) if found else None


def expected_facts(loaded: LoadedCard, data: Sequence[PlannedData]) -> Iterator[PlannedFact]:
    """The facts that are known to agree or disagree, and those that the load stage will compare with the files."""
    yield from _seen_here(loaded.card, data)
    yield from (_derived(number) for number in loaded.spec.derive(loaded.card))
    yield from _left_to_load(loaded.card, data)


def _planned(entry: DataFile, expected: int | None, workspace: Workspace) -> PlannedData:
    try:
        if entry.is_pattern:
            return _planned_pattern(entry, expected, workspace.find_pattern(entry.path))
        found = workspace.find_data(entry.path)
        size = found.stat().st_size
    except (EnvironmentFailed, OSError) as error:
        return PlannedData(path=entry.path, found=None, bytes=None, expected_bytes=expected, problem=str(error))
    problem = _size_problem(expected, size)
    return PlannedData(path=entry.path, found=str(found), bytes=size, expected_bytes=expected, problem=problem)


def _planned_pattern(entry: DataFile, expected: int | None, found: Mapping[str, Path]) -> PlannedData:
    """The files of a pattern; their content is left to the load stage."""
    size = sum(path.stat().st_size for path in found.values())
    more = [f"{len(found) - _NAMED_FILES} more"] if len(found) > _NAMED_FILES else []
    count, stated = plural(len(found), "file"), entry.counted
    wrong = None if stated in (None, len(found)) else f"has {count}, the card says {stated}"
    listed_files = f"{count}: {', '.join([*sorted(found)[:_NAMED_FILES], *more])}"
    wrong = wrong or _size_problem(expected, size)
    return PlannedData(path=entry.path, found=listed_files, bytes=size, expected_bytes=expected, problem=wrong)


def _seen_here(card: Card, data: Sequence[PlannedData]) -> Iterator[PlannedFact]:
    for number, entry in enumerate(data):
        path = f"data.source[{number}]"
        found = entry.found or "not found"
        yield PlannedFact(name=path, expected=entry.path, actual=found, ok=entry.found is not None, seen_by="here")
        if entry.bytes is not None and entry.expected_bytes is not None:
            yield _size_fact(f"size of {entry.path}", entry.expected_bytes, entry.bytes)
    sizes = [entry.bytes for entry in data if entry.bytes is not None]
    if card.data.size is not None and len(data) > 1 and len(sizes) == len(data):
        yield _size_fact("data.size", card.data.size, sum(sizes))


def _derived(number: Derived) -> PlannedFact:
    return PlannedFact(
        name=".".join(map(str, number.loc)),
        expected=_amount(number.stated, number.unit),
        actual=f"{_amount(number.derived, number.unit)} = {number.formula}",
        ok=abs(number.stated - number.derived) <= number.tolerance,
        seen_by="the card's arithmetic",
    )


def _left_to_load(card: Card, data: Sequence[PlannedData]) -> Iterator[PlannedFact]:
    """Everything that the card states about the content of the data, and the sizes of files that are not here."""
    if not data and not card.data.is_synthetic and card.data.size is not None:
        yield _later("data.size", format_bytes(card.data.size))
    for number, entry in enumerate(card.data.source):
        if entry.size is not None and not data:
            yield _later(f"data.source[{number}].size", format_bytes(entry.size))
        if entry.sha256 is not None:
            yield _later(f"data.source[{number}].sha256", entry.sha256)
    for name in _content_fields(card.data):
        for leaf in leaves(getattr(card.data, name), f"data.{name}"):
            if leaf.stated and leaf.value is not None:
                yield _later(leaf.path, worded(leaf.value))


def _content_fields(section: DataFiles) -> list[str]:
    """The fields describing the content of the files that the card states."""
    known = DataSection.model_fields.keys() | {SYNTHETIC}
    own = [name for name in type(section).model_fields if name not in known]
    return [name for name in (*_CONTENT, *own) if name in section.model_fields_set]


def _later(name: str, expected: str) -> PlannedFact:
    return PlannedFact(name=name, expected=expected, actual=None, ok=None, seen_by="the load stage")


def _stated_size(card: Card, entry: DataFile) -> int | None:
    return entry.size or (card.data.size if len(card.data.source) == 1 else None)


def _size_problem(expected: int | None, size: int) -> str | None:
    if expected is None or _agrees(expected, size):
        return None
    return f"has {format_bytes(size)} ({size} bytes), the card says {format_bytes(expected)}"


def _size_fact(name: str, expected: int, actual: int) -> PlannedFact:
    text = f"{format_bytes(actual)} ({actual} bytes)"
    return PlannedFact(
        name=name, expected=format_bytes(expected), actual=text, ok=_agrees(expected, actual), seen_by="here"
    )


def _agrees(expected: int, actual: int) -> bool:
    return abs(actual - expected) <= rounding_of(float(expected))


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return format_bytes(int(value))
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}"


def planned_metrics(loaded: LoadedCard) -> Iterator[PlannedMetric]:
    """Every metric that the card needs, by its canonical name, in the order of first use."""
    names = MetricNames(loaded.spec.metrics)
    uses: dict[str, list[MetricUse]] = {}
    for use in _uses(loaded.card):
        uses.setdefault(names.canonical(use.written), []).append(use)
    own = {metric.name: metric for metric in loaded.card.metrics}
    for name, places in uses.items():
        computed = names.spec(name) or names.training(name)
        spec = computed or own.get(name)
        yield PlannedMetric(
            name=name,
            computed=computed is not None,
            direction=spec.direction if spec else None,
            unit=spec.unit if spec else None,
            uses=tuple(places),
        )


def also_computed(loaded: LoadedCard, used: Iterable[PlannedMetric]) -> Iterator[str]:
    """Metrics that the workload computes and the card does not use."""
    names = {metric.name for metric in used}
    known = (spec.name if spec.training_only else f"val_{spec.name}" for spec in loaded.spec.metrics)
    yield from (name for name in known if name not in names)


def planned_rules(card: Card) -> Iterator[PlannedRule]:
    """The kill thresholds as reviewers read them."""
    for rule in card.kill_thresholds:
        yield PlannedRule(condition=rule.describe(), action=rule.action, set=dict(rule.set or {}), why=rule.why)


def _uses(card: Card) -> Iterator[MetricUse]:
    if (select := card.training.selection) is not None:
        yield MetricUse(
            where="training.select",
            written=select.metric,
            role="best checkpoint",
            condition="the smallest" if select.mode == "min" else "the largest",
        )
    for index, target in enumerate(card.targets):
        condition = target_text(target).removeprefix(target.metric).strip()
        yield MetricUse(where=f"targets[{index}]", written=target.metric, role="target", condition=condition)
    for index, rule in enumerate(card.kill_thresholds):
        if rule.watches is not None and rule.watches not in QUANTITIES:
            condition = f"{rule.describe().removeprefix(rule.watches).strip()}: {rule.action}"
            where = f"kill_thresholds[{index}]"
            yield MetricUse(where=where, written=rule.watches, role="kill threshold", condition=condition)
    for index, baseline in enumerate(card.baselines):
        for name, value in baseline.metrics.items():
            where, condition = f"baselines[{index}].metrics", f"{baseline.run} {value:g}"
            yield MetricUse(where=where, written=name, role="baseline", condition=condition)
