from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardrunner.card.schema.plan import AfterTraining, DemoSection, Download
from cardrunner.contracts import DemoResult, RunContext
from cardrunner.errors import EnvironmentFailed, IntegrityError, UsageError
from cardrunner.runs.events import NoteLeft
from cardrunner.runs.records import DemoRecord, DownloadRecord, Manifest, ManifestEntry, read_record, write_record
from cardrunner.stages import demo, download

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def trained(toy_run: Callable[..., Any]) -> RunContext:
    """A run with a best checkpoint."""
    ctx: RunContext = toy_run().context()
    ctx.folder.best.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    entry = ManifestEntry(file="best.pt", sha256=sha256, bytes=len(CONTENT), weights_sha256="0" * 64, epoch=1, step=8)
    write_record(ctx.folder.manifest, Manifest(entries=(entry,)))
    return ctx


def after(ctx: RunContext, **sections: object) -> RunContext:
    update = {"after_training": AfterTraining(**sections)}  # type: ignore[arg-type]
    return replace(ctx, card=ctx.card.model_copy(update=update))


def test_the_copy_is_the_checkpoint(trained: RunContext, tmp_path: Path) -> None:
    download.STAGE.run(after(trained, download=Download(to="a/b/best.pt")))
    assert (tmp_path / "a" / "b" / "best.pt").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["best.pt"]
    record = read_record(trained.folder.record("download"), DownloadRecord)
    assert (record.to, record.bytes, record.sha256) == (
        "a/b/best.pt",
        len(CONTENT),
        hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:9] + b"\xff" + data[10:], lambda data: b""]
)
def test_other_bytes_leave_the_older_copy_as_it_was(
    trained: RunContext, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "best.pt").write_bytes(b"older")
    trained.folder.best.write_bytes(damage(CONTENT))
    with pytest.raises(IntegrityError, match="the manifest says"):
        download.STAGE.run(after(trained, download=Download(to="best.pt")))
    assert (tmp_path / "best.pt").read_bytes() == b"older"
    assert not trained.folder.record("download").exists()
    assert {path.name for path in tmp_path.iterdir()} == {".cardrunner", "best.pt", "runcards", "runs"}


def test_a_checkpoint_that_was_never_saved_is_named(trained: RunContext) -> None:
    with pytest.raises(IntegrityError, match=r"has no checkpoint latest\.pt; it has: best\.pt"):
        download.STAGE.run(after(trained, download=Download(checkpoint="latest", to="x.pt")))


def test_a_link_does_not_lead_a_download_out_of_the_workspace(
    trained: RunContext, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(UsageError, match="leaves the workspace"):
        download.STAGE.run(after(trained, download=Download(to="link/best.pt")))
    assert not list(outside.iterdir())


def test_a_target_that_cannot_be_written_is_explained(trained: RunContext, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        download.STAGE.run(after(trained, download=Download(to="taken/best.pt")))


def test_a_card_without_a_download_leaves_a_note(trained: RunContext) -> None:
    download.STAGE.run(after(trained))
    assert trained.ledger.events(NoteLeft)[0].message == "the card asks for no download"


class Player:
    """A workload with a demo."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def open_data(self, *_: object, **__: object) -> object:
        return object()

    def demo(self, card: object, checkpoint: Path, data: object, *, out: Path, progress: object) -> DemoResult | None:
        for name in self.names:
            (out / name).write_bytes(checkpoint.read_bytes()[:3])
        return DemoResult(files=tuple(out / name for name in self.names), summary={"score": 3}) if self.names else None


def test_a_demo_is_recorded_and_copied(trained: RunContext, tmp_path: Path) -> None:
    ctx = replace(trained, workload=Player("match.json", "page.html"))  # type: ignore[arg-type]
    demo.STAGE.run(after(ctx, demo=DemoSection(output="shown/match.json")))
    assert (tmp_path / "shown" / "match.json").read_bytes() == CONTENT[:3]
    record = read_record(ctx.folder.record("demo"), DemoRecord)
    assert record.files == ("demo/match.json", "demo/page.html")
    assert (record.copied_to, record.summary) == ("shown/match.json", {"score": 3})


def test_a_damaged_checkpoint_plays_nothing(trained: RunContext) -> None:
    trained.folder.best.write_bytes(CONTENT[::-1])
    ctx = replace(trained, workload=Player("match.json"))  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="changed or damaged"):
        demo.STAGE.run(after(ctx, demo=DemoSection()))
    assert not ctx.folder.demo.exists()


@pytest.mark.parametrize("wanted", [None, DemoSection()])
def test_no_demo_leaves_a_note(trained: RunContext, wanted: DemoSection | None) -> None:
    ctx = replace(trained, workload=Player())  # type: ignore[arg-type]
    demo.STAGE.run(after(ctx, demo=wanted))
    assert "no demo" in trained.ledger.events(NoteLeft)[0].message
    assert not trained.folder.record("demo").exists()


def test_a_demo_folder_that_cannot_be_made_is_explained(trained: RunContext) -> None:
    trained.folder.demo.symlink_to("/proc/self/nowhere")
    ctx = replace(trained, workload=Player("match.json"))  # type: ignore[arg-type]
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        demo.STAGE.run(after(ctx, demo=DemoSection()))
