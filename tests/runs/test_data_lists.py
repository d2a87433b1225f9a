"""Data by a pattern: which files count, the digest over them, and what is named of a difference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.data_lists import DataList, ListedFile, keep_list, known_list, list_data
from cardrunner.workspace import DATA_VARIABLE, Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    for name in ("data/b.bin", "data/a.bin", "data/.hidden.bin", "data/deep/c.bin", "data/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Workspace(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("data/*.bin", ["data/a.bin", "data/b.bin"]),
        ("data/**/*.bin", ["data/a.bin", "data/b.bin", "data/deep/c.bin"]),
        ("data/", ["data/a.bin", "data/b.bin", "data/deep/c.bin", "data/notes.txt"]),
        ("data/[ab].bin", ["data/a.bin", "data/b.bin"]),
        ("data/?.bin", ["data/a.bin", "data/b.bin"]),
    ],
)
def test_a_pattern_stands_for_its_files_without_hidden_ones(
    workspace: Workspace, pattern: str, names: list[str]
) -> None:
    assert [file.path for file in list_data(workspace, pattern).files] == names


def test_a_pattern_without_a_file_names_where_was_looked(workspace: Workspace) -> None:
    with pytest.raises(EnvironmentFailed, match=r"data/\*\.parquet was not found \(looked at .*data/\*\.parquet\)"):
        list_data(workspace, "data/*.parquet")


def test_a_pattern_is_looked_for_in_the_data_folders_too(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(workspace.root))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert len(list_data(Workspace(elsewhere), "data/*.bin").files) == 2


def test_the_digest_is_over_path_size_and_digest_of_each_file(workspace: Workspace) -> None:
    lines = b""
    for name in ("data/a.bin", "data/b.bin"):
        digest = hashlib.sha256(name.encode()).hexdigest()
        lines += f"{name}\0{len(name)}\0{digest}\n".encode()
    assert list_data(workspace, "data/*.bin").sha256 == hashlib.sha256(lines).hexdigest()


def test_a_difference_names_what_changed_is_missing_and_is_additional(workspace: Workspace) -> None:
    before = list_data(workspace, "data/")
    (workspace.root / "data/a.bin").write_text("other")
    (workspace.root / "data/notes.txt").rename(workspace.root / "data/more.txt")
    told = list_data(workspace, "data/").differences(before)
    assert told == "changed: data/a.bin; missing: data/notes.txt; additional: data/more.txt"
    assert before.differences(before) == ""


def test_a_kept_list_is_found_by_its_digest_and_an_edited_one_counts_for_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    data = list_data(workspace, "data/")
    path = keep_list(tmp_path / "records", data)
    assert known_list([tmp_path / "nowhere", tmp_path / "records"], data.sha256) == data
    path.write_text(path.read_text().replace("notes", "other"))
    assert known_list([tmp_path / "records"], data.sha256) is None
    path.write_text("no list")
    assert known_list([tmp_path / "records"], data.sha256) is None


NAMES = st.text("abcé/ \n.", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.tuples(st.integers(0, 99), st.sampled_from("ab")), max_size=5), NAMES)
def test_another_file_another_size_and_another_content_have_another_digest(
    files: dict[str, tuple[int, str]], name: str
) -> None:
    def listed(found: dict[str, tuple[int, str]]) -> str:
        return DataList("*", tuple(ListedFile(key, *found[key]) for key in sorted(found))).sha256

    others = [{**files, name: (7, "c")}, {key: (size + 1, it) for key, (size, it) in files.items()}]
    assert all(listed(other) != listed(files) for other in others if other != files)
