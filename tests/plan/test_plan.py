from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.main import main
from cardrunner.plan import Plan, describe, plan_card
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import read_json

MakeCard = Callable[..., Path]
POLICY = Path(__file__).parents[2] / "runcards" / "policy-22k.yaml"


def test_a_plan_says_what_a_launch_would_do(signed_card: Path) -> None:
    plan = plan_card(signed_card).plan
    assert [(stage.name, stage.side, stage.executor) for stage in plan.stages] == [
        ("load", "worker", "inline"), ("train", "worker", "inline"), ("checkpoint", "worker", "inline"),
        ("download", "launcher", "here"), ("demo", "launcher", "here"), ("report", "launcher", "here"),
    ]  # fmt: skip
    assert (plan.run, plan.executor, plan.gate.open, plan.gate.signed_by) == ("toy-run", "inline", True, ("mattie",))
    assert plan.resources.available
    assert [(one.what, one.why) for one in plan.unchecked] == [("the data", "it is generated when the run begins")]
    work = plan.work
    assert (work.train_examples, work.val_examples, work.batches_per_epoch, work.steps) == (256, 64, 8, 24)


def test_every_training_value_is_resolved_and_says_who_chose_it(signed_card: Path) -> None:
    plan = plan_card(signed_card).plan
    settings = {setting.path: (setting.text, setting.stated) for setting in plan.settings}
    assert settings["training.epochs"] == ("3", True)
    assert settings["training.log_every"] == ("3 steps", True)
    assert settings["training.select.metric"] == ("val_loss/total", True)
    assert settings["training.optimizer"] == ("adamw", False)
    assert settings["training.toy.step_ms"] == ("0", False)
    fields = {path.split(".")[1] for path in settings if path.startswith("training.")}
    assert fields == set(plan.configuration["training"])


def test_a_closed_gate_is_part_of_the_plan_not_an_error(
    make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card({"sign_off.reviewers": [{"id": "ada", "signed": None}], "checklist": [{"item": "ask Ana"}]})
    assert main(["plan", str(card), "--json"]) == 0
    gate = json.loads(capsys.readouterr().out)["gate"]
    assert gate["open"] is False
    assert [("ada" in box["what"], "ask Ana" in box["what"]) for box in gate["findings"]] == [
        (False, True),
        (True, False),
    ]
    assert all(set(box) == {"what", "why", "command"} for box in gate["findings"])


def test_the_json_on_stdout_is_the_whole_plan_and_nothing_else(
    signed_card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(signed_card), "--json"]) == 0
    seen = capsys.readouterr()
    assert seen.err == ""
    assert Plan.model_validate_json(seen.out) == plan_card(signed_card).plan
    assert set(json.loads(seen.out)) == set(Plan.model_fields)


def test_the_run_folder_keeps_the_plan_of_its_launch(signed_card: Path, tmp_path: Path) -> None:
    plan = plan_card(signed_card).plan
    assert main(["launch", str(signed_card), "--quiet"]) == 0
    kept = read_json(RunFolder(tmp_path / "runs" / "toy-run").plan)
    assert kept == json.loads(plan.model_dump_json())


def test_a_plan_says_what_would_refuse_the_launch_besides_the_gate(
    signed_card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_card(signed_card).plan
    assert (plan.run_folder, plan.name_taken, plan.resources.missing) == (str(tmp_path / "runs/toy-run"), False, None)
    (tmp_path / "runs/toy-run").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "torch", None)
    plan = plan_card(signed_card).plan
    assert (plan.name_taken, plan.resources.missing) == (
        True,
        "torch is not installed; to run the workload toy: pip install 'cardrunner[train]'",
    )
    text = " ".join(" ".join(describe(plan)).split())
    assert f"{plan.run_folder} exists: a launch would refuse" in text
    assert "a launch would refuse: torch is not installed" in text


def test_a_plan_names_what_is_left_in_the_workspace_who_watches_and_what_nothing_needs() -> None:
    plan = plan_card(POLICY).plan
    text = " ".join(" ".join(describe(plan)).split())
    assert "the best checkpoint to worldmodel/checkpoints/policy-22k/best.pt demo: policy:best against" in text
    assert "at most 20,000 frames, a copy to demo-22k-agents-v2.json" in text
    assert "tracked by Weights & Biases in shinewave/melee-worldmodel" in text
    assert "val_metric/button_change_f1" in plan.also_computed
    assert not set(plan.also_computed) & {metric.name for metric in plan.metrics}
    assert "also computed, unused here: val_loss/analog" in text


def test_a_card_with_faults_has_no_plan(make_card: MakeCard, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(make_card({"training.epochs": 0}))]) == 2
    assert "training.epochs" in capsys.readouterr().err


def test_a_plan_executes_no_check_and_writes_nothing(make_card: MakeCard, tmp_path: Path) -> None:
    touch = [sys.executable, "-c", f"open({str(tmp_path / 'touched')!r}, 'w')"]
    card = make_card({"checklist": [{"item": "it works", "check": touch}]})
    before = sorted(tmp_path.rglob("*"))
    plan = plan_card(card).plan
    assert sorted(tmp_path.rglob("*")) == before
    assert ("what the check of the checklist would say now", "a plan executes nothing of the card") in [
        (one.what, one.why) for one in plan.unchecked
    ]


def test_planning_imports_no_torch(signed_card: Path) -> None:
    probe = (
        "import sys; from cardrunner.main import main; main(['plan', sys.argv[1], '--json'])\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'matplotlib')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", probe, str(signed_card)], capture_output=True, check=False).returncode
        == 0
    )


def test_a_card_for_a_volume_says_what_nobody_can_see_from_here() -> None:
    plan = plan_card(POLICY).plan
    unseen = " ".join(one.what for one in plan.unchecked)
    assert all(word in unseen for word in ("data files", "volume", "T4", "prices", "Weights & Biases", "world"))
    assert plan.data == ()
    assert plan.resources.volume == "melee-training-data"


def test_the_text_fits_80_columns_but_for_commands_that_are_copied() -> None:
    lines = list(describe(plan_card(POLICY).plan))
    assert all(len(line) <= 80 or line.strip().startswith("cardrunner ") for line in lines)
    assert lines[0] == "run          policy-22k, workload melee-policy"


def test_the_text_of_a_small_card_reads_like_this(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(
        {
            "infra": {"platform": "local", "price": "$0.60/h", "timeout": "12h", "retries": 1},
            "timing": {"calibration": [1, 3], "epoch": "2h", "budget": "$5"},
            "kill_thresholds": [{"metric": "val_loss", "above": 2, "action": "stop"}],
        }
    )
    text = "\n".join(describe(plan_card(card).plan))
    for part in (
        "gate         open, signed by mattie\n",
        "stages       load → train → checkpoint → download → demo → report\n",
        "steps        256 examples train, 8 steps an epoch, 24 in all; 64 examples\n             validate\n",
        "estimate         epoch  loading  whole run    cost  examples/s  in the timeout\n"
        "             1x     2h       0s         6h   $3.60       0.036  yes\n"
        "             3x     6h       0s        18h  $10.80       0.012  no\n",
        "prices       this machine: $0.60 per hour, as the card says\n",
        "             3x takes 18h: 2 attempts; `cardrunner resume toy-run` starts each\n             next one\n",
        "worst case   24h, $14.40 (2 attempts of 12h)\n",
        "             what ends it first: the budget\n",
        "metrics      val_loss/total, here val_loss, smaller is better\n",
        "               kill threshold: > 2: stop\n",
    ):
        assert part in text, text


def test_without_a_terminal_the_plan_says_how_to_sign(
    make_card: MakeCard, signed_card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(signed_card)]) == 0
    assert "cardrunner sign" not in capsys.readouterr().err
    card = make_card({"sign_off.reviewers": [{"id": "ada", "signed": None}]})
    assert main(["plan", str(card)]) == 0
    assert "cardrunner sign: without a terminal add --yes, once the card is read" in capsys.readouterr().err
