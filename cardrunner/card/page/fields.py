"""The sections that are fields and values: data, model, training, infrastructure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cardrunner import units
from cardrunner.card.load import LoadedCard
from cardrunner.card.reading.document import Loc, Scalar
from cardrunner.card.schema.data import DataFile
from cardrunner.card.schema.training import TrainingSection
from cardrunner.platforms import platform_of

Rows = list[tuple[str, str]]
_WORDS = {
    "adamw": "AdamW",
    "adam": "Adam",
    "sgd": "SGD",
    "cpu": "CPU",
    "cuda": "CUDA",
    "auto": "GPU if there is one, else CPU",
}
_RARER: dict[str, tuple[str, Callable[[TrainingSection], str]]] = {
    "gradient_clip": ("Gradient clip", lambda training: f"{training.gradient_clip:g}"),
    "gradient_accumulation": (
        "Gradient accumulation",
        lambda training: f"{training.gradient_accumulation} batches a step",
    ),
    "warmup": ("Warm-up", lambda training: f"{training.warmup} {training.schedule_unit}s"),
    "schedule_unit": ("Schedule moves", lambda training: f"every {training.schedule_unit}"),
    "drop_last": ("Last partial batch", lambda training: "left out" if training.drop_last else "used"),
    "keep": ("Checkpoints kept", lambda training: str(training.keep)),
    "keep_best": ("Best kept by", lambda training: ", ".join(training.keep_best)),
    "processes": ("Processes", lambda training: str(training.processes)),
    "cuda_graph": ("CUDA graph", lambda training: "the step is recorded once" if training.cuda_graph else "no"),
    "compile": ("torch.compile", lambda training: "yes" if training.compile else "no"),
    "threads": ("Threads", lambda training: str(training.threads)),
    "workers": ("Workers", lambda training: str(training.workers)),
}


def data(loaded: LoadedCard) -> Rows:
    """The workload's rows, with where the files are, and the notes."""
    section, own = loaded.card.data, _described(loaded, "data")
    core = _sizes(loaded)
    if not (section.is_synthetic and "Source" in own):
        own = {"Source": _source(loaded), **own} | {"Source": _source(loaded)}
    rows = own | {name: value for name, value in core.items() if name not in own}
    return [*rows.items(), *(("Note", note) for note in section.notes)]


def model(loaded: LoadedCard) -> Rows:
    """The workload's rows, or the two that every model has."""
    section = loaded.card.model
    core = {"Architecture": section.architecture}
    core |= {"Parameters": f"{section.parameters:,}"} if section.parameters else {}
    return list((core | _described(loaded, "model")).items())


def training(loaded: LoadedCard) -> Rows:
    """Every field that controls the run; the rarer ones only where the card states them."""
    section, own = loaded.card.training, _described(loaded, "training")
    rows = {
        "Epochs": with_reasons(str(section.epochs), section.reason),
        "Batch size": str(section.batch_size),
        "Learning rate": written(loaded, ("training", "learning_rate"), f"{section.learning_rate:g}"),
        "Weight decay": written(loaded, ("training", "weight_decay"), f"{section.weight_decay:g}"),
        "Optimizer": f"{_WORDS[section.optimizer]} + {section.schedule} LR",
        "Loss": own.pop("Loss", None) or _loss(section),
        "Device": _device(loaded),
        "Precision": section.precision,
        "Seed": str(section.seed),
        "Log every": units.format_every(section.log_every),
        "Checkpoint every": units.format_every(section.checkpoint_every),
        "Best checkpoint": f"{section.select.mode} {section.select.metric}",
    }
    rarer = [(label, text(section)) for name, (label, text) in _RARER.items() if _is_stated(section, name)]
    return [*((name, value) for name, value in rows.items() if value), *own.items(), *rarer]


def infrastructure(loaded: LoadedCard) -> Rows:
    """Where it runs."""
    infra, measured = loaded.card.infra, loaded.card.timing.data_load_measured
    rows: Rows = [("GPU", _gpu(loaded)), ("Platform", platform_of(infra).title(infra))]
    rows += [("CPU cores", f"{infra.cpu:g}")] if infra.cpu else []
    rows += [("Memory", units.format_bytes(infra.memory))] if infra.memory else []
    rows += [("Retries", str(infra.retries))] if infra.retries else []
    rows += platform_of(infra).rows(infra)
    if measured is not None:
        load = written(loaded, ("timing", "data_load_measured"), units.format_duration(measured))
        rows.append(("Data load time", f"{load} measured"))
    wandb = infra.tracking.wandb
    if wandb:
        project = "/".join(part for part in (wandb.entity, wandb.project) if part)
        rows.append(("wandb", project + (f", tags: {', '.join(wandb.tags)}" if wandb.tags else "")))
    if infra.tracking.tensorboard:
        rows.append(("TensorBoard", "event files in the run folder"))
    return rows


def budget(loaded: LoadedCard) -> str | None:
    """The most the run may spend."""
    limit = loaded.card.timing.budget
    return None if limit is None else written(loaded, ("timing", "budget"), units.format_dollars(limit))


def _described(loaded: LoadedCard, section: str) -> dict[str, str]:
    return dict(loaded.spec.describe(loaded.card).get(section, ()))


def _source(loaded: LoadedCard) -> str:
    storage = platform_of(loaded.card.infra).storage(loaded.card.infra)
    files = ", ".join(_file(file) for file in loaded.card.data.source)
    return f"{files} on the {storage.title}" if storage else files


def _file(file: DataFile) -> str:
    size = [] if file.size is None else [units.format_bytes(file.size)]
    known = [*size, *([f"sha256 {file.sha256}"] if file.sha256 else [])]
    return with_reasons(file.path, [", ".join(known)] if known else [])


def _sizes(loaded: LoadedCard) -> dict[str, str]:
    section = loaded.card.data
    rows = {} if section.size is None else {"File size": units.format_bytes(section.size)}
    rows |= {"SHA-256": section.sha256} if section.sha256 else {}
    rows |= {"Train examples": f"{section.train_examples:,}"} if section.train_examples else {}
    rows |= {"Val examples": f"{section.val_examples:,}"} if section.val_examples else {}
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
    """A value as the card writes it, or otherwise where it does not write it down plainly."""
    node = loaded.document.find(loc)
    plain = isinstance(node, Scalar) and node.style == "plain" and node.value is not None
    return loaded.document.source(node) if node is not None and plain else otherwise


def shown(value: object) -> str:
    """A value of any kind: whole numbers in groups of three, true and false as cards have them."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)


def with_reasons(value: str, reasons: Sequence[str]) -> str:
    """``5 (because of this; and of that)``."""
    return f"{value} ({'; '.join(reasons)})" if reasons else value


def minutes(seconds: float) -> str:
    """Epoch times beside each other in one unit: ``30 min``, ``90 min``."""
    return f"{seconds / 60:g} min" if 60 <= seconds < 18000 else units.format_duration(seconds)


def money(dollars: float | None) -> str:
    """Dollars, where a price is known."""
    return "not known: no price" if dollars is None else units.format_dollars(dollars)
