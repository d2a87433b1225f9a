"""A policy, from a file on the volume to a match that people can watch; its trainer is a fresh interpreter."""

from __future__ import annotations

import json
from pathlib import Path

from cardrunner.runs.files import sha256_file
from tests.modal_plane.cloud import Cloud, policy
from tests.modal_plane.containers import executed


def test_a_policy_is_trained_far_away_as_it_is_here(cloud: Cloud) -> None:
    from cardrunner.workloads.melee.simulator.simulator import generate

    games = cloud.volume.folder / "games.pt"
    generate(games, games=4, frames_per_game=300)
    pinned = {"data.source": "/games.pt", "data.sha256": sha256_file(games)}
    card = cloud.card(pinned, base=policy())
    starts = iter([cloud.plane.forked, executed])  # the probe, the trainer; whatever comes later is forked again
    cloud.plane.start_containers(lambda *place: next(starts, cloud.plane.forked)(*place))
    try:
        code, _, launched = cloud.type("launch", card)
        assert code == 0, launched
    finally:
        cloud.plane.start_containers()
    code, out, err = cloud.type("attach", card.stem)
    assert code == 0, err
    assert "the data is on the volume: the stage demo runs there, without a GPU" in launched + err
    assert Path(out.strip()).read_text().startswith(f"# Results: {card.stem}")
    assert cloud.status(card.stem)["damage"] == []
    assert (cloud.root / "downloads" / "quickstart" / "best.pt").exists()
    made = cloud.root / "demos" / "quickstart.json"
    assert json.loads(made.read_text())
    there, here = cloud.folder(card.stem) / "demo", cloud.root / "runs" / card.stem / "demo"
    assert made.read_bytes() == (there / "match.json").read_bytes()
    assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()} > {"match.html"}
    (began,) = cloud.events(card.stem, "attempt_started")
    assert began["environment"]["packages"].keys() >= {"cardrunner", "torch", "pydantic"}
    assert cloud.weights_here(card, source="games.pt", data=games.parent) == cloud.weights(card.stem)
