"""The interpreter of a script is found and asked, and its packages are held against a lock file."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from cardrunner.common.lock_file import Locked, read_lock
from cardrunner.errors import UsageError
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import KeptCode
from cardrunner.workloads.command.code_copy import tidy
from cardrunner.workloads.command.interpreter import (
    Answer,
    Asked,
    ask,
    differences,
    facts,
    interpreter_of,
    record_of,
    search_path,
)

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_says_what_is_installed_in_it(tmp_path: Path) -> None:
    asked = ask(sys.executable, cwd=tmp_path, environment=ENVIRONMENT)
    assert asked.answer is not None
    assert asked.answer.packages["pydantic"] == version("pydantic")
    assert asked.answer.version == ".".join(map(str, sys.version_info[:3]))


def test_a_module_beside_the_script_does_not_answer_instead_of_the_interpreter(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)\n")
    assert ask(sys.executable, cwd=tmp_path, environment=ENVIRONMENT).answer is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#!/opt/env/bin/python3.11\n", "/opt/env/bin/python3.11"),
        ("#!/bin/sh\n'''exec' \"/a long path/bin/python\" \"$0\" \"$@\"\n' '''\n", "/a long path/bin/python"),
        ("#!/bin/bash\npython train.py\n", None),
        ("\x7fELF", None),
    ],
)
def test_the_first_line_of_a_program_names_its_interpreter(tmp_path: Path, text: str, found: str | None) -> None:
    assert interpreter_of(program(tmp_path / "torchrun", text), cwd=tmp_path, environment=ENVIRONMENT) == found


def test_a_program_of_the_path_is_found_there(tmp_path: Path) -> None:
    program(tmp_path / "accelerate", "#!/opt/env/bin/python\n")
    environment = {"PATH": str(tmp_path)}
    assert interpreter_of("accelerate", cwd=Path("/"), environment=environment) == "/opt/env/bin/python"
    assert interpreter_of("torchrun", cwd=Path("/"), environment=environment) is None


def test_a_program_without_python_and_one_that_hangs_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(program(tmp_path / "run.sh", "#!/bin/sh\n"), cwd=tmp_path, environment=ENVIRONMENT)
    assert "is no Python program" in str(asked.problem)
    monkeypatch.setattr("cardrunner.workloads.command.interpreter.PATIENCE_SECONDS", 0.2)
    slow = ask(program(tmp_path / "python", "#!/bin/sh\nsleep 5\n"), cwd=tmp_path, environment=ENVIRONMENT)
    assert "did not say within" in str(slow.problem)
    odd = ask(program(tmp_path / "python3", "#!/bin/sh\necho oh\n"), cwd=tmp_path, environment=ENVIRONMENT)
    assert "did not say what is installed" in str(odd.problem)


def answered(**packages: str) -> Asked:
    return Asked("/bin/python", Answer(version="3.11.9", executable="/bin/python", packages=packages))


def test_other_packages_at_a_later_attempt_are_named() -> None:
    first = record_of(answered(torch="2.13.0", numpy="2.0"), 1, None)
    same = record_of(answered(numpy="2.0", torch="2.13.0"), 2, first)
    assert (same.sha256, same.changes) == (first.sha256, ())
    other = record_of(answered(torch="2.14.0", einops="0.8"), 3, same)
    assert other.changes == ("attempt 3: einops 0.8 is new; numpy 2.0 is gone; torch 2.13.0 is now 2.14.0",)
    moved = Asked("/opt/python", Answer(version="3.12.1", executable="/opt/python", packages=other.packages))
    (_, last) = record_of(moved, 4, other).changes
    assert last == "attempt 4: Python 3.12.1 (/opt/python) in place of Python 3.11.9 (/bin/python)"
    assert not list(differences(other.packages, other.packages))


def test_a_package_that_is_not_as_locked_is_a_fault_that_names_it() -> None:
    lock = (Locked("torch", "2.13.0"), Locked("numpy", "2.1"), Locked("einops", "0.8"), Locked("x", "1", "os == 'a'"))
    rows = list(facts(record_of(answered(torch="2.13.0+cpu", numpy="2.0"), 1, None), lock, named="lock.txt"))
    wrong = {row.name: (row.expected, row.actual) for row in rows if not row.ok}
    assert wrong == {
        "package numpy": ("2.1", "2.0"),
        "package einops": ("0.8", "not installed"),
        "packages": ("lock.txt", "2 of 4 packages as locked"),
    }
    unknown = record_of(Asked(None, problem="run.sh is no Python program"), 1, None)
    assert [row.ok for row in facts(unknown, lock, named="lock.txt")] == [False]


def test_a_lock_file_has_a_version_for_each_package(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# made by pip-compile\n--index-url https://example.org/simple\nTorch==2.13.0+cpu  # via -r x\n"
        "typing_extensions[a]==4.0 ; python_version < '3.12' \\\n    --hash=sha256:aa\n\n"
    )
    assert [str(each) for each in read_lock(lock, field="code.lock")] == [
        "torch==2.13.0",
        "typing-extensions==4.0; python_version < '3.12'",
    ]
    lock.write_text("torch>=2\n")
    with pytest.raises(UsageError, match=r"code\.lock: .*:1: 'torch>=2' pins no version; write name==version"):
        read_lock(lock, field="code.lock")
    with pytest.raises(UsageError, match="cannot be read"):
        read_lock(tmp_path / "absent", field="code.lock")


def test_what_is_imported_from_the_working_tree_is_imported_from_the_copy(tmp_path: Path) -> None:
    origin, copy, other = tmp_path / "team", tmp_path / "copy", tmp_path / "other"
    for folder in (origin / "src", origin / "ignored", copy / "src", other):
        folder.mkdir(parents=True)
    answer = Answer(
        version="3.11",
        executable="python",
        path=(str(origin / ".venv/lib"), str(origin / "src")),
        prefix=(str(origin / ".venv"),),
        editable=(str(origin),),
    )
    given = {"PYTHONPATH": os.pathsep.join(["lib", str(origin / "ignored"), str(other)])}
    search, outside = search_path(Asked("python", answer), origin=origin, copy=copy, environment=given)
    assert search == ["lib", str(copy), str(copy / "src"), str(other)]
    assert outside == [str(other)]


def test_what_could_be_imported_from_the_copy_and_was_not_launched_is_set_aside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    inner = folder.code / "trainer"
    (inner / "__pycache__").mkdir(parents=True)
    for name in ("train.py", "sitecustomize.py", "out.csv", "__pycache__/train.cpython-311.pyc"):
        (inner / name).write_text("")
    kept = KeptCode(folder="trainer", files=("train.py",), sha256="", commit=None)
    (sentence,) = tidy(folder, kept)
    assert "sitecustomize.py could be imported and is no part of the code that was launched" in sentence
    assert sorted(path.name for path in inner.iterdir()) == ["out.csv", "train.py"]
    assert list(tidy(folder, kept)) == []
