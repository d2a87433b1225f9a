"""Forgeries of one card, more in `nox -s mutations` and `nox -s long`.

`python -m benchmarks.forgeries` tries thousands.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.forgeries.attack import Tally, attack, verifying_seconds
from benchmarks.forgeries.office import Office, Policy, base_card
from cardrunner import main as command

MakeCard = Callable[..., Path]
KINDS = {
    "a leaf changed", "a key taken out", "copied from another card", "copied from another run name", "self-approval",
    "a stranger's key", "one key under two names", "an expired key, dated back", "a revoked key, dated back",
    "dated in the future", "another namespace", "truncated", "a character changed", "more than one signature",
    "a statement retold", "a typed status", "a reviewer dropped", "the policy lowered and signed anew", "swapped",
}  # fmt: skip


@pytest.fixture
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    policy: Policy = request.param
    if policy == "ssh" and shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return Office(tmp_path, policy)


@pytest.mark.parametrize("office", ["ssh"], indirect=True)
def test_under_ssh_no_forgery_of_one_card_launches(office: Office) -> None:
    tally = attack(office, seed=1, layouts=2, kept=1, tries=1, every=40, resumed=12, names=("quickstart",))
    assert tally.total > 300
    assert {kind for kind, _ in tally.forgeries} >= KINDS - {"copied from another card"}
    nothing_got_through(tally)


@pytest.mark.mutations
@pytest.mark.parametrize(("layouts", "every"), [(4, 40), pytest.param(10, 3, marks=pytest.mark.long)])
@pytest.mark.parametrize("office", ["ssh"], indirect=True)
def test_under_ssh_no_forgery_launches_and_every_honest_card_does(office: Office, layouts: int, every: int) -> None:
    cards = ("quickstart", "real-games")
    tally = attack(office, seed=1, layouts=layouts, kept=1, tries=1, every=every, resumed=6, names=cards)
    assert tally.total > 400
    assert {kind for kind, _ in tally.forgeries} >= KINDS
    nothing_got_through(tally)


@pytest.mark.parametrize("office", ["digest"], indirect=True)
def test_under_digest_no_change_of_one_card_launches(office: Office) -> None:
    tally = attack(office, seed=2, layouts=2, kept=1, tries=1, every=3, resumed=4, names=("quickstart",))
    assert tally.total > 20
    nothing_got_through(tally)


@pytest.mark.mutations
@pytest.mark.parametrize(("layouts", "every"), [(4, 2), pytest.param(10, 1, marks=pytest.mark.long)])
@pytest.mark.parametrize("office", ["digest"], indirect=True)
def test_under_digest_no_change_of_content_launches(office: Office, layouts: int, every: int) -> None:
    tally = attack(office, seed=2, layouts=layouts, kept=1, tries=3, every=every, resumed=4, names=("policy-22k",))
    assert tally.total > 100
    nothing_got_through(tally)


def nothing_got_through(tally: Tally) -> None:
    assert [case.kind for case in tally.escaped] == []
    assert [case.kind for case in tally.resumed] == []
    assert [case.kind for case in tally.refused_controls] == []
    assert tally.controls > 8
    assert tally.broken_layouts == ()


@pytest.mark.parametrize("office", ["ssh"], indirect=True)
def test_verifying_one_signature_takes_less_than_five_milliseconds(office: Office) -> None:
    assert verifying_seconds(office, repetitions=15) < 0.005


@pytest.mark.parametrize("office", ["ssh"], indirect=True)
@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (lambda office, text: office.signed(text), 0),
        (lambda office, text: office.signed(text).replace("epochs: 6", "epochs: 7"), 3),
        (lambda office, text: office.signed(text, by=["mattie"]), 3),
        (lambda office, text: office.with_statement(office.signed(text), "scav", key="eve"), 3),
        (lambda office, text: office.with_statement(office.signed(text), "scav", key="ada"), 3),
        (lambda office, text: office.signed(text).replace("SSH SIGNATURE", "SSH  SIGNATURE", 1), 3),
        (lambda office, text: f"status: APPROVED\n{text}", 2),
    ],
    ids=["honest", "edited", "one of two", "a stranger", "the author", "damaged", "typed"],
)
def test_the_command_says_the_same_with_its_exit_code(
    office: Office,
    forge: Callable[[Office, str], str],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = office.workspace("usual").root
    (root / "runcards").mkdir()
    card = root / "runcards" / "quickstart.yaml"
    # signed in 2030 by the office's clock, which is not that of this machine
    monkeypatch.setattr("benchmarks.forgeries.office.NOW", datetime.datetime.now(datetime.UTC))
    card.write_text(forge(office, base_card("quickstart", "ssh")))
    assert command.main(["launch", str(card), "--dry-run"]) == code, capsys.readouterr().err
    assert not (root / "runs").exists()
    capsys.readouterr()
