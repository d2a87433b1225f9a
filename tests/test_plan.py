from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.main import main
from cardrunner.plan import describe, plan_card

MakeCard = Callable[..., Path]


def test_a_plan_says_what_a_launch_would_do(signed_card: Path) -> None:
    plan = plan_card(signed_card).plan
    assert [(stage.name, stage.side) for stage in plan.stages] == [
        ("load", "worker"), ("train", "worker"), ("checkpoint", "worker"),
        ("download", "launcher"), ("demo", "launcher"), ("report", "launcher"),
    ]  # fmt: skip
    assert (plan.run, plan.executor, plan.gate.open, plan.gate.signed_by) == ("toy-run", "inline", True, ("mattie",))
    assert plan.configuration["training"]["epochs"] == 3
    assert plan.unchecked == ("the data: it is generated when the run begins",)


def test_a_closed_gate_is_part_of_the_plan_not_an_error(
    make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    card = make_card({"sign_off.reviewers": [{"id": "ada", "signed": None}]})
    assert main(["plan", str(card), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["gate"]["open"] is False
    assert "ada" in plan["gate"]["findings"][0]


def test_time_and_cost_are_those_of_each_calibration(make_card: MakeCard) -> None:
    card = make_card(
        {
            "infra": {"platform": "local", "price": "$0.60/h", "timeout": "12h", "retries": 1},
            "timing": {"calibration": [1, 3], "epoch": "2h", "data_load": "0s", "budget": "$5"},
        }
    )
    plan = plan_card(card).plan
    assert [(column.factor, column.total_seconds, column.covered_by_timeout) for column in plan.estimates] == [
        (1, 21600, True),
        (3, 64800, False),
    ]
    assert [column.cost_usd for column in plan.estimates] == pytest.approx([3.6, 10.8])
    assert (plan.worst_case.seconds, plan.worst_case.cost_usd, plan.worst_case.limited_by) == (86400, 5.0, "the budget")
    assert "worst case   24h, $5.00 (limited by the budget)" in list(describe(plan))


def test_a_card_without_limits_says_so(signed_card: Path) -> None:
    assert "worst case   nothing limits the time or the cost" in list(describe(plan_card(signed_card).plan))


def test_a_card_with_faults_has_no_plan(make_card: MakeCard, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(make_card({"training.epochs": 0}))]) == 2
    assert "training.epochs" in capsys.readouterr().err


def test_planning_imports_no_torch(signed_card: Path) -> None:
    probe = (
        "import sys; from cardrunner.main import main; main(['plan', sys.argv[1], '--json'])\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'matplotlib')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", probe, str(signed_card)], capture_output=True, check=False).returncode
        == 0
    )
