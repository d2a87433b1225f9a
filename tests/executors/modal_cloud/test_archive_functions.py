"""An archive cut into parts, encoded and joined, without Modal around it: a folder stands for the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cardrunner.contracts import Progress
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import archive_functions
from cardrunner.executors.modal_cloud.archive_functions import ArchiveOrder, encode_part, join_parts, list_archive
from cardrunner.executors.modal_cloud.archives import USUAL_DISK_MIB, disk_to_join
from cardrunner.workspace import VOLUME_VARIABLE

GAME = 3_380_000
"""Bytes of an encoded game of usual length."""


@dataclass
class Letters:
    """An encoder of text files: a part is their contents one after the other; empty ones are skipped."""

    encoded: list[str] = field(default_factory=list)

    def find(self, places: Sequence[Path]) -> list[Path]:
        return sorted(path for place in places for path in place.iterdir())

    def encode(
        self, files: Sequence[Path], output: Path, *, drop_rollback: bool, workers: int, progress: Progress
    ) -> dict[str, Any]:
        self.encoded += [path.name for path in files]
        if text := "".join(path.read_text() for path in files):
            output.write_text(text)
        return {"games": len(text), "skipped": [[path.name, "empty"] for path in files if not path.read_text()]}

    def join(self, parts: Sequence[Path], output: Path, *, drop_rollback: bool) -> dict[str, Any]:
        output.write_text("".join(part.read_text() for part in parts))
        return {"games": output.stat().st_size}


@dataclass
class Shop:
    """A volume with an archive, and what encodes it."""

    volume: Path
    letters: Letters

    def add(self, **files: str) -> None:
        (self.volume / "replays").mkdir(exist_ok=True)
        for name, text in files.items():
            (self.volume / "replays" / name).write_text(text)

    def order(self, part_size: int) -> dict[str, Any]:
        order = ArchiveOrder(
            volume="v", places=("/replays",), output="/all.txt", part_size=part_size, drop_rollback=False
        )
        return order.model_dump(mode="json")

    def encode(self, part_size: int) -> int:
        """List and encode everything; how many parts there are."""
        count = int(list_archive(self.order(part_size))["parts"])
        for number in range(count):
            encode_part(number, self.order(part_size))
        return count


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A volume on which nothing is committed, since no Modal is there."""
    made = Shop(tmp_path, Letters())
    monkeypatch.setenv(VOLUME_VARIABLE, str(tmp_path))
    monkeypatch.setattr(archive_functions, "_encoder", lambda: made.letters)
    monkeypatch.setattr(archive_functions, "_commit", lambda order: None)
    return made


def test_parts_are_joined_in_order_and_removed(shop: Shop) -> None:
    shop.add(a="1", b="2", c="3", d="4", e="5")
    count = shop.encode(2)
    assert count == 3
    assert join_parts(count, shop.order(2)) == {"games": 5}
    assert (shop.volume / "all.txt").read_text() == "12345"
    assert not (shop.volume / "all.txt.parts").exists()


def test_a_part_that_was_encoded_is_not_encoded_again_unless_it_holds_something_else(shop: Shop) -> None:
    shop.add(a="1", b="2", c="3")
    shop.encode(2)
    shop.letters.encoded.clear()
    shop.encode(2)
    assert shop.letters.encoded == []
    shop.add(d="4")
    shop.encode(2)
    assert shop.letters.encoded == ["c", "d"]


def test_what_another_cut_of_the_archive_left_is_not_joined(shop: Shop) -> None:
    shop.add(a="1", b="2", c="", d="")
    shop.encode(1)  # a | b | c | d
    count = shop.encode(2)  # a b | c d, of which the second has no game
    join_parts(count, shop.order(2))
    assert (shop.volume / "all.txt").read_text() == "12"


def test_an_archive_that_is_not_there_is_said_in_a_sentence(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(places: Sequence[Path]) -> list[Path]:
        raise EnvironmentFailed(f"{places[0]}: there is no such file or folder")

    monkeypatch.setattr(shop.letters, "find", nowhere)
    answer = list_archive(shop.order(2))
    assert (answer["exit_code"], "there is no such file or folder" in answer["reason"]) == (7, True)


def test_the_disk_that_joining_takes_is_asked_for() -> None:
    assert disk_to_join(22_000 * GAME, "/all.pt") is None
    large = disk_to_join(300_000 * GAME, "/all.pt")
    assert large is not None
    assert large > USUAL_DISK_MIB
    with pytest.raises(EnvironmentFailed, match=r"/all.pt would have 3.38 TB; joining takes twice that"):
        disk_to_join(1_000_000 * GAME, "/all.pt")
