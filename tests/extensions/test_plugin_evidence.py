"""The packages whose plug-ins a run uses are part of its evidence, as cardrunner's own sources are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]
MakeCard = Callable[..., Path]
HERE = Path(__file__).parent
FAILS_ONCE: dict[str, Any] = {
    "training.toy.raise_at": 12,
    "training.checkpoint_every": "4 steps",
    "kill_thresholds": [{"metric": "val_loss/total", "rises_by": 100, "action": "stop"}],
}


def recorded(runs: Path) -> list[dict[str, Any]]:
    """The packages that the newest attempt recorded."""
    lines = [json.loads(line) for line in (runs / "toy-run" / "ledger.jsonl").read_text().splitlines()]
    started = [line for line in lines if line["event"] == "attempt_started"]
    found: list[dict[str, Any]] = started[-1]["environment"]["plugins"]
    return found


def test_a_run_names_its_plug_in_packages_and_a_changed_one_is_told_as_changed_code_is(
    installed: Installed, cardrunner: Command, make_card: MakeCard, tmp_path: Path
) -> None:
    env = installed(HERE / "kill_rule", HERE / "results_section")
    assert cardrunner("launch", str(make_card(FAILS_ONCE)), "--quiet", env=env).returncode == 1
    rules, section = recorded(tmp_path / "runs")
    assert (rules["package"], rules["version"], rules["adds"]) == ("acme-rules", "1.2", ["kill rule rises_by"])
    assert [name.partition(" slow")[0] for name in section["adds"]] == ["results section"]
    page = (tmp_path / "runs" / "toy-run" / "results.md").read_text()
    assert f"| Plug-ins of acme-rules | 1.2, sources {rules['sha256'][:12]}: kill rule rises\\_by |" in page.replace(
        "rises_by |", "rises\\_by |"
    )

    with (tmp_path / "site" / "acme_rules.py").open("a") as module:
        module.write("# another version of the same number\n")
    refused = cardrunner("resume", "toy-run", env=env)
    assert refused.returncode == 4, refused.stderr
    assert "it was trained with other plug-ins ({'acme-rules': '1.2, sources" in refused.stderr
    assert "it was trained by other code" not in refused.stderr

    assert cardrunner("resume", "toy-run", "--acknowledge", "a comment", env=env).returncode == 0
    assert recorded(tmp_path / "runs")[0]["sha256"] != rules["sha256"]
    page = (tmp_path / "runs" / "toy-run" / "results.md").read_text()
    assert "although it was trained with other plug-ins" in page


def test_a_run_without_plug_ins_names_none_and_resumes_without_a_word(
    installed: Installed, cardrunner: Command, make_card: MakeCard, tmp_path: Path
) -> None:
    env = installed()
    card = make_card({name: value for name, value in FAILS_ONCE.items() if name != "kill_thresholds"})
    assert cardrunner("launch", str(card), "--quiet", env=env).returncode == 1
    assert recorded(tmp_path / "runs") == []
    assert cardrunner("resume", "toy-run", env=env).returncode == 0
