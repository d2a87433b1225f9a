"""How long the viewer's page takes to open a long match in Chromium, and to show any other frame of it.

    OMP_NUM_THREADS=1 python -m benchmarks.viewer

Opening counts from the navigation to the first drawn frame; a seek from the key press until everything it changed is
laid out and drawn. Each figure is also given as a share of its limit: 2 s to open 20,000 frames, 50 ms to seek. With
``--compare`` a second match of the same length stands beside the first.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cardrunner.workloads.melee.arena.match import MatchEnd
from cardrunner.workloads.melee.arena.match_columns import read_match
from cardrunner.workloads.melee.arena.match_json import MatchFile, MatchMeta
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.rules import Events
from cardrunner.workloads.melee.game.world import Frame
from cardrunner.workloads.melee.simulator.simulator import play_scripted
from cardrunner.workloads.melee.viewer.page import pack_match, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPEN_LIMIT_MS = 2000.0
SEEK_LIMIT_MS = 50.0
_SEED_FRAMES = 10
_OPENED = """() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""
_SEEK = """async key => {
    const began = performance.now();
    dispatchEvent(new KeyboardEvent("keydown", { key }));
    document.body.getBoundingClientRect();
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - began;
}"""
_SEEK_WITHOUT_WAITING = """key => {
    const began = performance.now();
    dispatchEvent(new KeyboardEvent("keydown", { key }));
    document.body.getBoundingClientRect();
    return performance.now() - began;
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    wanted = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = make_page(Path(folder), wanted.frames)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        opened = [_open(page, path) for _ in range(wanted.repetitions)]
        if wanted.compare:
            page.select_option("#choice", "1")
        keys = [key for _ in range(wanted.repetitions) for key in "9051738264"]
        seeks = [page.evaluate(_SEEK, key) for key in keys]
        work = [page.evaluate(_SEEK_WITHOUT_WAITING, key) for key in keys]
        browser.close()
        print(f"{wanted.frames} frames, page of {path.stat().st_size / 1e6:.1f} MB, {browser.version}")
    _print("open", opened, OPEN_LIMIT_MS)
    _print("seek, drawn", seeks, SEEK_LIMIT_MS)
    _print("seek, work alone", work, SEEK_LIMIT_MS)


def make_page(folder: Path, frames: int) -> Path:
    """The page of a made-up match of some frames, with a copy to compare it with."""
    floats, ints = play_scripted(frames, seed="viewer benchmark")
    meta = MatchMeta(model_name="simulator", arch="simulator", context_len=10, p0_agent="script", p1_agent="script")
    with (folder / "match.json").open("wb") as stream:
        recorder = MatchFile(stream, meta, EncodingConfig())
        recorder.begin(floats[:_SEED_FRAMES], ints[:_SEED_FRAMES])
        for row in zip(floats[_SEED_FRAMES:], ints[_SEED_FRAMES:], strict=True):
            recorder.add(Frame(*row), Events(), None)
        recorder.end(MatchEnd(_SEED_FRAMES, frames - _SEED_FRAMES, "frames", 0, 0))
    columns = read_match(folder / "match.json")
    write_page(folder / "match.html", [pack_match(columns, label=label) for label in ("one", "two")], title="long")
    return folder / "match.html"


def _open(page: Page, path: Path) -> float:
    page.goto("about:blank")
    page.goto(path.as_uri())
    return float(page.evaluate(_OPENED))


def _print(name: str, milliseconds: Sequence[float], limit: float) -> None:
    middle, worst = statistics.median(milliseconds), max(milliseconds)
    share = f"{middle / limit:.3f} and {worst / limit:.3f} of the limit of {limit:.0f} ms"
    print(f"  {name:<17} {middle:>7.1f} ms, at most {worst:>7.1f} ms: {share}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--compare", action="store_true", help="show two matches")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
