from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest

from cardrunner.errors import IntegrityError, UsageError
from cardrunner.gate.ssh import NAMESPACE, read_allowed_signers
from cardrunner.gate.ssh.sign import sign_text
from cardrunner.launching.signed_seals import SignedSeal, sign_seal, signed_seals, signed_text
from cardrunner.main import main
from cardrunner.runs.events import AttemptEnded, AttemptStarted
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.seals import changing, newest_seal
from tests.conftest import MakeToyRun
from tests.gate.conftest import Desk

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def folder(toy_run: MakeToyRun) -> RunFolder:
    """A run that ended and was sealed, in the workspace of the desk."""
    folder = toy_run().folder
    ledger = Ledger(folder.ledger)
    ledger.append(AttemptStarted(attempt=1))
    ledger.append(AttemptEnded(attempt=1, state="completed", exit_code=0))
    render(folder, "the page\n")
    return folder


def render(folder: RunFolder, text: str) -> None:
    with changing(folder, "report", warn=pytest.fail):
        write_text(folder.results, text)


def signed(desk: Desk, folder: RunFolder, person: str = "ada") -> Path:
    signers = read_allowed_signers(desk.workspace.levels)
    return sign_seal(folder, key=desk.keys[person], signers=signers, at=NOW, say=print)


def seen(desk: Desk, folder: RunFolder) -> SignedSeal:
    (found,) = signed_seals(folder, signers=read_allowed_signers(desk.workspace.levels), at=NOW)
    return found


def test_a_signed_seal_says_whose_it_is(ssh_desk: Desk, folder: RunFolder) -> None:
    path = signed(ssh_desk, folder)
    assert path == folder.seal_signature(2, "ada")
    assert seen(ssh_desk, folder) == SignedSeal(number=2, file="seals/0002-ada.sig", signer="ada", problem=None)


def test_a_later_seal_leaves_the_signed_one_as_it_was(ssh_desk: Desk, folder: RunFolder) -> None:
    signed(ssh_desk, folder)
    render(folder, "another page\n")
    newest = newest_seal(folder)
    assert newest is not None
    assert (newest.seal.number, newest.seal.changed) == (3, ("results.md",))
    assert seen(ssh_desk, folder).problem is None


def test_an_open_run_is_sealed_before_it_is_signed(ssh_desk: Desk, folder: RunFolder) -> None:
    Ledger(folder.ledger).append(AttemptStarted(attempt=2))
    Ledger(folder.ledger).append(AttemptEnded(attempt=2, state="completed", exit_code=0))
    assert signed(ssh_desk, folder) == folder.seal_signature(3, "ada")


def test_a_folder_whose_seals_were_written_anew_fits_no_signature(ssh_desk: Desk, folder: RunFolder) -> None:
    """What no checksum shows: all of them were computed anew."""
    signed(ssh_desk, folder)
    kept = folder.seal_signature(2, "ada").read_text()
    shutil.rmtree(folder.seals)
    folder.results.write_text("a forged page\n")
    folder.ledger.write_bytes(b"".join(folder.ledger.read_bytes().splitlines(keepends=True)[:3]))
    for _ in range(2):
        with changing(folder, "report", warn=lambda _: None):
            pass
    folder.seal_signature(2, "ada").write_text(kept)
    assert seen(ssh_desk, folder).problem == "the signature does not fit the seal: one was changed"


def test_a_signature_for_approvals_is_none_of_a_seal(ssh_desk: Desk, folder: RunFolder) -> None:
    newest = newest_seal(folder)
    assert newest is not None
    armored = sign_text(signed_text(folder, newest), key=ssh_desk.keys["ada"], namespace=NAMESPACE)
    folder.seal_signature(2, "ada").write_text(armored)
    assert "not for a seal" in str(seen(ssh_desk, folder).problem)


def test_the_name_of_a_signature_is_checked_against_its_key(ssh_desk: Desk, folder: RunFolder) -> None:
    signed(ssh_desk, folder).rename(folder.seal_signature(2, "lee"))
    assert "with the key of ada, not of lee" in str(seen(ssh_desk, folder).problem)


def test_a_key_that_is_not_listed_signs_nothing(ssh_desk: Desk, folder: RunFolder) -> None:
    with pytest.raises(UsageError, match="is not in allowed_signers"):
        signed(ssh_desk, folder, "eve")
    assert list(folder.seals.glob("*.sig")) == []


def test_a_damaged_run_is_not_signed(ssh_desk: Desk, folder: RunFolder) -> None:
    folder.plan.write_text("{}\n")
    with pytest.raises(IntegrityError, match=r"plan\.json"):
        signed(ssh_desk, folder)


def test_the_command_signs_and_says_who_did(
    ssh_desk: Desk, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ssh_desk.workspace.root)
    (ssh_desk.workspace.root / "runcards").mkdir(exist_ok=True)
    assert main(["seal", folder.name]) == 0
    assert capsys.readouterr().out == "no seal of toy-run is signed\n"
    assert main(["seal", folder.name, "--key", str(ssh_desk.keys["ada"])]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "seal 2 of 2: signed by ada"
    folder.seal_signature(2, "ada").write_text("nonsense")
    assert main(["seal", folder.name]) == 4
    assert "seals/0002-ada.sig: the signature" in capsys.readouterr().err
