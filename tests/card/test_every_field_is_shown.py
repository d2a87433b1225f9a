"""What is signed is shown: every value of a card, of every field of the schema, stands on the review page."""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from cardrunner import registry
from cardrunner.card.explain import sections_below
from cardrunner.card.load import LoadedCard, card_model, load_card_bytes
from cardrunner.card.markdown import render_card
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import ChecklistItem, MetCondition, Signature
from cardrunner.card.values import leaves, worded
from cardrunner.common import units

CARDS = sorted((Path(__file__).parents[1] / "cards" / "shown").glob("*.yaml"))
UNSIGNED = re.compile(r"extends|checklist\[\d+]\.(done|by|at|evidence)|sign_off\.reviewers\[\d+]\.signed.*")
ONE_VALUE = ("card",)
"""Fields that can only have one value, so that there is nothing to show."""
PARTS = {"data": ("Data",), "model": ("Model",), "training": ("Training",), "sign_off": ("Sign-off",)} | {
    "infra": ("Infrastructure", "Data", "Timing & Cost"), "kill_thresholds": ("Kill Thresholds",)
}  # fmt: skip
"""Where the page shows a section."""

WORDS: dict[tuple[str, object], str] = {
    ("repeat", True): "may run again",
    ("data.source[*].path", "synthetic"): "seed",  # made up or generated, with its seed
    ("data.predict_player", 0): "p0 only",
    ("data.predict_player", 1): "p1 only",
    ("model.architecture", "Mamba2"): "Mamba-2",
    ("training.loss.class.kind", "cross_entropy"): "cross entropy",
    ("training.drop_last", True): "Last partial batch | left out",
    ("training.drop_last", False): "Last partial batch | used",
    ("training.cuda_graph", False): "CUDA graph | no",
    ("training.compile", True): "torch.compile | yes",
    ("infra.platform", "local"): "this machine",
    ("infra.executor", "inline"): "in this process",
    ("infra.detach", False): "attached",
    ("infra.tracking.tensorboard", True): "TensorBoard",
    ("kill_thresholds[*].event", "out_of_memory"): "out of memory",
    ("kill_thresholds[*].event", "non_finite_loss"): "non-finite loss",
    ("kill_thresholds[*].event", "non_finite_weights"): "non-finite weights",
    ("kill_thresholds[*].non_finite", True): "not finite",
    ("baselines[*].facts.done", True): "true",
    ("metrics[*].direction", "max"): "larger",
    ("metrics[*].direction", "min"): "smaller",
    ("after_training.demo.rules", False): "uncorrected",
    ("sign_off.reviewers[*].required", False): "not required",
    ("training.metrics[*].direction", "max"): "larger",
    ("training.metrics[*].direction", "min"): "smaller",
    ("training.metrics[*].percent", True): "as a percentage",
    ("training.checkpoints.at_end", True): "written at the end",
    ("training.report.wandb", True): "wandb.log",
    ("training.script_module", True): "cardrunner_script.py",
    ("training.resume", "itself"): "finds its checkpoint itself",
}
"""What the page says of values that have other words there."""

NOT_SHOWN: dict[str, str] = {}
"""Values that are signed and not shown, by path without list places: the reason."""


def page_parts(loaded: LoadedCard) -> dict[str, str]:
    """The page's sections by heading, as plain text; the whole page under an empty heading."""
    page = re.sub(r"\\(?=\W)|`", "", render_card(loaded))
    return {"": page, **{part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}}


def texts(loaded: LoadedCard, path: str, value: object) -> Iterator[str]:
    """The ways in which people may read a value."""
    if isinstance(value, bool):
        yield f"{path.rpartition('.')[2]} {worded(value)}"
        return
    loc = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
    node = loaded.document.find(tuple(loc))
    yield from [] if node is None else [loaded.document.source(node).strip("\"'").lstrip("-")]
    yield worded(value)
    if isinstance(value, datetime.date):
        yield f"{value:%b} {value.day}, {value.year}"
    if isinstance(value, units.Every):
        yield f"{value.unit} {value.value:g}"
    if isinstance(value, int | float):
        yield from (
            f"{value:,}",
            f"{value:g}",
            f"{value * 100:g}%",
            f"{value / 60:g} min",
            units.format_duration(value),
        )
        yield from (units.format_dollars(value), units.format_hourly_rate(value))
        yield from [units.format_bytes(value)] if isinstance(value, int) else []


def stands_in(text: str, page: str) -> bool:
    """Whether all paragraphs of a text stand there as whole words."""
    found = (" ".join(part.replace("`", "").split()) for part in text.split("\n\n"))
    return all(re.search(rf"(?<![\w.]){re.escape(part)}(?!\w|\.\d)", page, re.IGNORECASE) for part in found)


def read_shown(path: Path) -> LoadedCard:
    """A card that may name what is not installed here, such as a stage of another package."""
    return load_card_bytes(path.read_bytes(), file=str(path), resolve=registry.workload_spec, admitted=True)


def is_shown(loaded: LoadedCard, parts: Mapping[str, str], path: str, value: object) -> bool:
    root = re.split(r"[.\[]", path)[0]
    where = "\n".join(parts.get(name, "") for name in PARTS.get(root, ("",)))
    if (place_of(path), value) in WORDS:
        return stands_in(WORDS[place_of(path), value], where)
    if isinstance(value, tuple) and stands_in(shlex.join(map(str, value)), where):
        return True
    items = value if isinstance(value, tuple) else (value,)
    return all(any(stands_in(text, where) for text in texts(loaded, path, item)) for item in items)


def place_of(path: str) -> str:
    return re.sub(r"\[\d+]", "[*]", path)


def signed_leaves(loaded: LoadedCard) -> Iterator[tuple[str, object]]:
    """Every value that the card states and its digest covers."""
    for leaf in leaves(loaded.card):
        if leaf.stated and leaf.value is not None and leaf.path not in ONE_VALUE and not UNSIGNED.fullmatch(leaf.path):
            yield leaf.path, leaf.value


def fields_of(section: type[BaseModel], path: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Every field of the schema as the class that declares it, and its name; those that hold sections are gone into."""
    for name, field in section.model_fields.items():
        inner = list(sections_below(section, only=name))
        for found in inner:
            yield from fields_of(found)
        if not inner:
            owner = next(one for one in section.__mro__ if name in vars(one).get("__annotations__", {}))
            yield owner, field.alias or name


def stated_fields(value: object) -> Iterator[tuple[type[BaseModel], str]]:
    """The same of what a card states."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            item = getattr(value, name)
            if name in value.model_fields_set and item is not None:
                owner = next(one for one in type(value).__mro__ if name in vars(one).get("__annotations__", {}))
                yield owner, field.alias or name
                yield from stated_fields(item)
    elif isinstance(value, Mapping | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from stated_fields(item)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_every_value_that_is_signed_stands_on_the_page(path: Path) -> None:
    loaded = read_shown(path)
    parts = page_parts(loaded)
    missing = {
        f"{at}: {value!r}" for at, value in signed_leaves(loaded)
        if is_shown(loaded, parts, at, value) == (place_of(at) in NOT_SHOWN)
    }  # fmt: skip
    assert missing == set(), "show them on the page, or say in NOT_SHOWN why they are not shown"


def test_what_is_listed_as_not_shown_is_signed() -> None:
    signed = {place_of(at) for path in CARDS for at, _ in signed_leaves(read_shown(path))}
    assert set(NOT_SHOWN) <= signed


def test_every_field_of_the_schema_has_a_value_in_one_of_the_cards() -> None:
    cards = [read_shown(path) for path in CARDS]
    stated = {field for loaded in cards for field in stated_fields(loaded.card)}
    wanted = {field for name in registry.WORKLOADS for field in fields_of(card_model(registry.workload_spec(name)))}
    unsigned = {(Card, "extends"), *((ChecklistItem, name) for name in ("done", "by", "at", "evidence"))}
    left = {(owner, name) for owner, name in wanted - stated - unsigned if owner not in (Signature, MetCondition)}
    assert sorted(f"{owner.__name__}.{name}" for owner, name in left) == []


def test_a_row_that_is_left_out_is_found() -> None:
    loaded = read_shown(CARDS[0])
    parts = page_parts(loaded)
    parts["Training"] = "\n".join(line for line in parts["Training"].splitlines() if "Batch size" not in line)
    assert not is_shown(loaded, parts, "training.batch_size", loaded.card.training.batch_size)
