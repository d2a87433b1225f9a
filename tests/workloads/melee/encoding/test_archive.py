from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from cardrunner.errors import IntegrityError
from cardrunner.training.order import machine_memory
from cardrunner.workloads.melee.encoding.archive import StoredTensor, read_archive
from cardrunner.workloads.melee.encoding.encoded_file import map_file, open_encoded, view


def stored(path: Path) -> dict[str, StoredTensor]:
    with path.open("rb") as stream:
        found: dict[str, StoredTensor] = read_archive(stream)
    return found


def test_tensors_are_found_where_torch_put_them(tmp_path: Path) -> None:
    tensors = {
        "floats": torch.rand(7, 3),
        "part": torch.arange(20).view(4, 5)[1:3],
        "numbers": torch.arange(5, dtype=torch.int16),
        "empty": torch.empty(0, 4),
    }
    torch.save(tensors, tmp_path / "a.pt")
    found, pages = stored(tmp_path / "a.pt"), map_file(tmp_path / "a.pt")
    for name, tensor in tensors.items():
        assert found[name].in_order
        assert torch.equal(view(pages, found[name]), tensor)


@pytest.mark.parametrize(
    "tensor", [torch.zeros(3, 4).T, torch.zeros(1).expand(10**6, 2), torch.arange(9).as_strided((4, 3), (2, 1))]
)
def test_elements_that_do_not_lie_row_after_row_are_noticed(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"x": tensor}, tmp_path / "a.pt")
    assert not stored(tmp_path / "a.pt")["x"].in_order


def test_a_file_larger_than_memory_can_be_opened(tmp_path: Path) -> None:
    """A sparse file: an archive whose floats begin after a hole of more than all memory."""
    rows = machine_memory() // 224 + 1_000_000
    path = tmp_path / "huge.pt"
    _write_sparse(path, rows)
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("this file system has no sparse files")
    file = open_encoded(path)
    assert (file.games, file.frames) == (2, rows)
    assert file.size > machine_memory()
    assert file.floats[rows - 1].sum() == 0


def _write_sparse(path: Path, rows: int) -> None:
    """What torch.save would write for games of zeros, with holes instead of the zeros."""
    small = {
        "floats": torch.zeros(1, 56),
        "ints": torch.zeros(1, 17, dtype=torch.int64),
        "game_offsets": torch.tensor([0, 5, rows]),
        "game_lengths": [5, rows - 5],
        "num_games": 2,
        "encoding_config": {},
    }
    tiny = path.with_name("tiny.pt")
    torch.save(small, tiny)
    shapes = {b"K\x01K8\x86": (rows, b"K8\x86"), b"K\x01K\x11\x86": (rows, b"K\x11\x86")}
    with zipfile.ZipFile(tiny) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    for shape, (count, rest) in shapes.items():
        assert shape in entries[name]
        entries[name] = entries[name].replace(shape, b"\x8a\x08" + count.to_bytes(8, "little") + rest)
    sizes = {name.removesuffix("data.pkl") + "data/0": rows * 224, name.removesuffix("data.pkl") + "data/1": rows * 136}
    with path.open("wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for entry, data in entries.items():
            info = zipfile.ZipInfo(entry)
            if entry in sizes:
                _write_hole(archive, info, sizes[entry])
            else:
                archive.writestr(info, data)


def _write_hole(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> None:
    stream = archive.fp
    assert stream is not None
    info.header_offset = stream.tell()
    info.file_size = info.compress_size = size
    info.CRC = 0
    stream.write(info.FileHeader(zip64=True))
    stream.seek(size, 1)
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info
    archive.start_dir = stream.tell()


def test_numbers_of_the_other_byte_order_are_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, b"big" if name.endswith("byteorder") else data)
    with pytest.raises(IntegrityError, match="high byte first"):
        open_encoded(tmp_path / "b.pt")
