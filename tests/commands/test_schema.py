"""The JSON Schema for editors, held against an independent JSON Schema library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.starting import MODELINE
from cardrunner.common import units
from cardrunner.main import main

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "runcards").glob("*.yaml"))
VALID = sorted((ROOT / "tests/cards/valid").glob("*.yaml"))
CURRENT = "cardrunner schema > runcards/card.schema.json"


def as_json(value: object) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def written(path: Path) -> Any:
    """A card as its own file says it."""
    return as_json(load_card(path, registry.workload_spec).document.value())


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema that ships."""
    return json.loads((ROOT / "runcards" / "card.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator(schema: Any) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(validator: Draft202012Validator, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def test_the_shipped_schema_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert (ROOT / "runcards" / "card.schema.json").read_text(encoding="utf-8") == printed, f"run: {CURRENT}"


@pytest.mark.parametrize("path", [*SHIPPED, *VALID], ids=lambda path: path.stem)
def test_a_valid_card_satisfies_the_schema(path: Path, validator: Draft202012Validator) -> None:
    assert faults(validator, written(path)) == []


@pytest.mark.parametrize("workload", sorted(registry.WORKLOADS))
def test_so_does_a_new_card(
    workload: str, validator: Draft202012Validator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "card", "--workload", workload, "--quiet"]) == 0
    assert faults(validator, written(tmp_path / "runcards" / "card.yaml")) == []
    assert json.loads((tmp_path / "runcards" / "card.schema.json").read_text())["title"] == "Run card"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_card_opens_with_the_line_for_editors(path: Path) -> None:
    assert path.read_text(encoding="utf-8").splitlines()[0] == MODELINE


def test_a_typo_does_not_satisfy_it(validator: Draft202012Validator) -> None:
    value = written(ROOT / "runcards" / "policy-22k.yaml")
    value["training"]["epoch"] = value["training"].pop("epochs")
    assert faults(validator, value)


@pytest.mark.parametrize("wrong", ["12", "12 hours 3", "-1h", "1_0s", "h"])
def test_a_duration_needs_its_unit(validator: Draft202012Validator, wrong: str) -> None:
    value = written(ROOT / "runcards" / "policy-22k.yaml")
    value["infra"]["timeout"] = wrong
    assert faults(validator, value)


def test_the_patterns_take_what_the_parsers_take() -> None:
    import re

    for pattern, parse, texts in (
        (units.DURATION_PATTERN, units.parse_duration, ("12h", "1h 30min", "2.5 d", "90 seconds", "250 ms")),
        (units.SIZE_PATTERN, units.parse_bytes, ("74.4 GB", "16GiB", "360 B")),
        (units.EVERY_PATTERN, units.parse_every, ("1 epoch", "1000 steps", "5 min")),
        (units.HOURLY_PATTERN, units.parse_hourly_rate, ("$0.59/h", "$1/hr")),
        (units.DOLLARS_PATTERN, units.parse_dollars, ("$7.50",)),
        (units.PERCENT_PATTERN, units.parse_percent, ("98.2%", "7 %")),
    ):
        for text in texts:
            assert parse(text) is not None
            assert re.search(pattern, text), text


def test_a_card_that_extends_one_may_leave_out_what_it_inherits(validator: Draft202012Validator) -> None:
    short = {"extends": "base.yaml", "name": "child", "training": {"epochs": 3}, "lineage": None}
    assert faults(validator, short) == []
    assert faults(validator, {**short, "workload": "toy", "training": {"toy": {"nan_at": 3}}}) == []
    assert faults(validator, {**short, "training": {"epoch": 3}})
    assert faults(validator, {**short, "baselines": [{"run": "x"}]}), "an entry of a list is whole"
    assert faults(validator, {**short, "sign_off": {"policy": "ssh"}}), "a sign-off is not inherited"
    assert faults(validator, {**short, "extends": None})


def fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of every section, with its place."""
    for name, section in schema["$defs"].items():
        for key, field in section.get("properties", {}).items():
            yield f"{name}.{key}", field
            entry = field.get("anyOf", [{}])[0]
            yield from ((f"{name}.{key}.{inner}", part) for inner, part in entry.get("properties", {}).items())


def test_every_field_is_described(schema: Any) -> None:
    assert [place for place, field in fields(schema) if len(field.get("description", "")) < 8] == []


def test_every_field_has_examples_and_they_are_valid(schema: Any) -> None:
    missing = [place for place, field in fields(schema) if not field.get("examples")]
    assert missing == [], "give one in cardrunner/card/examples.yaml, or in the workload's starter.yaml"
    wrong = []
    for place, field in fields(schema):
        check = Draft202012Validator({"$defs": schema["$defs"], **field})
        wrong += [(place, value) for value in field["examples"] if not check.is_valid(value)]
    assert wrong == []


def test_every_quantity_names_its_unit(schema: Any) -> None:
    """Whoever writes a number has to know of what: a quantity says its units, and a count what it counts."""
    words = {
        units.DURATION_PATTERN: "A duration with its unit",
        units.SIZE_PATTERN: "with its unit",
        units.DOLLARS_PATTERN: "US dollars",
        units.HOURLY_PATTERN: "US dollars per hour",
        units.EVERY_PATTERN: "steps, epochs or a duration",
    }
    for place, field in fields(schema):
        text = json.dumps([field.get("pattern"), *(part.get("pattern") for part in field.get("anyOf", ()))])
        for pattern, unit in words.items():
            if json.dumps(pattern) in text:
                assert unit in field["description"], place
