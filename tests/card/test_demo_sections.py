"""Each workload owns its demo section; the card has `output` and `look_for` of any."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cardrunner import registry
from cardrunner.card.load import card_model, load_card_bytes
from cardrunner.card.markdown import render_card
from cardrunner.card.schema.base import Line
from cardrunner.card.schema.plan import DemoSection
from cardrunner.errors import CardError
from cardrunner.workloads.command.proof_sections import CommandDemo
from cardrunner.workloads.melee.demo.section import MatchDemo
from cardrunner.workloads.toy.spec import SPEC

TOY = Path(__file__).parents[1] / "cards" / "shown" / "toy-here.yaml"
TOY_DIGEST = "ce1f8d55abcd8add4729691cede925080e33c910b929a9c1b16f89d36a5b7d1f"
"""Of a card of a workload that names no demo section, from when there was one for all."""


class SongDemo(DemoSection):
    """A demo of another package."""

    song: Line = "first"
    """What is sung."""


def sung(demo: type[DemoSection] | None) -> SimpleNamespace:
    """The toy workload with another demo section."""
    own = {name: getattr(SPEC, name) for name in dir(SPEC) if not name.startswith("__") and name != "demo_section"}
    return SimpleNamespace(**own, **({} if demo is None else {"demo_section": demo}))


def with_demo(demo: str, spec: object) -> str:
    text = "\n".join(line for line in TOY.read_text().splitlines() if not line.startswith("  demo:"))
    text = text.replace("after_training:", f"after_training:\n  demo: {demo}", 1)
    return render_card(load_card_bytes(text.encode(), file="card.yaml", resolve=lambda _: spec, admitted=True))  # type: ignore[arg-type, return-value]


def test_the_workloads_have_their_own() -> None:
    names = {"command": CommandDemo, "melee-policy": MatchDemo, "melee-world-model": MatchDemo, "toy": MatchDemo}
    for name, section in names.items():
        found = card_model(registry.workload_spec(name)).model_fields["after_training"].annotation
        assert found is not None
        assert found.model_fields["demo"].annotation == section | None


def test_a_card_of_a_workload_without_one_keeps_its_digest() -> None:
    loaded = load_card_bytes(TOY.read_bytes(), file=TOY.name, resolve=registry.workload_spec, admitted=True)
    assert loaded.digest == TOY_DIGEST


def test_the_page_shows_every_field_of_a_demo_of_another_package() -> None:
    page = with_demo("{song: the second one, output: out/song.txt, look_for: both voices}", sung(SongDemo))
    assert "- song: the second one" in page
    assert "- Demo file: `out/song.txt`" in page
    assert "- Compare: both voices" in page


@pytest.mark.parametrize("demo", [None, DemoSection])
def test_without_a_section_of_its_own_a_demo_has_two_fields(demo: type[DemoSection] | None) -> None:
    assert "what the workload shows of the best checkpoint" in with_demo("{look_for: both}", sung(demo))
    with pytest.raises(CardError, match="unknown key; there are output and look_for"):
        with_demo("{p0: human}", sung(demo))
