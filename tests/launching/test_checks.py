"""The built-in checks of a checklist."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.errors import CardError, MissingExtra, UsageError
from cardrunner.gate.check_run import CheckResult
from cardrunner.gate.checklist import item_entries
from cardrunner.launching.checks import prove
from cardrunner.workspace import Workspace

REAL_GAMES = Path(__file__).parents[2] / "runcards" / "real-games.yaml"
MakeCard = Callable[..., Path]
Prove = Callable[..., CheckResult]


@pytest.fixture
def check(make_card: MakeCard, tmp_path: Path) -> Prove:
    """Run a check of a toy card: ``check({"file": "a.pt"}, {"data.examples": 5})``."""

    def go(what: object, changes: dict[str, object] | None = None) -> CheckResult:
        card = make_card({"checklist": [{"item": "it is there", "check": what}], **(changes or {})})
        loaded = load_card(card, registry.workload_spec)
        return prove(item_entries(loaded.card)[0], loaded, Workspace(tmp_path))

    return go


def test_a_file_that_is_there(check: Prove, tmp_path: Path) -> None:
    assert not check({"file": "data/a.pt"}).ok
    (tmp_path / "data").mkdir()
    assert not check({"file": "data"}).ok, "a folder is no file"
    (tmp_path / "data" / "a.pt").write_bytes(b"x" * 1500)
    result = check({"file": "data/a.pt"})
    assert result.ok
    assert result.evidence == "file: data/a.pt: is there, 1.5 kB"


def test_a_file_is_also_looked_for_where_data_files_are(
    check: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.pt").touch()
    assert not check({"file": "a.pt"}).ok
    monkeypatch.setenv("CARDRUNNER_DATA", str(elsewhere))
    assert check({"file": "a.pt"}).ok


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "~/key", "a/../../b", "C:/x"])
def test_a_file_outside_the_workspace_makes_the_card_invalid(check: Prove, path: str) -> None:
    with pytest.raises(CardError, match=r"checklist\[0\]\.check\.file: leaves the workspace"):
        check({"file": path})


def test_a_link_that_leaves_the_workspace_fails(check: Prove, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    result = check({"file": "link"})
    assert not result.ok
    assert "leaves the workspace" in result.ending


@pytest.mark.parametrize(
    ("name", "ok"), [("val_loss", True), ("accuracy", True), ("val_loss/total", True), ("f1", False)]
)
def test_a_metric_that_the_workload_computes(check: Prove, name: str, ok: bool) -> None:
    result = check({"metric": name})
    assert result.ok == ok
    assert ("computes no metric 'f1'; it computes val_loss/total" in result.ending) != ok


def test_data_that_is_what_the_card_says(check: Prove) -> None:
    result = check("data-facts", {"data.train_examples": 256})
    assert result.ok
    assert result.ending == "the data is what the card says"
    assert "ok: train examples is 256, the card says 256" in result.output


@pytest.fixture
def real_check(tmp_path: Path) -> Callable[..., CheckResult]:
    """Run `data-facts` for the shipped card on real games, after changes of its text."""

    def go(*changes: tuple[str, str]) -> CheckResult:
        text = REAL_GAMES.read_text()
        for old, new in (*changes, ("checklist:\n", "checklist:\n  - {item: the data fits, check: data-facts}\n")):
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "real-games.yaml").write_text(text)
        loaded = load_card(tmp_path / "real-games.yaml", registry.workload_spec)
        return prove(item_entries(loaded.card)[0], loaded, Workspace(tmp_path))

    return go


def test_data_that_is_nowhere_or_not_what_the_card_says(
    real_check: Callable[..., CheckResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARDRUNNER_DATA", raising=False)
    result = real_check()
    assert not result.ok
    assert "encoded-real-32.pt was not found" in result.ending
    (tmp_path / "encoded-real-32.pt").write_bytes(b"12345")
    result = real_check()
    assert not result.ok
    assert "size is 5 B (5 bytes), expected" in result.ending
    assert "error: size is 5 B" in result.output


def test_real_data_that_is_what_the_card_says(real_check: Callable[..., CheckResult]) -> None:
    if not os.environ.get("CARDRUNNER_DATA"):
        pytest.skip("CARDRUNNER_DATA is not set")
    result = real_check()
    assert result.ok, result.ending
    assert "ok: games is 32" in result.output


def test_without_what_opens_it_sizes_and_checksums_are_still_compared(
    real_check: Callable[..., CheckResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise MissingExtra("torch", "train", f"run the workload {name}")

    monkeypatch.setattr(registry, "workload", missing)
    monkeypatch.delenv("CARDRUNNER_DATA", raising=False)
    (tmp_path / "encoded-real-32.pt").write_bytes(b"12345")
    size = next(line.strip() for line in REAL_GAMES.read_text().splitlines() if line.startswith("  size: "))
    right = hashlib.sha256(b"12345").hexdigest()
    result = real_check((size, f'sha256: "{right}"'))
    assert result.ok, result.ending
    assert "the content was not opened (torch is not installed" in result.ending
    wrong = real_check((size, f'sha256: "{right[::-1]}"'))
    assert not wrong.ok
    assert wrong.ending.startswith(f"sha256 of encoded-real-32.pt is {right}, expected {right[::-1]}")


def test_a_volume_is_not_reached_without_a_token(check: Prove) -> None:
    pytest.importorskip("modal")
    assert "has no volume" in check("volume").ending
    modal = {"platform": "modal", "gpu": "T4", "timeout": "1h", "volume": "v"}
    result = check("volume", {"infra": modal})
    assert not result.ok
    assert "there is no Modal token here" in result.ending
    assert not check("data-facts", {"infra": modal}).ok


def test_an_item_without_a_check_cannot_be_proved(check: Prove) -> None:
    with pytest.raises(UsageError, match="has no check to run; a person ticks it"):
        check(None)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("data-fact", 'must be data-facts or volume; did you mean "data-facts"?'),
        ([], "needs at least 1 entry"),
        ([""], "is empty"),
        ([1], "must be text"),
        ({}, "file: is missing"),
        ({"files": "a"}, 'unknown key; did you mean "file"?'),
        ({"file": "a", "metric": "b"}, "unknown key"),
        (True, "must be a list"),
    ],
)
def test_something_else_makes_the_card_invalid(check: Prove, written: object, fault: str) -> None:
    with pytest.raises(CardError) as caught:
        check(written)
    assert fault in str(caught.value)
