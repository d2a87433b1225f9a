"""Every kind of kill rule keeps the same contract, and the table knows them all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.kill_rules import Rule
from cardrunner.kill_rules.table import KEYS, SHARED_KEYS, is_absent, rule_classes
from tests.kill_rules.contract import check_kind


@pytest.mark.parametrize("kind", rule_classes(), ids=lambda kind: kind.__name__)
def test_a_kind_does_what_cards_runs_pages_and_reports_ask_of_it(
    kind: type[Rule], toy_card: Callable[..., LoadedCard]
) -> None:
    check_kind(kind, toy_card)


def test_the_table_knows_every_key_of_its_rules() -> None:
    assert {name for kind in rule_classes() for name in kind.model_fields} == SHARED_KEYS | KEYS.keys()
    assert not any(map(is_absent, SHARED_KEYS | KEYS.keys()))
    assert is_absent("rises_by")
