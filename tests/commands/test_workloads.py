"""`cardrunner workloads`: what can be trained here."""

from __future__ import annotations

import json
import sys

import pytest

from cardrunner import registry
from cardrunner.main import main


def test_every_workload_is_listed_with_its_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workloads"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("toy: cardrunner ")
    assert lines[1:4] == [
        "  val_loss/total                   lower is better   nats",
        "  val_metric/accuracy              higher is better  share of examples",
        "  val_metric/first_class_accuracy  higher is better  share of examples of the first class",
    ]
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == list(registry.workload_names())


def test_scripts_read_the_same_and_what_each_metric_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workloads", "--json"]) == 0
    toy = json.loads(capsys.readouterr().out)[0]
    assert (toy["name"], toy["package"], toy["fault"]) == ("toy", "cardrunner", None)
    assert toy["metrics"][0] == {
        "name": "val_loss/total",
        "direction": "min",
        "unit": "nats",
        "meaning": "the loss that is trained: weighted cross entropy",
    }


def test_one_that_lacks_a_package_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["workloads"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  torch is not installed; to run the workload toy: pip install 'cardrunner[train]'"
