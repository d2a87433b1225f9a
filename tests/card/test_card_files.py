"""Cards as files: each in ``cards/invalid`` gets exactly the output beside it, each in ``cards/valid`` passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import examine_card, load_card
from cardrunner.errors import CardError

CARDS = Path(__file__).parents[1] / "cards"
INVALID = sorted((CARDS / "invalid").glob("*.yaml"))
VALID = sorted((CARDS / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_card_gets_its_exact_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    found = "".join(f"{fault}\n" for fault in examine_card(Path(path.name), registry.workload_spec))
    assert found == path.with_suffix(".expected").read_text(encoding="utf-8")
    with pytest.raises(CardError):
        load_card(path, registry.workload_spec)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_card_passes_without_a_word_that_is_not_expected(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    found = "".join(f"{fault}\n" for fault in examine_card(Path(path.name), registry.workload_spec))
    expected = path.with_suffix(".expected")
    assert found == (expected.read_text(encoding="utf-8") if expected.exists() else "")


def test_there_are_enough_of_both() -> None:
    assert len(INVALID) >= 30
    assert {path.stem for path in INVALID} == {path.stem for path in (CARDS / "invalid").glob("*.expected")}
    assert len(VALID) >= 5
