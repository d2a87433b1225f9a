from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cardrunner.errors import EnvironmentFailed
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import save_encoded

Game = tuple[NDArray[np.float32], NDArray[np.int64]]
RULES = EncoderRules(source="slp")


def test_what_is_written_is_read_back_bit_for_bit(make_game: Callable[[int, int], Game], tmp_path: Path) -> None:
    games = [make_game(4, 1), make_game(7, 2)]
    file = save_encoded(tmp_path / "new" / "games.pt", games, rules=RULES)
    assert np.array_equal(file.floats.numpy(), np.concatenate([floats for floats, _ in games]))
    assert np.array_equal(file.ints.numpy(), np.concatenate([ints for _, ints in games]))
    assert [path.name for path in file.path.parent.iterdir()] == ["games.pt"]


def test_the_file_has_the_keys_and_types_of_existing_ones(
    make_game: Callable[[int, int], Game], tmp_path: Path
) -> None:
    file = save_encoded(tmp_path / "games.pt", [make_game(4, 1)], rules=RULES)
    stored = torch.load(file.path, weights_only=True)
    existing = {"floats", "ints", "game_offsets", "game_lengths", "num_games", "encoding_config"}
    assert set(stored) == existing | {"encoder_rules"}
    assert (stored["game_lengths"], stored["num_games"]) == ([4], 1)
    assert stored["encoding_config"] == EncodingConfig().model_dump()
    assert stored["encoder_rules"]["rollback"] == "kept"


def test_a_failure_between_games_leaves_the_old_file_and_nothing_else(
    make_game: Callable[[int, int], Game], tmp_path: Path
) -> None:
    def breaking() -> Iterator[Game]:
        yield make_game(4, 1)
        raise KeyboardInterrupt

    path = tmp_path / "games.pt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        save_encoded(path, breaking(), rules=RULES)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["games.pt"]


def test_no_game_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="there is no game to put in it"):
        save_encoded(tmp_path / "games.pt", [], rules=RULES)
    assert list(tmp_path.iterdir()) == []


def test_a_game_of_another_width_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a game of shapes"):
        save_encoded(tmp_path / "games.pt", [(np.zeros((3, 57), np.float32), np.zeros((3, 17), np.int64))], rules=RULES)


def test_a_folder_that_cannot_be_made_is_the_environment(make_game: Callable[[int, int], Game], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        save_encoded(tmp_path / "taken" / "games.pt", [make_game(4, 1)], rules=RULES)


@pytest.mark.parametrize("limit", [20_000, 500_000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """The limit hits the buffer of games first, then the archive that torch writes."""
    code = (
        "import numpy as np, sys; from pathlib import Path; from cardrunner.errors import EnvironmentFailed\n"
        "from cardrunner.workloads.melee.encoding.scheme import EncoderRules\n"
        "from cardrunner.workloads.melee.encoding.writer import save_encoded\n"
        "game = np.zeros((2000, 56), np.float32), np.zeros((2000, 17), np.int64)\n"
        "try: save_encoded(Path(sys.argv[1]), [game], rules=EncoderRules(source='slp'))\n"
        "except EnvironmentFailed as error: print(error)\n"
    )

    def shrink() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    path = tmp_path / "games.pt"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, preexec_fn=shrink
    )
    assert "larger than this process may write" in done.stdout
    assert list(tmp_path.iterdir()) == []
