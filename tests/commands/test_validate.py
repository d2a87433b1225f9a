from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cardrunner.main import main

ROOT = Path(__file__).parents[2]
POLICY = str(ROOT / "runcards" / "policy-22k.yaml")
TYPO = str(ROOT / "tests" / "cards" / "invalid" / "typo-in-key.yaml")
SHORT = str(ROOT / "tests" / "cards" / "valid" / "policy-22k-short.yaml")


def test_the_shipped_card_is_valid_and_its_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", POLICY]) == 0
    out, err = capsys.readouterr()
    assert [": warning: " in line for line in out.splitlines()] == [True, True, True]
    assert err == "1 card, 0 faults, 3 warnings\n"


def test_a_fault_is_a_line_with_file_line_column_path_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", TYPO]) == 2
    out, err = capsys.readouterr()
    assert f'{TYPO}:25:3: training.epoch: unknown key; did you mean "epochs"?' in out.splitlines()
    assert err == "1 card, 2 faults, 0 warnings\n"


def test_many_cards_are_checked_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", SHORT, TYPO, POLICY, "/nowhere/card.yaml"]) == 2
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        TYPO,
        TYPO,
        POLICY,
        POLICY,
        POLICY,
        "/nowhere/card.yaml",
    ]
    assert err == "4 cards, 3 faults, 3 warnings\n"


def test_json_stands_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--json", TYPO, POLICY]) == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {key for entry in found for key in entry} == {"file", "line", "column", "path", "message", "severity"}
    assert [entry["severity"] for entry in found] == ["error", "error", "warning", "warning", "warning"]
    assert err.endswith("warnings\n")


def test_quiet_says_nothing_about_a_valid_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--quiet", SHORT]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["validate", "digest", "render"])
def test_reading_a_card_imports_nothing_heavy(command: str) -> None:
    heavy = {"torch", "modal", "wandb", "numpy", "matplotlib", "peppi_py", "cryptography"}
    heavy |= {"rich", "cardrunner.contracts"} | ({"jinja2"} if command == "validate" else set())
    probe = f"import sys; from cardrunner.main import main; main([{command!r}, {SHORT!r}])"
    probe += f"; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_no_card_file_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(100 * 2**20)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "nowhere.yaml").symlink_to("gone.yaml")
    names = ("pipe.yaml", "huge.yaml", "folder.yaml", "nowhere.yaml")
    began = time.process_time()
    assert main(["validate", "/dev/zero", *(str(tmp_path / name) for name in names)]) == 2
    lines = capsys.readouterr().out.splitlines()
    said = ("not a regular file", "not a regular file", "larger than 256 KB", "not a regular file", "no such file")
    assert len(lines) == len(said)
    assert all(sentence in line and ":1:1: " in line for line, sentence in zip(lines, said, strict=True))
    assert time.process_time() - began < 1


def test_a_card_made_to_take_long_does_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = Path(SHORT).read_text()
    rule = "  - {metric: val_loss/total, above: 1, action: stop}\n"
    earlier = "".join(f"  - {{run: baseline-number-{n}, metrics: {{val_stick_mae: 1}}}}\n" for n in range(1100))
    misspelled = "".join(
        f"  - {{metric: val_stick_mae, below: 1, baseline: baseline-numbre-{n}}}\n" for n in range(190)
    )
    for number, big in enumerate(
        (
            text + "".join(f"key{number}: 1\n" for number in range(4500)),
            text.replace("kill_thresholds:\n", "kill_thresholds:\n" + rule * 1500),
            text.replace("{training.batch_size: 512}", "{" + ", ".join(f"training.x{n}: 1" for n in range(4000)) + "}"),
            text.replace("{games: 4000, player: p0}", "{" + ", ".join(f"k{n}: []" for n in range(4000)) + "}"),
            text.replace(
                "training:\n", f"training:\n  keep_best: [{', '.join(f'val_stick_ma{n}' for n in range(4000))}]\n"
            ),
            text.replace("baselines:\n", "baselines:\n" + earlier).replace("targets:\n", "targets:\n" + misspelled),
            text + "x: " + "[" * 24 + "\n " * 100_000 + "]" * 24 + "\n",
        )
    ):
        (tmp_path / f"{number}.yaml").write_text(big)
        began = time.process_time()
        assert main(["validate", str(tmp_path / f"{number}.yaml")]) == 2
        assert time.process_time() - began < 1
        assert 1 <= len(capsys.readouterr().out.splitlines()) <= 101
