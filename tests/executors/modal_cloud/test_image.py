"""What an image is made from is recorded, with a digest that follows all of it."""

from __future__ import annotations

import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from cardrunner.common.lock_file import Locked
from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.executors.modal_cloud.functions import installed_rows
from cardrunner.executors.modal_cloud.image import Contents
from cardrunner.executors.modal_cloud.snapshot import pack, unpack
from cardrunner.executors.modal_cloud.spec import ModalInfra
from cardrunner.gate.code import CodeFiles
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import KeptCode, write_record

INFRA = ModalInfra.model_validate({"platform": "modal", "gpu": "T4", "timeout": "1h", "volume": "v"})


@pytest.fixture
def launched(tmp_path: Path) -> RunFolder:
    """A run folder with a copy of code: a program, a link, and a file that no listing has."""
    folder = RunFolder(tmp_path / "run")
    inner = folder.code / "trainer"
    inner.mkdir(parents=True)
    (inner / "train.py").write_text("print(1)\n")
    (inner / "run.sh").write_text("python train.py\n")
    (inner / "run.sh").chmod(0o755)
    (inner / "alias.py").symlink_to("train.py")
    (inner / "left.py").write_text("")
    files = ("alias.py", "run.sh", "train.py")
    sha256 = CodeFiles(inner, files).sha256
    write_record(folder.code_record, KeptCode(folder="trainer", files=files, sha256=sha256, commit=None))
    return folder


def test_the_digest_follows_packages_code_and_system_packages(launched: RunFolder) -> None:
    first = Contents(INFRA, folder=launched).record
    assert first == Contents(INFRA, folder=launched).record
    others = [
        Contents(INFRA).record,
        Contents(INFRA, folder=launched, lock=(Locked("einops", "0.8.1"),)).record,
        Contents(INFRA.model_copy(update={"packages": ("einops==0.8.0",)}), folder=launched).record,
        Contents(INFRA.model_copy(update={"system_packages": ("ffmpeg",)}), folder=launched).record,
    ]
    assert len({first.sha256, *(record.sha256 for record in others)}) == 5


def test_a_script_brings_its_own_torch_and_a_lock_holds_against_what_the_worker_needs(launched: RunFolder) -> None:
    lock = (Locked("torch", "2.12.0+cpu"), Locked("pydantic", "2.11.0"))
    lines = Contents(INFRA, folder=launched, lock=lock).requirements
    assert "torch==2.12.0" in lines
    assert "pydantic==2.11.0" in lines
    assert "pydantic<3,>=2.11" in lines, "pip says so if the worker cannot use it"
    assert f"torch=={version('torch').partition('+')[0]}" not in lines
    assert f"torch=={version('torch').partition('+')[0]}" in Contents(INFRA).requirements


def test_code_arrives_with_its_modes_and_links_and_nothing_else(launched: RunFolder, tmp_path: Path) -> None:
    archive, there = tmp_path / "code.tar", RunFolder(tmp_path / "there")
    pack(launched, archive)
    again = tmp_path / "again.tar"
    pack(launched, again)
    assert archive.read_bytes() == again.read_bytes()
    there.root.mkdir()
    there.code_record.write_bytes(launched.code_record.read_bytes())
    unpack(archive, there)
    inner = there.code / "trainer"
    assert {path.name for path in inner.iterdir()} == {"train.py", "run.sh", "alias.py"}
    assert CodeFiles(inner, ("alias.py", "run.sh", "train.py")).sha256 == Contents(INFRA, folder=launched).record.code
    with pytest.raises(IntegrityError, match="was made without the code of the run"):
        unpack(tmp_path / "absent.tar", there)


def test_an_archive_that_leads_out_of_the_folder_is_refused(launched: RunFolder, tmp_path: Path) -> None:
    archive = tmp_path / "code.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(launched.code / "trainer" / "train.py", "../../train.py")
    with pytest.raises(IntegrityError, match="is not the code of a run"):
        unpack(archive, launched)


def test_an_image_with_another_version_is_found_before_any_gpu() -> None:
    record = Contents(INFRA).record
    assert installed_rows(record)[0].endswith("packages as recorded")
    other = record.model_copy(update={"packages": ("pydantic==1.0", "absent-package==3")})
    with pytest.raises(EnvironmentFailed, match=r"pydantic .* in place of 1\.0 and absent-package is missing"):
        installed_rows(other)
