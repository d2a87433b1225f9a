"""What of this package a script finds on its path: the module and the hook, where its card asks for them."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import pytest

from cardrunner.workloads.command.process import script_environment
from tests.conftest import Zygote
from tests.workloads.command.bench import LOOP, Bench

PATTERN = r"report: {stdout: 'iter (?P<step>\d+): loss (?P<loss>\S+)'}"
MODULE = "  script_module: true\n  first_metric: 60s"
SHOWN = """
print('path', sorted(p.name for p in pathlib.Path(sys.path[1]).glob('*.py')), flush=True)
print('site', getattr(sys.modules.get('sitecustomize'), 'MARK', None), flush=True)
"""


@pytest.fixture
def bench(tmp_path: Path, zygote: Zygote) -> Bench:
    return Bench(tmp_path, zygote)


def test_a_card_that_asks_for_nothing_leaves_the_path_as_it_is(bench: Bench) -> None:
    bench.script("print('own path', os.environ.get('PYTHONPATH') or None, flush=True)\n" + LOOP)
    bench.run("launch", bench.signed())
    assert "own path None\n" in bench.folder.script_log.read_text()
    assert not bench.folder.script_modules.exists()


def test_the_module_alone_is_on_the_path_and_reports_values_of_any_kind(bench: Bench) -> None:
    bench.script(
        SHOWN + "import cardrunner_script as cardrunner, math\n"
        "class Tensor:\n"
        "    def __init__(self, value): self.value = value\n"
        "    def item(self): return self.value\n"
        "cardrunner.fact('parameters', 108_224)\n"
        "for step in range(1, 11):\n"
        "    time.sleep(0.1)\n"
        "    value = 1 / step\n"
        "    cardrunner.report(step=step, loss=[Tensor(value), f'{value}', value, Tensor(math.nan)][step % 4])\n"
        "    if cardrunner.should_stop(): sys.exit(3)\n"
    )
    warns = ("action: stop", "action: warn")
    bench.run("launch", bench.signed((PATTERN, "report: {}"), ("  first_metric: 60s", MODULE), warns))
    assert [event["step"] for event in bench.events("verdict")] == [3, 7], "a value that is no number never passes"
    log = bench.folder.script_log.read_text()
    assert "path ['cardrunner_script.py']" in log
    assert [entry.name for entry in bench.folder.script_modules.glob("*.py")] == ["cardrunner_script.py"]
    values = [row["val_loss"] for row in _metrics(bench)]
    assert [math.isnan(float(value)) for value in values] == [step % 4 == 3 for step in range(1, 11)]
    assert '"parameters": 108224' in bench.folder.script_state.read_text()


def test_a_value_that_is_no_number_fires_a_threshold_and_reaches_no_target(bench: Bench) -> None:
    bench.script(
        "import cardrunner_script as c\nfor s in range(1, 40): time.sleep(0.1); c.report(step=s, loss='nan')\n"
    )
    rule = ("{metric: loss, above: 1000, action: stop}", "{metric: loss, non_finite: true, action: stop}")
    bench.run("launch", bench.signed((PATTERN, "report: {}"), ("  first_metric: 60s", MODULE), rule), code=5)
    assert bench.events("verdict")[0]["step"] == 1
    assert "reached" not in (bench.folder.root / "results.md").read_text().split("## Targets")[-1].split("##")[0]


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_calls_of_wandb_are_read_where_the_card_asks_for_it_and_a_sitecustomize_still_runs(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench.environment = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    own = tmp_path_factory.mktemp("own")
    (own / "sitecustomize.py").write_text("MARK = 'the own one'\n")
    bench.script(
        SHOWN + "import numpy, torch, wandb\n"
        "run = wandb.init(project='p', dir=options.out)\n"
        "for step in range(1, 7):\n"
        "    value = [torch.tensor(1 / step), numpy.float32(1 / step), f'{1 / step}'][step % 3]\n"
        "    wandb.log({'iter': 5 * step, 'eval': {'loss': value}, 'table': [1, 2]}, commit=True)\n"
        "    time.sleep(0.2)\n"
        "run.finish()\n"
    )
    card = bench.signed(
        (PATTERN, "report: {wandb: {step: iter}}"),
        ("{name: loss, direction", "{name: loss, read: eval.loss, direction"),
        ("  first_metric: 60s", f"  environment: {{PYTHONPATH: {own}}}\n  first_metric: 60s"),
        ("steps: 10", "steps: 30"),
    )
    bench.run("launch", card)
    assert bench.steps() == [5, 10, 15, 20, 25, 30]
    assert [row["val_loss"] for row in _metrics(bench)] == pytest.approx([1 / step for step in range(1, 7)])
    log = bench.folder.script_log.read_text()
    assert "path ['sitecustomize.py']" in log
    assert "site the own one" in log
    assert [entry.name for entry in bench.folder.script_modules.glob("*.py")] == ["sitecustomize.py"]


def test_the_folder_comes_before_what_the_environment_has_on_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/a:/b")
    assert script_environment({}, [Path("/run/modules")])["PYTHONPATH"] == "/run/modules:/a:/b"
    assert script_environment({"PYTHONPATH": "/c"}, [Path("/run/modules")])["PYTHONPATH"] == "/run/modules:/c"
    monkeypatch.delenv("PYTHONPATH")
    assert script_environment({}, [Path("/run/modules")])["PYTHONPATH"] == "/run/modules"
    assert "PYTHONPATH" not in script_environment({})


def _metrics(bench: Bench) -> list[dict[str, float]]:
    import json

    return [json.loads(line)["metrics"] for line in bench.folder.history.read_text().splitlines()]
