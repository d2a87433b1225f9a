"""A trial is offline, has no secrets, and what changes outside is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner.workloads.command.trying.isolation import inherited, offline
from cardrunner.workloads.command.trying.listing import list_files, watched_folders
from cardrunner.workloads.command.trying.place import remove_folder

SECRETS = {
    "WANDB_API_KEY": "0123456789",
    "MY_TOKEN": "abc",
    "DATABASE_PASSWORD": "x",
    "AWS_PROFILE": "team",
    "AWS_SHARED_CREDENTIALS_FILE": "/home/a/.aws/credentials",
    "SSH_AUTH_SOCK": "/run/agent",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/a/key.json",
    "PROXY": "http://user:password@proxy:80",
    "MODAL_TOKEN_ID": "ak-1",
    "WANDB_MODE": "online",
}
HARMLESS = {"PATH": "/bin", "HOME": "/home/a", "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false", "LANG": "C"}


def test_secrets_are_withheld_by_name_and_the_rest_is_handed_on() -> None:
    kept, withheld = inherited({**SECRETS, **HARMLESS})
    assert kept == HARMLESS
    assert withheld == tuple(sorted(SECRETS))


def test_it_is_offline_whatever_the_card_says(tmp_path: Path) -> None:
    own = {"WANDB_MODE": "online", "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}
    found = offline(tmp_path / "scratch", tmp_path / "out", own)
    assert (found["WANDB_MODE"], found["HF_HUB_OFFLINE"], found["OMP_NUM_THREADS"]) == ("offline", "1", "1")
    assert found["MLFLOW_TRACKING_URI"] == f"file:{tmp_path}/out/mlruns"
    assert found["TMPDIR"].startswith(str(tmp_path))
    assert not Path(found["NETRC"]).exists()


@pytest.mark.parametrize(
    ("written", "expected"),
    [("file:logs", "file:logs"), ("https://host", "file:/out/mlruns"), ("", "file:/out/mlruns")],
)
def test_a_store_of_mlflow_that_is_a_folder_stays(written: str, expected: str) -> None:
    own = {"MLFLOW_TRACKING_URI": written} if written else {}
    assert offline(Path("/scratch"), Path("/out"), own)["MLFLOW_TRACKING_URI"] == expected


def test_a_listing_names_what_is_new_changed_and_gone(tmp_path: Path) -> None:
    for name in ("same", "changed", "gone"):
        (tmp_path / name).write_text("x")
    (tmp_path / "runs").mkdir()
    before = list_files([tmp_path], beside=[tmp_path / "runs"])
    (tmp_path / "changed").write_text("more")
    (tmp_path / "gone").unlink()
    (tmp_path / "new").write_text("x")
    (tmp_path / "runs" / "live").write_text("x")
    after = list_files([tmp_path], beside=[tmp_path / "runs"])
    assert before.changed(after) == [
        ("changed", tmp_path / "changed"),
        ("removed", tmp_path / "gone"),
        ("new", tmp_path / "new"),
    ]


def test_each_folder_is_listed_once_and_a_whole_home_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "team" / "code").mkdir(parents=True)
    (tmp_path / ".cache" / "torch").mkdir(parents=True)
    found = watched_folders(tmp_path / "team", tmp_path / "team" / "code", tmp_path)
    assert found == [tmp_path / "team", tmp_path / ".cache" / "torch"]


def test_a_folder_goes_with_what_may_not_be_written_to(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (inside / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to("/etc")
    inside.chmod(0)
    (tmp_path / "a").chmod(0o500)
    remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert Path("/etc").exists()
