from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import sha256_file


def test_the_digest_is_that_of_all_bytes_and_progress_adds_up(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(data)
    blocks: list[int] = []
    assert sha256_file(tmp_path / "file", progress=blocks.append) == hashlib.sha256(data).hexdigest()
    assert sum(blocks) == len(data)


def test_a_file_that_is_not_there_is_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="cannot read"):
        sha256_file(tmp_path / "absent")
