"""The sections made of fields and values: data, model, training, infrastructure.

This module and the workload word the rows of the fields they know. Every other field that the card states gets a row
under its own name, so that every signed field is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cardrunner.card.contracts import WordsFields
from cardrunner.card.estimate import spending_limit
from cardrunner.card.load import LoadedCard
from cardrunner.card.platforms import platform_of
from cardrunner.card.prices import hour_of
from cardrunner.card.reading.document import Loc, Scalar
from cardrunner.card.schema.data import DataFile, DataFiles, DataSection
from cardrunner.card.schema.plan import DemoSection
from cardrunner.card.schema.training import TrainingSection
from cardrunner.card.values import leaves, worded as worded_value
from cardrunner.common import units
from cardrunner.common.text import listed

Rows = list[tuple[str, str]]
_WORDS = {
    "adamw": "AdamW",
    "adam": "Adam",
    "sgd": "SGD",
    "cpu": "CPU",
    "cuda": "CUDA",
    "auto": "GPU if there is one, else CPU",
}
_WORDED: dict[str, tuple[str, ...]] = {
    "data": (
        "source", "size", "sha256", "split", "train_examples", "val_examples", "shuffle", "shuffle_block",
        "on_constant_columns", "notes",
    ),
    "model": ("architecture", "parameters"),
    "infra": (
        "gpu", "gpus", "price", "cpu", "memory", "timeout", "retries", "tracking", "reason", "platform", "executor",
        "detach", "volume", "checkpoints", "secrets", "packages", "system_packages",
    ),
}  # fmt: skip
"""The fields that this module has rows for, besides those of `_TRAINING`."""


@dataclass(frozen=True)
class _Row:
    """A row of the training section; rare rows appear only where the card states them."""

    label: str
    fields: tuple[str, ...]
    """The fields that it shows; a rare row appears if the card states the first of them."""
    text: Callable[[LoadedCard, TrainingSection], str]
    rarer: bool = False


_TRAINING: tuple[_Row, ...] = (
    _Row("Epochs", ("epochs", "reason"), lambda _, training: with_reasons(str(training.epochs), training.reason)),
    _Row("Batch size", ("batch_size",), lambda _, training: str(training.batch_size)),
    _Row(
        "Learning rate",
        ("learning_rate",),
        lambda loaded, training: written(loaded, ("training", "learning_rate"), f"{training.learning_rate:g}"),
    ),
    _Row(
        "Weight decay",
        ("weight_decay",),
        lambda loaded, training: written(loaded, ("training", "weight_decay"), f"{training.weight_decay:g}"),
    ),
    _Row(
        "Optimizer",
        ("optimizer", "schedule"),
        lambda _, training: f"{_WORDS[training.optimizer]} + {training.schedule} LR",
    ),
    _Row("Loss", ("loss",), lambda _, training: _loss(training)),
    _Row("Device", ("device",), lambda loaded, _: _device(loaded)),
    _Row("Precision", ("precision",), lambda _, training: training.precision),
    _Row("Seed", ("seed",), lambda _, training: str(training.seed)),
    _Row("Log every", ("log_every",), lambda _, training: units.format_every(training.log_every)),
    _Row("Checkpoint every", ("checkpoint_every",), lambda _, training: units.format_every(training.checkpoint_every)),
    _Row("Best checkpoint", ("select",), lambda _, training: f"{training.select.mode} {training.select.metric}"),
    _Row("Gradient clip", ("gradient_clip",), lambda _, training: f"{training.gradient_clip:g}", rarer=True),
    _Row(
        "Gradient accumulation",
        ("gradient_accumulation",),
        lambda _, training: f"{training.gradient_accumulation} batches a step",
        rarer=True,
    ),
    _Row("Warm-up", ("warmup",), lambda _, training: f"{training.warmup} {training.schedule_unit}s", rarer=True),
    _Row("Schedule moves", ("schedule_unit",), lambda _, training: f"every {training.schedule_unit}", rarer=True),
    _Row(
        "Last partial batch",
        ("drop_last",),
        lambda _, training: "left out" if training.drop_last else "used",
        rarer=True,
    ),
    _Row("Checkpoints kept", ("keep",), lambda _, training: str(training.keep), rarer=True),
    _Row("Best kept by", ("keep_best",), lambda _, training: ", ".join(training.keep_best), rarer=True),
    _Row("Processes", ("processes",), lambda _, training: str(training.processes), rarer=True),
    _Row(
        "CUDA graph",
        ("cuda_graph",),
        lambda _, training: "the step is recorded once" if training.cuda_graph else "no",
        rarer=True,
    ),
    _Row("torch.compile", ("compile",), lambda _, training: "yes" if training.compile else "no", rarer=True),
    _Row("Threads", ("threads",), lambda _, training: str(training.threads), rarer=True),
    _Row("Workers", ("workers",), lambda _, training: str(training.workers), rarer=True),
)


def data(loaded: LoadedCard) -> Rows:
    """The rows of the workload, with the location of the files, and the notes."""
    section, own = loaded.card.data, _described(loaded, "data")
    core = _sizes(loaded)
    if not (section.is_synthetic and "Source" in own):
        own = {"Source": _source(loaded), **own} | {"Source": _source(loaded)}
    rows = own | {name: value for name, value in core.items() if name not in own}
    return [*rows.items(), *_others(loaded, "data", _WORDED["data"]), *(("Note", note) for note in section.notes)]


def model(loaded: LoadedCard) -> Rows:
    """The rows of the workload, or the two that every model has."""
    section = loaded.card.model
    core = {"Architecture": section.architecture}
    core |= {"Parameters": f"{section.parameters:,}"} if section.parameters else {}
    return [*(core | _described(loaded, "model")).items(), *_others(loaded, "model", _WORDED["model"])]


def training(loaded: LoadedCard) -> Rows:
    """The rows of every field that controls the run; rare ones only where the card states them."""
    section, own = loaded.card.training, _described(loaded, "training")
    if not isinstance(section, TrainingSection):
        return [*own.items(), *_others(loaded, "training", ())]
    usual = {row.label: own.pop(row.label, "") or row.text(loaded, section) for row in _TRAINING if not row.rarer}
    rarer = [
        (row.label, row.text(loaded, section)) for row in _TRAINING if row.rarer and _is_stated(section, row.fields[0])
    ]
    worded = [name for row in _TRAINING for name in row.fields]
    others = _others(loaded, "training", worded)
    return [*((name, value) for name, value in usual.items() if value), *own.items(), *rarer, *others]


def demo(loaded: LoadedCard) -> Rows:
    """The rows of a demo beside its sentence, and the fields that the card states and no row shows."""
    section = loaded.card.after_training.demo
    if section is None:
        return []
    worded = {*section.worded, *DemoSection.model_fields}
    others = (leaf for leaf in leaves(section) if leaf.stated and leaf.value is not None)
    return [
        *section.rows(),
        *((leaf.path, worded_value(leaf.value)) for leaf in others if re.split(r"[.\[]", leaf.path)[0] not in worded),
    ]


def infrastructure(loaded: LoadedCard) -> Rows:
    """The rows about the platform and the machine."""
    infra, measured = loaded.card.infra, loaded.card.timing.data_load_measured
    rows: Rows = [("GPU", _gpu(loaded)), ("Platform", platform_of(infra).title(infra))]
    rows += [("CPU cores", f"{infra.cpu:g}")] if infra.cpu else []
    rows += [("Memory", units.format_bytes(infra.memory))] if infra.memory else []
    rows += [("Retries", str(infra.retries))] if infra.retries else []
    rows += platform_of(infra).rows(infra)
    if measured is not None:
        load = written(loaded, ("timing", "data_load_measured"), units.format_duration(measured))
        rows.append(("Data load time", f"{load} measured"))
    for asked in infra.tracking.asked:
        rows += asked.rows()
    return [*rows, *_others(loaded, "infra", _WORDED["infra"])]


def budget(loaded: LoadedCard) -> str | None:
    """What the budget means, as a sentence: the metered share, and the whole bill where that is more."""
    limit = spending_limit(loaded.card)
    if limit is None:
        return None
    amount = written(loaded, ("timing", "budget"), units.format_dollars(limit.usd))
    rest = listed(hour_of(loaded.card.infra).not_included)
    clauses = (f"it spends more than {amount}{limit.share}", limit.more, rest and f"not counted: {rest}")
    return f"The run saves and stops before {'; '.join(filter(None, clauses))}."


def _described(loaded: LoadedCard, section: str) -> dict[str, str]:
    return dict(loaded.spec.describe(loaded.card).get(section, ()))


def _others(loaded: LoadedCard, section: str, worded: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The fields that the card states and no other row shows, each under its name."""
    own = loaded.spec.worded.get(section, ()) if isinstance(loaded.spec, WordsFields) else ()
    for leaf in leaves(getattr(loaded.card, section)):
        steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", leaf.path)]
        if leaf.stated and leaf.value is not None and steps[0] not in (*worded, *own):
            yield leaf.path, written(loaded, (section, *steps), worded_value(leaf.value))


def _source(loaded: LoadedCard) -> str:
    storage = platform_of(loaded.card.infra).storage(loaded.card.infra)
    files = ", ".join(_file(file) for file in loaded.card.data.source)
    return f"{files} on the {storage.title}" if storage else files


def _file(file: DataFile) -> str:
    size = [] if file.size is None else [units.format_bytes(file.size)]
    count = [] if file.counted is None else [f"{file.counted} files"]
    known = [*count, *size, *([f"sha256 {file.sha256}"] if file.sha256 else [])]
    return with_reasons(file.path, [", ".join(known)] if known else [])


def _sizes(loaded: LoadedCard) -> dict[str, str]:
    section = loaded.card.data
    rows = {} if section.size is None else {"File size": units.format_bytes(section.size)}
    rows |= {"SHA-256": section.sha256} if section.sha256 else {}
    train, validation = section.counted
    rows |= {"Train examples": f"{train:,}"} if train else {}
    rows |= {"Val examples": f"{validation:,}"} if validation else {}
    return rows | _order(section)


def _order(section: DataFiles) -> dict[str, str]:
    """How the built-in loop divides and shuffles the examples."""
    if not isinstance(section, DataSection):
        return {}
    rows: dict[str, str] = {}
    rows["Split"] = f"{units.format_percent(section.split.train)} train, by {section.split.by}"
    blocks = "" if section.shuffle == "full" else f", blocks of {units.format_bytes(section.shuffle_block)}"
    rows["Shuffle"] = f"{section.shuffle}{blocks}"
    return rows | ({"Constant columns": "fail"} if section.on_constant_columns == "fail" else {})


def _loss(section: TrainingSection) -> str:
    return " + ".join(f"{term.kind} ({name}, weight {term.weight:g})" for name, term in section.loss.items())


def _device(loaded: LoadedCard) -> str:
    return with_reasons(_WORDS[loaded.card.training.device], [loaded.card.infra.gpu] if loaded.card.infra.gpu else [])


def _is_stated(section: TrainingSection, name: str) -> bool:
    return name in section.model_fields_set and getattr(section, name) is not None


def _gpu(loaded: LoadedCard) -> str:
    infra = loaded.card.infra
    name = (infra.gpu or "none") + (f" x {infra.gpus}" if infra.gpus > 1 else "")
    if infra.price is not None:
        name = f"{name} ({written(loaded, ('infra', 'price'), units.format_hourly_rate(infra.price))})"
    return " — ".join((name, *infra.reason))


def written(loaded: LoadedCard, loc: Loc, otherwise: str) -> str:
    """A value as the card writes it, or `otherwise` if the card does not write it as one plain value."""
    node = loaded.document.find(loc)
    plain = isinstance(node, Scalar) and node.style == "plain" and node.value is not None
    return loaded.document.source(node) if node is not None and plain else otherwise


def shown(value: object) -> str:
    """A value of any kind: whole numbers with thousands separators, true and false as in cards."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)


def with_reasons(value: str, reasons: Sequence[str]) -> str:
    """``5 (because of this; and of that)``."""
    return f"{value} ({'; '.join(reasons)})" if reasons else value


def minutes(seconds: float) -> str:
    """Epoch times in a common unit: ``30 min``, ``90 min``."""
    return f"{seconds / 60:g} min" if 60 <= seconds < 18000 else units.format_duration(seconds)


def money(dollars: float | None) -> str:
    """Dollars; a fixed text if no price is known."""
    return "not known: no price" if dollars is None else units.format_dollars(dollars)
