"""Which files a signature covers as code, and that no other code comes into a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.plan import CodePin
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.gate.code import CodeFiles, code_files, code_findings, keep_code, link_data
from cardrunner.gate.code_listing import ignored_code
from cardrunner.gate.code_state import changed_files, patch_of
from cardrunner.workspace import Workspace

WHO = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "protocol.file.allow=always")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    (folder / "lib").mkdir(parents=True)
    (folder / "train.py").write_text("import lib.model\n")
    (folder / "lib" / "model.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("/runs/\n*.tmp.py\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "A script")
    return folder


def test_the_digest_follows_bytes_names_and_modes_and_nothing_else(repository: Path) -> None:
    first = code_files(repository)
    digest = first.sha256
    assert first.files == (".gitignore", "lib/model.py", "train.py")
    assert first.commit == git(repository, "rev-parse", "HEAD")
    os.utime(repository / "train.py", (0, 0))
    assert code_files(repository).sha256 == digest
    (repository / "train.py").chmod(0o755)
    assert code_files(repository).sha256 != digest
    (repository / "train.py").chmod(0o644)
    (repository / "lib" / "model.py").write_text("x = 2\n")
    assert code_files(repository).sha256 != digest


@pytest.mark.parametrize(
    "own",
    ["cardrunner.yaml", "allowed_signers", "revoked_keys", ".cardrunner/launched/x.json", "runcards/a.yaml"],
)
def test_what_cardrunner_writes_or_trusts_is_left_out(repository: Path, own: str) -> None:
    before = code_files(repository).sha256
    path = repository / own
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("card: 1\nname: a\nsign_off: {}\n")
    git(repository, "add", "-A")
    assert code_files(repository).sha256 == before


def test_a_run_folder_is_left_out_and_a_package_called_runs_is_not(repository: Path) -> None:
    before = code_files(repository).sha256
    run = repository / "runs" / "first" / "code"
    run.mkdir(parents=True)
    for name in ("launch.json", "ledger.jsonl", "code/train.py"):
        (run.parent / name).write_text("{}")
    git(repository, "add", "-Af")
    assert code_files(repository).sha256 == before
    package = repository / "lib" / "runs"
    package.mkdir()
    (package / "model.py").write_text("")
    assert code_files(repository).untracked == ("lib/runs/model.py",)
    git(repository, "add", "-A")
    assert "lib/runs/model.py" in code_files(repository).files


def test_importable_files_beside_the_code_are_named_until_they_are_added_or_listed(repository: Path) -> None:
    (repository / "helper.py").write_text("")
    (repository / "fast.so").write_bytes(b"")
    (repository / "notes.txt").write_text("")
    assert code_files(repository).untracked == ("fast.so", "helper.py")
    assert code_files(repository, ["helper.py"]).untracked == ("fast.so",)
    assert "helper.py" in code_files(repository, ["helper.py"]).files


def test_what_git_ignores_is_no_part_of_the_code_and_is_told(repository: Path) -> None:
    (repository / "made.tmp.py").write_text("")
    (repository / "__pycache__").mkdir()
    (repository / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"")
    found = code_files(repository)
    assert "made.tmp.py" not in (*found.files, *found.untracked)
    assert ignored_code(repository) == ("made.tmp.py",)
    assert "made.tmp.py" in code_files(repository, ["made.tmp.py"]).files


def test_a_repository_inside_it_hides_no_importable_file(repository: Path) -> None:
    inner = repository / "vendored"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "tool.py").write_text("")
    assert code_files(repository).untracked == ("vendored/tool.py",)


def test_the_files_of_a_submodule_are_code(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "tool.py").write_text("y = 1\n")
    git(other, "add", ".")
    git(other, "commit", "-qm", "A tool")
    git(repository, "submodule", "add", "-q", str(other), "tools")
    before = code_files(repository)
    digest = before.sha256
    assert "tools/tool.py" in before.files
    (repository / "tools" / "tool.py").write_text("y = 2\n")
    assert code_files(repository).sha256 != digest
    (repository / "tools" / "more.py").write_text("")
    assert code_files(repository).untracked == ("tools/more.py",)
    git(repository, "commit", "-qam", "A submodule")
    copy = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(copy))
    with pytest.raises(UsageError, match="is not checked out; git submodule update --init"):
        code_files(copy)


def test_a_worktree_and_a_folder_of_a_repository_are_in_git(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert code_files(tmp_path / "tree").sha256 == code_files(repository).sha256
    assert code_files(repository / "lib").files == ("model.py",)


def test_a_link_is_code_as_it_is_and_does_not_lead_out(repository: Path, tmp_path: Path) -> None:
    link = repository / "alias.py"
    link.symlink_to("train.py")
    git(repository, "add", ".")
    found = code_files(repository)
    digest = found.sha256
    found.copy_to(tmp_path / "copy")
    assert (tmp_path / "copy" / "alias.py").readlink() == Path("train.py")
    assert CodeFiles(tmp_path / "copy", found.files).sha256 == digest
    for target in (repository / "train.py", Path("../outside.py")):  # an absolute one leads into the working tree
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(UsageError, match="leads out of the folder"):
            _ = code_files(repository).sha256


def test_a_name_that_is_not_utf8_is_refused(repository: Path) -> None:
    (repository / os.fsdecode(b"caf\xe9.py")).write_text("")
    git(repository, "add", ".")
    with pytest.raises(UsageError, match=r"the name of b'caf\\xe9\.py' is not UTF-8"):
        code_files(repository)


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"])
def test_the_variables_of_a_hook_name_no_other_repository(
    repository: Path, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_files(repository).files
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert code_files(repository).files == before


def test_a_refused_repository_is_never_read_as_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    with pytest.raises(EnvironmentFailed, match=r"dubious ownership.*if it is yours to use: git config --global"):
        code_files(repository, ["*.py"])


def test_a_repository_without_git_is_never_read_as_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EnvironmentFailed, match="is in a git repository, and git is not installed here"):
        code_files(repository, ["*.py"])


def test_without_git_patterns_say_what_is_code(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    with pytest.raises(UsageError, match="is not in git; write patterns"):
        code_files(tmp_path)
    assert code_files(tmp_path, ["**/*.py"]) == CodeFiles(tmp_path, ("train.py",))
    for outside in ("../*.py", "/etc/passwd"):
        with pytest.raises(UsageError, match="leaves"):
            code_files(tmp_path, [outside])


def test_before_the_first_commit_what_is_added_is_code(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("")
    with pytest.raises(UsageError, match="git tracks no code"):
        code_files(tmp_path)
    git(tmp_path, "add", ".")
    assert code_files(tmp_path).commit is None
    assert code_files(tmp_path).files == ("train.py",)


def test_line_endings_that_git_changes_are_part_of_the_digest(repository: Path, tmp_path: Path) -> None:
    copy: Callable[[str], Path] = lambda name: tmp_path / name  # noqa: E731
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(repository), str(copy("crlf")))
    assert b"\r\n" in (copy("crlf") / "train.py").read_bytes()
    assert code_files(copy("crlf")).sha256 != code_files(repository).sha256


def test_a_pointer_of_git_lfs_is_found(repository: Path) -> None:
    (repository / "w.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    git(repository, "add", ".")
    assert code_files(repository).pointers == ("w.bin",)


def card_of(pin: CodePin, *data: str) -> Card:
    source = tuple(SimpleNamespace(path=path, is_pattern="*" in path) for path in data)
    return cast("Card", SimpleNamespace(code=pin, data=SimpleNamespace(is_synthetic=not data, source=source)))


def test_code_that_changes_between_the_digest_and_the_copy_is_not_launched(repository: Path, tmp_path: Path) -> None:
    pin = CodePin(folder="team", sha256=code_files(repository).sha256)
    kept = keep_code(card_of(pin), Workspace(tmp_path), tmp_path / "copy")
    assert kept is not None
    assert kept.sha256 == pin.sha256
    assert not (tmp_path / "copy" / "team" / ".git").exists()
    (repository / "train.py").write_text("print('other')\n")
    with pytest.raises(EnvironmentFailed, match="changed while it was copied; launch again"):
        keep_code(card_of(pin), Workspace(tmp_path), tmp_path / "other")


def test_changed_code_closes_the_gate_and_shows_what_changed(repository: Path, tmp_path: Path) -> None:
    pin = CodePin(folder="team", sha256=code_files(repository).sha256, commit=git(repository, "rev-parse", "HEAD"))
    assert list(code_findings(card_of(pin), Workspace(tmp_path))) == []
    (repository / "train.py").write_text("print('other')\n")
    (found,) = code_findings(card_of(pin), Workspace(tmp_path))
    assert "team is not the code that was signed: train.py | 2 +-; 1 file changed" in str(found)
    git(repository, "checkout", "-q", "train.py")
    (repository / "train.py").chmod(0o755)
    git(repository, "config", "core.fileMode", "false")
    (found,) = code_findings(card_of(pin), Workspace(tmp_path))
    assert "git sees no change since" in str(found)
    other = pin.model_copy(update={"commit": "0123456"})
    (found,) = code_findings(card_of(other), Workspace(tmp_path))
    assert "the commit 0123456 of the card is not in this repository" in str(found)


def test_data_is_linked_at_its_path_again_before_each_start(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.bin").write_text("here")
    copy, pin = tmp_path / "copy", CodePin(folder="team", sha256="0" * 64)
    link_data(card_of(pin, "data/train.bin"), Workspace(tmp_path), copy)
    link = copy / "data" / "train.bin"
    assert link.readlink() == tmp_path / "data" / "train.bin"
    link.unlink()
    link.symlink_to("/elsewhere")
    link_data(card_of(pin, "data/train.bin"), Workspace(tmp_path), copy)
    assert link.read_text() == "here"
    (tmp_path.parent / "beside.bin").write_text("")
    with pytest.raises(UsageError, match="leads out of"):
        link_data(card_of(pin, "../beside.bin"), Workspace(tmp_path), copy)


def test_what_differs_from_the_commit_is_counted_and_kept_as_a_patch(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hunter2-hunter2")
    assert changed_files(code_files(repository)) == ()
    (repository / "train.py").write_bytes(b"key = 'hunter2-hunter2'  # caf\xe9\n")
    (repository / "lib" / "model.py").unlink()
    (repository / "weights.bin").write_bytes(bytes(range(256)))
    (repository / "new.py").write_text("")
    git(repository, "add", "-A")
    (repository / "listed.py").write_text("")
    code = code_files(repository, ["listed.py"])
    changed = changed_files(code)
    assert changed == ("lib/model.py", "listed.py", "new.py", "train.py", "weights.bin")
    patch = patch_of(code, changed or ())
    assert patch is not None
    assert patch.hidden
    assert "hunter2" not in patch.text
    assert "GIT binary patch" in patch.text
    assert "\\udce9" in patch.text or "\\xe9" in patch.text
