from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.scheme import EncoderRules

Payload = dict[str, Any]


def test_a_good_file_opens_with_its_facts(make_file: Callable[..., Path]) -> None:
    file = open_encoded(make_file(3, 5))
    assert (file.games, file.frames, file.size) == (2, 8, file.path.stat().st_size)
    assert file.offsets.tolist() == [0, 3, 8]
    assert file.rules == EncoderRules(source="slp")
    assert file.other_keys == ()


def test_the_existing_file_opens_as_it_is(real_data: Path) -> None:
    file = open_encoded(real_data / "encoded-real-32.pt")
    assert (file.games, file.frames, file.rules) == (32, 297_628, None)
    assert file.size == pytest.approx(file.frames * 360, rel=1e-3)


def test_an_older_file_with_a_part_of_the_encoding_opens(payload: Payload, tmp_path: Path) -> None:
    for name in ("projectiles", "state_flags", "hitstun"):
        del payload["encoding_config"][name]
    file = open_encoded(saved(payload, tmp_path))
    assert "hitstun" not in file.stored_encoding
    assert file.encoding.hitstun is False


def test_what_the_file_holds_beyond_the_format_is_reported(payload: Payload, tmp_path: Path) -> None:
    assert open_encoded(saved({**payload, "made_by": "somebody"}, tmp_path)).other_keys == ("made_by",)


def test_a_file_that_is_not_there_is_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="there is no such file"):
        open_encoded(tmp_path / "absent.pt")
    with pytest.raises(EnvironmentFailed, match="not a file"):
        open_encoded(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_the_environment(make_file: Callable[..., Path]) -> None:
    path = make_file(3)
    path.chmod(0)
    with pytest.raises(EnvironmentFailed, match="permission was denied"):
        open_encoded(path)


# ------------------------------------------------------------ spoilt bytes


def test_text_and_emptiness_are_not_torch_files(tmp_path: Path) -> None:
    path = tmp_path / "games.pt"
    path.write_text("hello")
    refused(path, "not a torch file (it begins with 68 65 6c 6c)")
    path.write_bytes(b"")
    refused(path, "not a torch file (it is empty)")


def test_a_pickle_is_not_a_torch_file(payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / "games.pt"
    torch.save(payload, path, _use_new_zipfile_serialization=False)
    refused(path, "not a torch file")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_at_any_length(make_file: Callable[..., Path], part: float) -> None:
    path = make_file(300)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    refused(path, "truncated or damaged")


def test_no_flipped_bit_outside_the_tensors_gives_a_traceback(make_file: Callable[..., Path]) -> None:
    path = make_file(3, 5)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        pickled = archive.getinfo(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    dice = np.random.default_rng(0)
    places = dice.integers(pickled.header_offset, pickled.header_offset + pickled.file_size + 200, 150)
    ends = dice.integers(len(data) - 700, len(data), 100)
    for place in (*places.tolist(), *ends.tolist()):
        spoilt = bytearray(data)
        spoilt[place] ^= 1 << int(dice.integers(8))
        path.write_bytes(spoilt)
        with contextlib.suppress(IntegrityError):
            open_encoded(path)


def test_a_foreign_object_is_never_loaded(payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / "games.pt"
    torch.save({**payload, "made_by": Path("x")}, path)
    refused(path, "holds objects other than tensors, numbers and text (pathlib.")


def test_a_pickle_that_would_run_something_does_not(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "run",)

    path = tmp_path / "games.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("games/data.pkl", pickle.dumps(Evil(), protocol=2))
        archive.writestr("games/version", "3\n")
    with pytest.raises(IntegrityError):
        open_encoded(path)
    assert not (tmp_path / "run").exists()


def test_a_compressed_archive_is_refused(make_file: Callable[..., Path], tmp_path: Path) -> None:
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(make_file(3)) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))
    refused(packed, "a compressed archive, which cannot be memory-mapped")


# ------------------------------------------------------------ wrong content


def test_something_else_than_a_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "games.pt"
    torch.save([torch.zeros(3)], path)
    refused(path, "holds a list, not the dict of an encoded file")


def test_missing_keys_are_named_with_what_is_there(payload: Payload, tmp_path: Path) -> None:
    del payload["game_lengths"], payload["num_games"]
    refused(
        saved(payload, tmp_path),
        "lacks game_lengths, num_games (it holds encoding_config, floats, game_offsets, ints)",
    )


def test_a_file_with_more_columns_says_which_configuration_made_it(payload: Payload, tmp_path: Path) -> None:
    payload["floats"] = torch.zeros(8, 144)
    refused(
        saved(payload, tmp_path),
        "144 floats and 17 ints per frame, expected 56 and 17; an encoder writes that with projectiles, state_flags,"
        " hitstun on",
    )
    payload["floats"] = torch.zeros(8, 57)
    refused(saved(payload, tmp_path), "57 floats and 17 ints per frame, expected 56 and 17; no known configuration")


def spoil(**changes: Any) -> Payload:
    return changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (spoil(floats=torch.zeros(8, 56).double()), "floats is float64, expected float32"),
        (spoil(ints=torch.zeros(8, 17, dtype=torch.int32)), "ints is int32, expected int64"),
        (spoil(floats=[1.0]), "floats is a list, not a plain tensor"),
        (spoil(floats=torch.nn.Parameter(torch.zeros(8, 56))), "floats is a Parameter, not a plain tensor"),
        (spoil(floats=torch.zeros(8, 56).to_sparse()), "floats is a sparse tensor, not a plain tensor"),
        (spoil(floats=torch.zeros(8, 7, 8)), "floats has shape (8, 7, 8), expected 2 dimensions"),
        (spoil(floats=torch.zeros(56, 8).T), "floats claims shape (8, 56) with strides (1, 8)"),
        (spoil(floats=torch.zeros(1, 1).expand(10**9, 56)), "floats claims shape (1000000000, 56) with strides (0, 0)"),
        (spoil(ints=torch.zeros(9, 17, dtype=torch.int64)), "8 rows of floats but 9 of ints"),
        (spoil(game_offsets=torch.tensor([1, 3, 8])), "game_offsets begins with 1, expected 0"),
        (spoil(game_offsets=torch.tensor([0, 9, 8])), "game_offsets does not ascend at game 1 (9 then 8)"),
        (spoil(game_offsets=torch.tensor([0, 3, 3, 8])), "game_offsets does not ascend at game 1 (3 then 3)"),
        (spoil(game_offsets=torch.tensor([0, 3, 9])), "game_offsets ends at 9, beyond the 8 rows"),
        (spoil(game_offsets=torch.tensor([0, 3, 7])), "game_offsets ends at 7, before the 8 rows"),
        (spoil(game_offsets=torch.tensor([0])), "holds no game"),
        (spoil(num_games=3), "num_games is 3, but game_offsets has 2 games"),
        (spoil(num_games=True), "num_games is True, but game_offsets has 2 games"),
        (spoil(num_games=[0] * 9), "num_games is a list, but"),
        (spoil(game_lengths=[3, 4]), "game_lengths[1] is 4, but game_offsets gives 5 rows"),
        (spoil(game_lengths=[3]), "game_lengths has 1 entries, expected a list of 2"),
        (spoil(game_lengths="35"), "game_lengths has a str, expected a list of 2"),
        (spoil(encoding_config=[]), "encoding_config is not a dict of named values"),
        (spoil(encoding_config={"hitstun": True}), "the stored encoding gives 58 floats and 17 ints per frame"),
        (spoil(encoder_rules={}), "encoder_rules.source: Field required"),
    ],
)
def test_wrong_content_gets_one_sentence(payload: Payload, tmp_path: Path, changes: Payload, message: str) -> None:
    refused(saved({**payload, **changes}, tmp_path), message)


def test_a_tensor_that_needs_more_than_its_storage_is_refused(payload: Payload, tmp_path: Path) -> None:
    path = saved(payload, tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    assert b"K\x08K8\x86" in entries[name]
    entries[name] = entries[name].replace(b"K\x08K8\x86", b"K\xffK8\x86")  # shape (8, 56) -> (255, 56)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    with pytest.raises(IntegrityError):
        open_encoded(path)


def saved(payload: Payload, folder: Path) -> Path:
    torch.save(payload, folder / "games.pt")
    return folder / "games.pt"


def refused(path: Path, message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        open_encoded(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
