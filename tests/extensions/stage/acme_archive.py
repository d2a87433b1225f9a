"""Two stages: one packs what came of a run, one looks at the run folder before anything is trained."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Made, RunContext
from cardrunner.stages.base import BaseStage


class Archive(BaseStage):
    """The best weights and the records of all stages in one file."""

    name = "archive"
    side = "launcher"

    def checkpoints(self, card: Card) -> Sequence[str]:
        return ("best.pt",)

    def run(self, ctx: RunContext) -> Made:
        root, path = ctx.folder.root, ctx.folder.root / "archive.tar"
        packed = [ctx.folder.best, *sorted((root / "stages").glob("*.json"))]
        with tarfile.open(path, "w") as tar:
            for file in packed:
                tar.add(file, arcname=file.relative_to(root).as_posix())
        return Made(files=(path,), summary={"packed_files": len(packed)})


class Audit(BaseStage):
    """Makes nothing."""

    name = "audit"
    side = "worker"
    after = "load"

    def run(self, ctx: RunContext) -> None:
        assert ctx.folder.record("load").exists()
        assert not ctx.folder.record("train").exists()
