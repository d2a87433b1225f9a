from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import sha256_file
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.file_scan import FileScan, scan_file


@pytest.mark.parametrize("chunk_rows", [1, 7, 50, 1000])
def test_one_pass_gives_digest_and_extremes(make_file: Callable[..., Path], chunk_rows: int) -> None:
    file = open_encoded(make_file(30, 20))
    steps: list[int] = []
    found = scan_file(file, hashed=True, chunk_rows=chunk_rows, progress=steps.append)
    assert found.sha256 == sha256_file(file.path)
    assert sum(steps) == file.size
    assert [column.maximum for column in found.scan.floats] == file.floats.amax(0).tolist()
    assert [column.minimum for column in found.scan.ints] == file.ints.amin(0).tolist()


def test_ints_may_lie_before_floats(payload: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({key: payload[key] for key in ("ints", "game_offsets", "floats", *payload)}, tmp_path / "a.pt")
    file = open_encoded(tmp_path / "a.pt")
    assert file.ints_at < file.floats_at
    found = scan_file(file, hashed=True, chunk_rows=3)
    assert found.sha256 == sha256_file(file.path)
    assert [column.maximum for column in found.scan.floats] == payload["floats"].amax(0).tolist()


def test_a_scan_survives_being_written_down(make_file: Callable[..., Path]) -> None:
    file = open_encoded(make_file(30))
    file.floats[:, 0] = float("nan")
    file.floats[3, 1] = float("-inf")
    torch.save({**_payload(file.path), "floats": file.floats.clone()}, file.path)
    scan = scan_file(open_encoded(file.path)).scan
    assert scan.floats[0].non_finite == 30
    written = scan.model_dump(mode="json")
    assert str(FileScan.model_validate(written)) == str(scan)


def test_a_file_that_is_cut_meanwhile_is_a_sentence(make_file: Callable[..., Path]) -> None:
    file = open_encoded(make_file(30))
    file.path.write_bytes(file.path.read_bytes()[:6000])
    with pytest.raises(IntegrityError, match="ends at byte 6000; it was truncated while being read"):
        scan_file(file)


def _payload(path: Path) -> dict[str, object]:
    content: dict[str, object] = torch.load(path, weights_only=True)
    return content
