from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner import main as command, registry
from cardrunner.card.load import load_card
from cardrunner.card.reading.edit import Edit
from cardrunner.commands.card_edits import save_edits
from cardrunner.errors import UsageError

SHIPPED = Path(__file__).parents[2] / "runcards" / "policy-22k.yaml"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a shipped, unsigned card in a workspace of its own."""
    if not SHIPPED.exists():
        pytest.skip("runcards/policy-22k.yaml is not there")
    (tmp_path / "runcards").mkdir()
    monkeypatch.chdir(tmp_path)
    shutil.copy(SHIPPED, "runcards/policy-22k.yaml")
    return Path("runcards/policy-22k.yaml")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], card: Path) -> Run:
    """Run a command about the card: exit code, stdout, stderr."""

    def go(name: str, *words: str) -> tuple[int, str, str]:
        code = command.main([name, str(card), *words])
        out, err = capfd.readouterr()
        return code, out, err

    return go


def changed_lines(before: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
    old, new = before.split(b"\n"), after.split(b"\n")
    assert len(old) == len(new)
    return [(a, b) for a, b in zip(old, new, strict=True) if a != b]


def test_signing_shows_the_page_writes_one_line_and_keeps_what_was_signed(run: Run, card: Path) -> None:
    _, page, _ = run("render")
    before, digest = card.read_bytes(), load_card(card, registry.workload_spec).digest
    code, out, err = run("sign", "--as", "scav", "--yes")
    assert (code, err) == (0, "")
    [(old, new)] = changed_lines(before, card.read_bytes())
    assert old == b"    - {id: scav, name: Scav, signed: null}"
    assert new.startswith(
        f'    - {{id: scav, name: Scav, signed: {{digest: "{digest}", verdict: approve, at: "20'.encode()
    )
    kept = json.loads(Path(f".cardrunner/signed/{digest}.json").read_text())
    assert kept["name"] == "policy-22k"
    assert load_card(card, registry.workload_spec).digest == digest
    shown, _, rest = out.partition("\n\ncard      ")
    assert shown.strip() == page.strip(), "the reviewer sees the card itself"
    assert f"digest    {digest}" in rest
    assert f"scav approved policy-22k ({digest[:12]})" in out
    assert "policy digest binds a signature to the card's content but does not authenticate the signer" in out
    assert "reviewer mattie (Mattie): has not signed; run: cardrunner sign runcards/policy-22k.yaml --as mattie" in out


def test_a_verdict_keeps_its_note_and_conditions_word_for_word(run: Run, card: Path) -> None:
    note, condition = 'ok: "good", {nearly} # 100 %', "rerun [the] baseline, 'twice'"
    code, out, _ = run(
        "sign", "--as", "mattie", "--yes", "--note", note, "--condition", condition, "--condition", "日本"
    )
    assert code == 0
    signed = load_card(card, registry.workload_spec).card.sign_off.reviewers[1].signed
    assert signed.note == note  # type: ignore[union-attr]
    assert signed.conditions == (condition, "日本")  # type: ignore[union-attr]
    assert "check runcards/policy-22k.yaml condition:mattie:1 --done --as YOUR-ID" in out


def test_a_block_is_recorded(run: Run, card: Path) -> None:
    code, out, _ = run("sign", "--as", "scav", "--verdict", "block", "--note", "not yet", "--yes")
    assert code == 0
    assert "scav blocks policy-22k" in out
    assert 'blocks the launch ("not yet")' in out


def test_signing_again_shows_what_changed_since(run: Run, card: Path) -> None:
    run("sign", "--as", "scav", "--yes")
    card.write_text(card.read_text().replace("  weight_decay: 1e-5", "  weight_decay: 1e-4"))
    code, out, _ = run("sign", "--as", "scav", "--yes")
    assert code == 0
    assert "changed   since your signature of 20" in out
    assert "changed     training.weight_decay: 0.00001 → 0.0001" in out
    assert len(list(Path(".cardrunner/signed").iterdir())) == 2


def test_quiet_says_what_was_done_and_no_more(run: Run) -> None:
    _, out, _ = run("sign", "--as", "scav", "--yes", "--quiet")
    assert out.startswith("scav approved policy-22k")


# ---------------------------------------------------------------- refusals, with the card untouched


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--as", "scav"), 2, "there is no terminal to ask at; read the card, then sign with --yes"),
        (("--as", "stranger", "--yes"), 3, "'stranger' is not a reviewer of this card; it asks scav, mattie"),
        (("--as", "SCAV", "--yes"), 3, 'did you mean "scav"?'),
        (("--as", "scav", "--yes", "--key", "id_ed25519"), 2, "--key: policy digest signs without a key"),
        (("--as", "scav", "--yes", "--verdict", "block", "--condition", "x"), 2, "only an approval has conditions"),
        (("--as", "scav", "--yes", "--note", "a\nb"), 2, "--note: must be one line"),
        (("--as", "scav", "--yes", "--note", "a\u202eb"), 2, "RIGHT-TO-LEFT OVERRIDE"),
        (("--as", "scav", "--yes", "--note", "a\udcffb"), 2, "--note: holds a character that is not valid Unicode"),
    ],
)
def test_what_may_not_be_signed_is_refused(
    run: Run, card: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    before = card.read_bytes()
    got, _, err = run("sign", *words)
    assert got == code
    assert sentence in err
    assert "Traceback" not in err
    assert card.read_bytes() == before


def test_the_author_may_not_sign(run: Run, card: Path) -> None:
    card.write_text(f"author: ada\n{card.read_text()}")
    code, _, err = run("sign", "--as", "ada", "--yes")
    assert code == 3
    assert "ada is the card's author; another person has to review" in err


def test_a_file_in_place_of_the_records_is_told_and_nothing_is_signed(run: Run, card: Path) -> None:
    before = card.read_bytes()
    Path(".cardrunner").touch()
    code, _, err = run("sign", "--as", "scav", "--yes")
    assert code == 7
    assert "a file is where a folder is needed; move it away" in err
    assert card.read_bytes() == before


def test_an_invalid_card_is_not_signed(run: Run, card: Path) -> None:
    card.write_text(card.read_text().replace("epochs: 5", "epoch: 5", 1))
    code, _, err = run("sign", "--as", "scav", "--yes")
    assert code == 2
    assert "policy-22k.yaml:" in err
    assert not Path(".cardrunner").exists()


def test_under_boxes_a_tick_is_written_and_nothing_is_kept(run: Run, card: Path) -> None:
    card.write_text(card.read_text().replace("policy: digest", "policy: boxes"))
    before = card.read_bytes()
    code, out, err = run("sign", "--as", "scav", "--yes")
    assert (code, err) == (0, "")
    assert changed_lines(before, card.read_bytes())[0][1] == b"    - {id: scav, name: Scav, signed: true}"
    assert "policy boxes does not bind the tick to the content" in out
    assert not Path(".cardrunner").exists()


# ---------------------------------------------------------------- with a key


@pytest.fixture
def key(card: Path) -> Path:
    """Scav's key, which the workspace lists; the card asks for keys."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = Path.cwd() / "scav-key"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "scav", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    Path("allowed_signers").write_text(f'scav namespaces="cardrunner" {path.with_suffix(".pub").read_text()}')
    card.write_text(card.read_text().replace("policy: digest", "policy: ssh"))
    return path


def test_a_signature_made_with_a_key_is_one_line_of_the_card(run: Run, card: Path, key: Path) -> None:
    before, digest = card.read_bytes(), load_card(card, registry.workload_spec).digest
    code, out, err = run("sign", "--as", "scav", "--key", str(key), "--yes", "--condition", "rerun", "--note", "ok")
    assert (code, err) == (0, "")
    [(_, new)] = changed_lines(before, card.read_bytes())
    assert b'ssh: "-----BEGIN SSH SIGNATURE-----\\n' in new
    assert load_card(card, registry.workload_spec).digest == digest
    assert "does not authenticate the signer" not in out
    assert "condition:scav:1 --done" in out
    assert command.main(["check", str(card), "condition:scav:1", "--done", "--as", "ada"]) == 0
    _, out, _ = run("sign", "--as", "scav", "--key", str(key), "--yes")
    assert "scav" not in out.partition("gate: closed")[2]


def test_a_reviewer_signs_again_and_sees_what_changed(run: Run, card: Path, key: Path) -> None:
    run("sign", "--as", "scav", "--key", str(key), "--yes")
    card.write_text(card.read_text().replace("  weight_decay: 1e-5", "  weight_decay: 1e-4"))
    code, out, _ = run("sign", "--as", "scav", "--key", str(key), "--yes")
    assert code == 0
    assert "changed     training.weight_decay: 0.00001 → 0.0001" in out
    assert "scav" not in out.partition("gate: closed")[2]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--as", "scav", "--key", "nowhere"), 2, "--key: there is no file"),
        (("--as", "scav"), 2, "--key: no ssh-agent is running; name the key to sign with"),
        (("--as", "mattie", "--key", "scav-key"), 3, "allowed_signers lists no key for them"),
        (("--as", "scav", "--key", "runcards/policy-22k.yaml"), 2, "--key: "),
    ],
)
def test_what_cannot_be_signed_with_a_key_is_refused(
    run: Run, card: Path, key: Path, words: tuple[str, ...], code: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    before = card.read_bytes()
    got, _, err = run("sign", *words, "--yes")
    assert got == code
    assert sentence in err
    assert "Traceback" not in err
    assert card.read_bytes() == before
    assert not Path(".cardrunner").exists()


def test_on_a_terminal_the_key_is_used_only_after_a_yes(card: Path, key: Path) -> None:
    words = [sys.executable, "-m", "cardrunner", "sign", str(card), "--as", "scav", "--key", str(key)]
    before = card.read_bytes()
    code, out = on_a_terminal(words, "n\n")
    assert code == 3
    assert "scav did not sign" in out
    assert card.read_bytes() == before
    code, out = on_a_terminal(words, "y\n")
    assert code == 0
    assert "scav approved policy-22k" in out


# ---------------------------------------------------------------- blocks and the clock


def test_a_block_is_kept_until_its_author_signs_again(run: Run, card: Path) -> None:
    run("sign", "--as", "scav", "--yes")
    approved = card.read_bytes()
    run("sign", "--as", "scav", "--verdict", "block", "--note", "not yet", "--yes")
    kept = Path(".cardrunner/blocks/policy-22k/scav.json")
    assert json.loads(kept.read_text())["note"] == "not yet"
    card.write_bytes(approved)
    _, out, _ = run("sign", "--as", "mattie", "--yes")
    assert "has blocked this run on 20" in out
    assert "only scav can lift it" in out
    _, out, _ = run("sign", "--as", "scav", "--yes")
    assert "scav" not in out.partition("gate: closed")[2]
    assert not kept.exists()


def test_a_clock_that_runs_behind_signs_nothing(run: Run, card: Path) -> None:
    card.write_text(card.read_text().replace("done: false", 'done: false\n    at: "2999-01-01T00:00:00Z"', 1))
    before = card.read_bytes()
    code, _, err = run("sign", "--as", "scav", "--yes")
    assert code == 3
    assert "clock: it is 20" in err
    assert "earlier than the tick of checklist 1 of 2999" in err
    assert card.read_bytes() == before


def test_a_card_that_changed_on_disk_meanwhile_is_left_alone(card: Path) -> None:
    loaded = load_card(card, registry.workload_spec)
    card.write_text(card.read_text() + "# a colleague was here\n")
    before = card.read_bytes()
    with pytest.raises(UsageError, match="the file changed on disk since it was read; nothing was written"):
        save_edits(loaded, [Edit(("checklist", 0, "done"), True)])
    assert card.read_bytes() == before


def test_two_people_who_sign_at_once_both_stand_or_one_is_told(card: Path) -> None:
    words = [sys.executable, "-m", "cardrunner", "sign", str(card), "--yes", "--quiet", "--as"]
    environment = {**os.environ, "PYTHONPATH": str(SHIPPED.parents[1])}
    both = [
        subprocess.Popen([*words, who], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for who in ("scav", "mattie")
    ]
    told = [process.communicate()[1].decode() for process in both]
    signed = [
        reviewer.signed is not None for reviewer in load_card(card, registry.workload_spec).card.sign_off.reviewers
    ]
    for process, text, stands in zip(both, told, signed, strict=True):
        assert (process.returncode == 0) == stands
        assert stands or "changed on disk" in text


# ---------------------------------------------------------------- the file itself


def test_line_ends_mode_and_links_survive(run: Run, card: Path) -> None:
    real = Path("real.yaml")
    real.write_bytes(b"\xef\xbb\xbf" + card.read_bytes().replace(b"\n", b"\r\n"))
    real.chmod(0o640)
    card.unlink()
    card.symlink_to(Path.cwd() / real)
    before = real.read_bytes()
    assert run("sign", "--as", "scav", "--yes")[0] == 0
    assert card.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(changed_lines(before, real.read_bytes())) == 1
    assert real.read_bytes().count(b"\r\n") == before.count(b"\r\n")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [("y", 0, "scav approved policy-22k"), ("n", 3, "scav did not sign"), ("", 3, "nothing was written")],
)
def test_on_a_terminal_the_page_is_shown_and_the_question_asked(card: Path, answer: str, code: int, said: str) -> None:
    got, out = on_a_terminal([sys.executable, "-m", "cardrunner", "sign", str(card), "--as", "scav"], f"{answer}\n")
    assert got == code
    assert "## Kill Thresholds" in out
    assert "approve this as scav? [y/N]" in out
    assert said in out


def on_a_terminal(words: list[str], typed: str) -> tuple[int, str]:
    """Run a command on a terminal of its own, typing an answer."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(SHIPPED.parents[1])}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.write(ours, typed.encode())
    blocks = []
    try:
        while block := os.read(ours, 65536):
            blocks.append(block)
    except OSError:  # the other side of the terminal is closed
        pass
    finally:
        os.close(ours)
    return process.wait(30), b"".join(blocks).decode()
