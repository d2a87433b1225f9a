from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import card_model, examine_card, load_card, load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.errors import CardError

CARDS = Path(__file__).parents[1] / "cards"


def test_the_model_of_a_workload_is_built_once() -> None:
    spec = registry.workload_spec("melee-policy")
    assert card_model(spec) is card_model(spec)
    assert issubclass(card_model(spec), Card)
    assert card_model(spec).model_fields["data"].annotation is spec.data_section


def test_a_file_that_is_not_there_is_a_fault_with_the_next_step(tmp_path: Path) -> None:
    (fault,) = examine_card(tmp_path / "none.yaml", registry.workload_spec)
    assert fault.severity == "error"
    assert "no such file" in fault.message
    with pytest.raises(CardError):
        load_card(tmp_path / "none.yaml", registry.workload_spec)


def test_faults_come_in_the_order_of_the_file() -> None:
    found = examine_card(CARDS / "invalid" / "everything-at-once.yaml", registry.workload_spec)
    assert [(fault.line, fault.column) for fault in found] == sorted((fault.line, fault.column) for fault in found)


def test_with_an_unknown_workload_the_rest_is_still_checked() -> None:
    text = (
        (CARDS / "valid" / "policy-22k-short.yaml")
        .read_text()
        .replace("melee-policy", "melee-polcy")
        .replace("epochs: 5", "epochs: 0")
    )
    with pytest.raises(CardError) as caught:
        load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)
    assert [fault.path for fault in caught.value.faults] == ["workload", "training.epochs"]  # type: ignore[attr-defined]


def test_a_loaded_card_carries_its_bytes_and_its_warnings(tmp_path: Path) -> None:
    data = (CARDS / "valid" / "policy-22k-short.yaml").read_bytes().replace(b"timeout: 13h", b"timeout: 8h")
    (tmp_path / "card.yaml").write_bytes(data)
    loaded = load_card(tmp_path / "card.yaml", registry.workload_spec)
    assert loaded.data == data
    assert [fault.severity for fault in loaded.warnings] == ["warning"]
    assert loaded.path == tmp_path / "card.yaml"
