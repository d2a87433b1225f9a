"""Cards to test with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card, load_card_bytes

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "runcards" / "policy-22k.yaml"
FULL = ROOT / "tests" / "cards" / "valid" / "everything.yaml"

Edit = Callable[..., LoadedCard]


@pytest.fixture(scope="session")
def policy_text() -> str:
    """The shipped policy card as written."""
    return POLICY.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def policy_card() -> LoadedCard:
    """The shipped policy card."""
    return load_card(POLICY, registry.workload_spec)


@pytest.fixture(scope="session")
def full_card() -> LoadedCard:
    """A card that has every section."""
    return load_card(FULL, registry.workload_spec)


@pytest.fixture(scope="session")
def edited(policy_text: str) -> Edit:
    """The policy card with pieces of its text replaced: ``edited((old, new), ...)``."""

    def edit(*changes: tuple[str, str]) -> LoadedCard:
        text = policy_text
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the card"
            text = text.replace(old, new)
        return load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)

    return edit
