"""What can be asked of Modal without paying: by a plan, and by a check of the checklist."""

from __future__ import annotations

import json

from tests.modal_plane.cloud import Cloud, policy

CHECKED = {"checklist": [{"item": "the volume is there", "check": "volume", "done": False}]}


def test_a_plan_asks_what_costs_nothing(cloud: Cloud) -> None:
    (cloud.volume.folder / "games.pt").write_bytes(bytes(2_000_000))
    cloud.plane.add_secret("asked", KEY="x")
    card = cloud.card({"data.source": "/games.pt", "data.size": "2 MB", "infra.secrets": ["asked"]}, base=policy())
    apps = len(cloud.plane.apps())
    code, out, err = cloud.type("plan", card, "--json")
    assert code == 0, err
    plan = json.loads(out)
    assert [(one["name"], one["actual"], one["ok"]) for one in plan["answers"]] == [
        ("Modal", "answers at 127.0.0.1", True),
        (f"volume {cloud.volume.name}", "there", True),
        ("/games.pt", "2 MB (2000000 bytes)", True),
        ("data.size", "2 MB (2000000 bytes)", True),
        ("secret asked", "there", True),
        ("price of T4", "$0.59/h", True),
    ]
    assert not any("volume" in one["what"] and "exists" in one["what"] for one in plan["unchecked"])
    assert len(cloud.plane.apps()) == apps


def test_a_plan_that_would_be_refused_ends_with_7_and_says_why(cloud: Cloud) -> None:
    code, out, _ = cloud.type("plan", cloud.card({"infra.volume": "no-such-volume"}))
    assert code == 7
    assert "infra.volume: there is no volume no-such-volume in this Modal" in " ".join(out.split())


def test_a_plan_without_a_token_asks_nothing(cloud: Cloud) -> None:
    before = cloud.plane.world.counts.total()
    code, out, _ = cloud.type("plan", cloud.card(), MODAL_TOKEN_ID="", MODAL_TOKEN_SECRET="")
    assert code == 0
    assert "there is no Modal token here; run `modal token new`" in " ".join(out.split())
    assert cloud.plane.world.counts.total() == before


def test_a_check_of_the_volume_asks_there(cloud: Cloud) -> None:
    card = cloud.card(CHECKED)
    code, out, err = cloud.type("check", card, "1")
    assert code == 0, out + err
    assert "the volume can be reached, with what the card needs there" in card.read_text()
    slip = cloud.card(CHECKED | {"infra.volume": "no-such-volume"})
    code, out, err = cloud.type("check", slip, "1")
    assert code == 3
    assert "there is no volume no-such-volume" in out + err
