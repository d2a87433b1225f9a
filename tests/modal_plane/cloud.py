"""A workspace with cards for Modal, and commands typed in it, all against a plane."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cardrunner.workspace import DATA_VARIABLE
from tests.conftest import TOY as HERE
from tests.modal_plane.plane import Plane
from tests.modal_plane.world import Call, Volume

_NUMBERS = itertools.count(1)
_SIGNED = {"policy": "boxes", "reviewers": [{"id": "mattie", "signed": True}]}
TOY: dict[str, Any] = {
    **{key: value for key, value in HERE.items() if key != "name"},
    "goal": "Find out whether the machinery works far away.",
    "training": {key: value for key, value in HERE["training"].items() if key != "gradient_clip"},
    "infra": {"platform": "modal", "gpu": "T4", "price": "$0.59/h", "timeout": "1h", "retries": 2},
    "after_training": {"download": {"checkpoint": "best", "to": "out/best.pt"}},
    "sign_off": _SIGNED,
}
"""The toy card of the other tests, for Modal."""


def policy() -> dict[str, Any]:
    """The quickstart, small, for Modal."""
    text = Path(__file__).parents[2].joinpath("runcards", "quickstart.yaml").read_text()
    card: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(text), default=str))
    for stated in ("games", "frames", "train_examples", "val_examples", "synthetic"):
        del card["data"][stated]
    card["model"] = {"architecture": "PolicyMLP", "context_len": 10, "hidden_dim": 32, "trunk_dim": 16}
    card["training"] |= {"epochs": 2, "batch_size": 64, "learning_rate": 0.001, "weight_decay": 0.00001, "threads": 1}
    del card["timing"]["stated"], card["kill_thresholds"]
    card["after_training"]["demo"]["max_frames"] = 120
    return card | {"infra": TOY["infra"], "sign_off": _SIGNED}


@dataclass
class Cloud:
    """One workspace, with a volume of its own."""

    plane: Plane
    zygote: Any
    root: Path
    volume: Volume = field(init=False)

    def __post_init__(self) -> None:
        self.volume = self.plane.add_volume(f"training-data-{next(_NUMBERS)}")
        (self.root / "runcards").mkdir(parents=True, exist_ok=True)

    def card(
        self, changes: dict[str, Any] | None = None, *, name: str | None = None, base: dict[str, Any] = TOY
    ) -> Path:
        """A signed card, a toy one of eight steps an epoch; changes by path, None takes a field away."""
        name = name or f"far-{next(_NUMBERS)}"
        card = json.loads(json.dumps({**base, "name": name}))
        for field_path, value in {"infra.volume": self.volume.name, **(changes or {})}.items():
            *parents, last = field_path.split(".")
            section = card
            for parent in parents:
                section = section.setdefault(parent, {})
            section[last] = value
            if value is None:
                del section[last]
        path = self.root / "runcards" / f"{name}.yaml"
        path.write_text(json.dumps(card, indent=2))
        return path

    def begin(self, *words: object, cwd: Path | None = None, **variables: str) -> Any:
        """Type a command in a shell of its own."""
        return self.zygote.command(*words, cwd=cwd or self.root, env={**self.plane.environment, **variables})

    def type(self, *words: object, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
        """Type a command and wait; exit code, output, errors."""
        found: tuple[int, str, str] = self.begin(*words, cwd=cwd, **variables).finish()
        return found

    def status(self, run: str, cwd: Path | None = None) -> dict[str, Any]:
        """``cardrunner status RUN --json``."""
        code, out, err = self.type("status", run, "--json", cwd=cwd)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def launched(self, card: Path, *words: object) -> Call:
        """Launch a card until it trains, or until a short run is over, however; its call on Modal."""
        _, _, err = self.type("launch", card, *words)
        assert self.plane.calls(app=f"cardrunner-{card.stem}"), f"{err}\n{self.plane.printed(card.stem)[-3000:]}"
        return self.call(card.stem)

    def call(self, run: str) -> Call:
        """The newest call of a run."""
        return self.plane.calls(app=f"cardrunner-{run}")[-1]

    def weights_here(self, card: Path, *, source: str = "synthetic", data: Path | None = None) -> str:
        """The weights that the training of a card comes to on this machine, with nothing in its way."""
        here = json.loads(card.read_text())
        here |= {"name": f"{card.stem}-here", "infra": {"platform": "local", "executor": "inline"}}
        here["data"]["source"] = source
        here["training"].pop("toy", None)
        del here["after_training"]
        path = card.with_name(f"{here['name']}.yaml")
        path.write_text(json.dumps(here))
        variables: dict[str, Any] = {} if data is None else {DATA_VARIABLE: str(data)}
        code, _, err = self.type("launch", path, **variables)
        assert code == 0, err
        return str(self.status(path.stem)["weights_sha256"])

    def folder(self, run: str) -> Path:
        """The run folder on the volume, as it is committed."""
        return self.volume.folder / "checkpoints" / run

    def weights(self, run: str) -> str:
        """The run's weights, as they are committed."""
        return str(json.loads((self.folder(run) / "stages" / "train.json").read_text())["weights_sha256"])

    def events(self, run: str, *names: str) -> list[dict[str, Any]]:
        """The run's events as they are committed."""
        events = self.plane.ledger(self.volume, run)
        return [event for event in events if not names or event["event"] in names]
