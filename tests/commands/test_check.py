from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import main as command, registry
from cardrunner.card.load import load_card
from cardrunner.card.schema.sign_off import ChecklistItem

SHIPPED = Path(__file__).parents[2] / "runcards" / "policy-22k.yaml"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a shipped card in a workspace of its own; its second item is proven by the file `ready` being there."""
    if not SHIPPED.exists():
        pytest.skip("runcards/policy-22k.yaml is not there")
    (tmp_path / "runcards").mkdir()
    monkeypatch.chdir(tmp_path)
    path = Path(shutil.copy(SHIPPED, "runcards/policy-22k.yaml"))
    old = "check: [python, -m, pytest, -q, tests/workloads/melee]"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, "check: [cat, ready]"))
    return path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], card: Path) -> Run:
    """Run `check` on the card: exit code, stdout, stderr."""

    def go(*words: str) -> tuple[int, str, str]:
        code = command.main(["check", str(card), *words])
        out, err = capfd.readouterr()
        return code, out, err

    return go


def item(card: Path, number: int) -> ChecklistItem:
    return load_card(card, registry.workload_spec).card.checklist[number - 1]


def test_a_check_that_passes_ticks_its_item_with_evidence(run: Run, card: Path) -> None:
    Path("ready").write_text("all is well\n")
    before, digest = card.read_text(), load_card(card, registry.workload_spec).digest
    code, out, err = run("2")
    assert (code, err) == (0, "")
    assert "checklist 2 (PolicyFrameDataset from pre-encoded data): cat ready\nall is well\n" in out
    assert "checklist 2 (PolicyFrameDataset from pre-encoded data): done (exit code 0 after" in out
    done = item(card, 2)
    assert done.done
    assert done.at is not None
    assert done.evidence is not None
    assert done.evidence.startswith("cat ready: exit code 0 after")
    assert done.evidence.endswith("\nall is well")
    assert load_card(card, registry.workload_spec).digest == digest
    untouched = set(before.splitlines()) - set(card.read_text().splitlines())
    assert untouched == set(), "every other line is as it was"


def test_a_check_that_fails_is_refused_and_the_card_stays(run: Run, card: Path) -> None:
    before = card.read_bytes()
    code, out, err = run("2")
    assert code == 3
    assert "No such file" in out
    assert err == (
        "checklist 2 (PolicyFrameDataset from pre-encoded data): its check failed: "
        f"exit code 1 after {err.partition('after ')[2].partition(';')[0]}; "
        "run: cardrunner check runcards/policy-22k.yaml 2\n"
    )
    assert card.read_bytes() == before


def test_a_tick_that_is_no_longer_true_is_taken_back(run: Run, card: Path) -> None:
    before = card.read_bytes()
    Path("ready").touch()
    run("2", "--as", "ada")
    assert item(card, 2).by == "ada"
    Path("ready").unlink()
    code, _, err = run("2")
    assert code == 3
    assert "its tick was removed" in err
    assert card.read_bytes() == before


def test_a_person_ticks_and_unticks_what_only_a_person_can_judge(run: Run, card: Path) -> None:
    before = card.read_bytes()
    code, out, _ = run("perspective swap", "--done", "--as", "ada", "--note", 'seen: "it" swaps # twice')
    assert (code, out) == (0, "checklist 3 (Perspective swap in PolicyAgent): done, says ada\n")
    assert (item(card, 3).by, item(card, 3).evidence) == ("ada", 'seen: "it" swaps # twice')
    assert run("3")[0] == 0
    assert run("3", "--undo") == (0, "checklist 3 (Perspective swap in PolicyAgent): open\n", "")
    assert card.read_bytes() == before
    assert run("3", "--undo")[0] == 0


def test_without_an_item_every_check_is_run_and_the_human_ones_are_listed(run: Run, card: Path) -> None:
    Path("ready").touch()
    code, out, err = run()
    assert (code, err) == (0, "")
    assert item(card, 2).done
    command = "cardrunner check runcards/policy-22k.yaml 3 --done --as YOUR-ID"
    assert f"3 (Perspective swap in PolicyAgent): is not done; run: {command}" in out


def test_without_an_item_a_failing_check_is_refused_after_all_were_run(run: Run, card: Path) -> None:
    before = card.read_bytes()
    code, out, err = run("--quiet")
    assert code == 3
    assert "its check failed" in err
    assert out.count("--done --as YOUR-ID") == 2
    assert card.read_bytes() == before


def test_conditions_of_an_approval_are_ticked_with_who(run: Run, card: Path) -> None:
    command.main(["sign", str(card), "--as", "scav", "--yes", "--condition", "tell: everybody", "--condition", "rerun"])
    signed = card.read_bytes()
    assert run("condition:scav:1")[0] == 3
    code, out, _ = run("condition:scav:1", "--done", "--as", "ada", "--note", "told them")
    assert code == 0
    assert "condition 1 of scav (tell: everybody): done, says ada" in out
    assert run("condition:scav:1")[0] == 0
    assert run("condition:scav:2", "--done", "--as", "ada")[0] == 0
    reviewer = load_card(card, registry.workload_spec).card.sign_off.reviewers[0]
    assert [(met.condition, met.by, met.evidence) for met in reviewer.signed.met] == [  # type: ignore[union-attr]
        ("tell: everybody", "ada", "told them"),
        ("rerun", "ada", None),
    ]
    assert run("condition:scav:1", "--undo")[0] == 0
    assert run("condition:scav:1")[0] == 3
    assert run("condition:scav:2", "--undo")[0] == 0
    assert card.read_bytes() == signed


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("3",), 3, "is not done; run: cardrunner check runcards/policy-22k.yaml 3 --done --as YOUR-ID"),
        (("3", "--done"), 2, "a person has to tick it; name them with --as ID"),
        (("3", "--done", "--as", "YOUR-ID"), 2, "write your own id in place of YOUR-ID"),
        (("3", "--done", "--as", "a b"), 2, "'a b' is not an id"),
        (
            ("2", "--done", "--as", "ada"),
            2,
            "it has a check, which a person cannot replace; run it: cardrunner check runcards/policy-22k.yaml 2",
        ),
        (("3", "--note", "x"), 2, "give it with --done"),
        (("--done", "--as", "ada"), 2, "are about one item; name it"),
        (("--undo",), 2, "are about one item; name it"),
        (("9",), 2, "there is no item '9'"),
        (("condition:scav:1", "--done", "--as", "ada"), 2, "a signature of scav is not there or has no conditions"),
        (("3", "--done", "--as", "ada", "--note", "a\u202eb"), 2, "RIGHT-TO-LEFT OVERRIDE"),
    ],
)
def test_what_cannot_be_ticked_is_refused(
    run: Run, card: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    before = card.read_bytes()
    got, _, err = run(*words)
    assert got == code
    assert sentence in err
    assert card.read_bytes() == before


def test_output_with_terminal_codes_is_kept_as_plain_text(run: Run, card: Path) -> None:
    Path("ready").write_bytes(b"\x1b[32mgreen\x1b[0m \x00\xff \xe2\x80\xae end\n")
    assert run("2", "--quiet")[0] == 0
    assert str(item(card, 2).evidence).endswith("\ngreen \ufffd\ufffd \ufffd end")
