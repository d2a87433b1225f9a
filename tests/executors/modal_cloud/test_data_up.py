"""`cardrunner upload`, and `cardrunner encode --card`, against the loopback plane."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cardrunner.tracking.progress import NullProgress
from tests.modal_plane.cloud import Cloud, policy

DATA = {"data.source": "/numbers.pt", "data.size": "1 MB"}
SEVERAL = "the card has several data files (a.pt, b.pt); numbers.pt is not among them"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A file of 1 MB, most of it zeros, as tensors often are."""
    path = tmp_path / "numbers.pt"
    path.write_bytes(bytes(range(256)) * 1000 + bytes(744_000))
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_is_put_on_the_volume_once(cloud: Cloud, numbers: Path, version: int) -> None:
    cloud.volume = cloud.plane.add_volume(f"uploads-{version}", version)
    card = cloud.card(DATA, base=policy())
    digest = hashlib.sha256(numbers.read_bytes()).hexdigest()
    code, out, err = cloud.type("upload", numbers, card)
    assert (code, out) == (
        0,
        f"/numbers.pt on the volume uploads-{version}: 1 MB, sha256 {digest}; the card can pin it under data.sha256\n",
    ), err
    there = cloud.volume.folder / "numbers.pt"
    assert there.read_bytes() == numbers.read_bytes()
    code, _, err = cloud.type("upload", numbers, card)
    assert code == 2
    assert "is on the volume uploads-" in err
    assert "--force replaces it" in err
    there.write_bytes(b"spoiled")
    assert cloud.type("upload", numbers, card, "--force")[0] == 0
    assert there.read_bytes() == numbers.read_bytes()


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (DATA | {"data.sha256": "0" * 64}, 4, f"the card says {'0' * 64}; nothing was sent"),
        (DATA | {"data.size": "2 MB"}, 4, "numbers.pt has 1 MB (1000000 bytes), the card says 2 MB"),
        (
            {"data.source": "synthetic", "data.synthetic": {"games": 4, "frames_per_game": 300}}, 2,
            "data.source: the card's data is made when the run begins; there is nothing to upload",
        ),
        ({"data.source": ["/a.pt", "/b.pt"]}, 2, SEVERAL),
    ],
    ids=["another digest", "another size", "synthetic", "one of several"],
)  # fmt: skip
def test_a_file_that_is_not_the_cards_is_refused(
    cloud: Cloud, numbers: Path, changes: dict[str, Any], code: int, sentence: str
) -> None:
    found, _, err = cloud.type("upload", numbers, cloud.card(changes, base=policy()))
    assert found == code
    assert sentence in err
    assert not any(cloud.volume.folder.iterdir())


def test_a_file_that_is_not_there(cloud: Cloud) -> None:
    code, _, err = cloud.type("upload", "absent.pt", cloud.card(DATA, base=policy()))
    assert (code, err.strip()) == (7, "absent.pt: there is no such file")


REPLAYS = Path(os.environ.get("CARDRUNNER_DATA", "")) / "replays"


@pytest.mark.skipif(not REPLAYS.is_dir(), reason="CARDRUNNER_DATA has no replays")
def test_an_archive_is_encoded_in_parts_and_what_is_done_is_not_done_again(cloud: Cloud, tmp_path: Path) -> None:
    pytest.importorskip("peppi_py")
    import torch

    from cardrunner.workloads.melee.encoding.encode import encode

    card = cloud.card()
    replays = sorted(REPLAYS.glob("*.slp"), key=lambda path: path.stat().st_size)[:2]
    here, there = tmp_path / "replays", cloud.volume.folder / "replays"
    for folder in (here, there):
        folder.mkdir()
        for path in replays:
            shutil.copy(path, folder)
        (folder / "0-broken.slp").write_bytes(b"nothing of the kind")
    with cloud.plane.trouble(refuse_calls_to="join_parts"):
        code, _, err = cloud.type("encode", "/replays", "-o", "/games.pt", "--card", card, "--part-size", "2")
        assert code == 7, err
    parts = cloud.volume.folder / "games.pt.parts"
    stamps = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.pt")}
    assert len(stamps) == 2
    code, out, err = cloud.type("encode", "/replays", "-o", "/games.pt", "--card", card, "--part-size", "2")
    assert code == 0, err
    assert "skipped" in err
    assert f"/games.pt on the volume {cloud.volume.name}: 2 games" in out
    assert "1 of 3 recordings skipped" in out
    assert not list(parts.glob("*"))
    encode([here], tmp_path / "games.pt", workers=1, progress=NullProgress())
    one, other = (torch.load(folder / "games.pt", weights_only=True) for folder in (tmp_path, cloud.volume.folder))
    assert torch.equal(one["floats"], other["floats"])
    assert torch.equal(one["ints"], other["ints"])
    assert one["game_lengths"] == other["game_lengths"]
    code, _, err = cloud.type("encode", "/replays", "-o", "/games.pt", "--card", card)
    assert code == 2
    assert "is on the volume" in err


def test_paths_of_this_machine_are_not_taken_for_paths_of_the_volume(cloud: Cloud) -> None:
    code, _, err = cloud.type("encode", "replays", "-o", "/games.pt", "--card", cloud.card())
    assert code == 2
    assert "replays: with --card every path is on the volume; write it from its root, such as /recordings" in err
