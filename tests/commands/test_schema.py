from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.main import main

ROOT = Path(__file__).parents[2]
jsonschema = pytest.importorskip("jsonschema", reason="checks cards with an independent JSON Schema library")


def as_json(value: object) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["schema", "--workload", "melee-policy"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "path",
    [ROOT / "runcards" / "policy-22k.yaml", *sorted((ROOT / "tests/cards/valid").glob("*.yaml"))],
    ids=lambda path: path.stem,
)
def test_a_valid_card_satisfies_the_schema(path: Path, schema: Any) -> None:
    value = as_json(load_card(path, registry.workload_spec).document.value())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    assert [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)] == []


def test_a_typo_does_not(schema: Any) -> None:
    value = as_json(load_card(ROOT / "runcards" / "policy-22k.yaml", registry.workload_spec).document.value())
    value["training"]["epoch"] = value["training"].pop("epochs")
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(value))


def test_fields_are_described_with_examples(schema: Any) -> None:
    card = schema["$defs"]["melee-policy"]
    assert card["properties"]["name"]["description"] == "The run's name."
    sections = card["$defs"]
    assert "Total number of epochs" in sections["TrainingSection"]["properties"]["epochs"]["description"]
    assert sections["Timing"]["properties"]["budget"]["anyOf"][0]["examples"] == ["$7.50"]
