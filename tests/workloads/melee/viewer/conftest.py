from __future__ import annotations

import copy
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cardrunner.workloads.melee.arena.match_columns import read_match
from cardrunner.workloads.melee.encoding.layout import CONTROLLER, NEUTRAL_CONTROL
from cardrunner.workloads.melee.game.names import action_name
from cardrunner.workloads.melee.viewer.page import pack_match, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Content = dict[str, Any]
SEED_FRAMES = 10

GEOMETRY: Content = {
    "name": "Battlefield",
    "ground_y": 0.0,
    "ground_x_range": [-68.4, 68.4],
    "platforms": [{"x_range": [-57.6, -20.0], "y": 27.2}, {"x_range": [20.0, 57.6], "y": 27.2}],
    "blast_zones": {"left": -224.0, "right": 224.0, "top": 200.0, "bottom": -108.8},
    "camera_bounds": {"left": -160.0, "right": 160.0, "top": 136.0, "bottom": -47.2},
}
META: Content = {
    "mode": "agent-vs-agent",
    "model_name": "small-world",
    "arch": "mamba2",
    "context_len": SEED_FRAMES,
    "p0_agent": "policy:best",
    "p1_agent": "random",
    "seed_frames": SEED_FRAMES,
    "stage": {"id": 31, "name": "Battlefield"},
    "characters": {"p0": {"id": 1, "name": "Fox"}, "p1": {"id": 18, "name": "Marth"}},
}
HELD = 60
"""From this frame on player 0 holds A and the stick to the right."""
HIT = 100
"""Player 1 is hit; 20 frames later it is knocked out."""
FALL = 200
"""Player 0 loses a stock unhit."""


def a_player(t: int, player: int) -> Content:
    """A player of the small match; what changes, changes at the frames named above."""
    pad = dict(zip(CONTROLLER, NEUTRAL_CONTROL, strict=True))
    if player == 0 and t >= HELD:
        pad |= {"A": 1.0, "main_x": 1.0, "shoulder": 0.5}
    action = 20 if player == 0 else 75 if HIT <= t < HIT + 12 else 0 if HIT + 20 <= t < HIT + 50 else 14
    return {
        "x": round(-50 + t * 0.25, 4) if player == 0 else 30.5,
        "y": 0.0 if player == 0 else 27.2,
        "percent": 0.0 if player == 0 or not HIT <= t < HIT + 20 else 87.0,
        "shield": 60.0,
        "stocks": (4 if t < FALL else 3) if player == 0 else (4 if t < HIT + 20 else 3),
        "facing": player == 0,
        "facing_right": player == 0,
        "invulnerable": False,
        "on_ground": True,
        "action": action,
        "action_name": action_name(action),
        "jumps_left": 1,
        "character": 1 if player == 0 else 18,
        "controller": pad,
    }


def a_frame(t: int) -> Content:
    players = {f"p{player}": a_player(t, player) for player in (0, 1)}
    if t < SEED_FRAMES:
        return {"t": t, "source": "seed", "actual": {**players, "stage": 31}, "predicted": None}
    for player in players.values():
        top = ((player["action"], 0.7), (29, 0.2), (14, 0.05))
        player["top3_actions"] = [{"action": each, "name": action_name(each), "prob": prob} for each, prob in top]
        player |= {"action_entropy": 0.25 + t / 1000, "speed_magnitude": 1.5, "off_stage": False}
    events = {slot: {"ko": False, "velocity_clamped": False, "stock_protected": False} for slot in players}
    return {"t": t, "source": "agent", "actual": None, "predicted": players, "harness_events": events}


def a_match(frames: int = 300) -> Content:
    """A match in which everything that the page shows happens."""
    return {
        "meta": {**copy.deepcopy(META), "total_frames": frames},
        "stage_geometry": copy.deepcopy(GEOMETRY),
        "frames": [a_frame(t) for t in range(frames)],
        "summary": {"total_frames_predicted": frames - SEED_FRAMES, "ended": "frames"},
    }


def save(path: Path, content: object) -> Path:
    """Write a match file as this project does: one frame on a line."""
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        path.write_text(json.dumps(content))
        return path
    head = {name: value for name, value in content.items() if name != "frames"}
    frames = ",\n".join(json.dumps(frame) for frame in content["frames"])
    path.write_text(f'{json.dumps(head)[:-1]},\n"frames": [\n{frames}\n]}}\n')
    return path


@pytest.fixture
def match_content() -> Callable[..., Content]:
    """A small match as a file has it: ``match_content(frames)``."""
    return a_match


@pytest.fixture
def match_path(tmp_path: Path) -> Callable[..., Path]:
    """Writes a match file; without content the small match."""

    def write(content: object | None = None, name: str = "match.json") -> Path:
        return save(tmp_path / name, a_match() if content is None else content)

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("chromium is not installed; on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Tabs:
    """The browser's tabs, used again: a new one costs a process."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[tuple[bool, str], list[Page]] = {}

    def take(self, width: int, height: int, scheme: str) -> Page:
        """An empty tab of this size where there is no network; a narrow one is that of a phone."""
        phone = width < 600
        free = self._free.setdefault((phone, scheme), [])
        page = free.pop() if free else self._open(phone=phone, scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        return page

    def give_back(self, page: Page, *, scheme: str) -> None:
        page.goto("about:blank")
        phone = bool(page.evaluate("navigator.maxTouchPoints"))
        self._free[phone, scheme].append(page)

    def _open(self, *, phone: bool, scheme: str) -> Page:
        colors: Any = scheme
        return self._browser.new_context(color_scheme=colors, has_touch=phone, is_mobile=phone, offline=True).new_page()


@dataclass
class Opened:
    """The viewer in a browser."""

    page: Page
    scheme: str
    complaints: list[str]
    """What the console said, errors nobody caught, and requests for anything but the page itself."""
    heard: list[tuple[Any, Callable[[Any], None]]] = field(default_factory=list)

    def listen(self, own: Path) -> None:
        """Write down every complaint about the page."""
        complain = self.complaints.append
        self.heard = [
            ("console", lambda message: complain(message.text)),
            ("pageerror", lambda error: complain(str(error))),
            ("request", lambda request: self.note_request(request.url, own)),
        ]
        for event, listener in self.heard:
            self.page.on(event, listener)

    def close(self, tabs: Tabs) -> None:
        for event, listener in self.heard:
            self.page.remove_listener(event, listener)
        tabs.give_back(self.page, scheme=self.scheme)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def value(self, selector: str) -> str:
        return self.page.locator(selector).first.input_value()

    def note_request(self, url: str, own: Path) -> None:
        if url.partition("#")[0] not in (own.as_uri(), "data:,", "about:blank"):
            self.complaints.append(f"asked for {url}")

    def attribute(self, selector: str, name: str) -> str:
        return self.page.locator(selector).first.get_attribute(name) or ""

    @property
    def frame(self) -> int:
        return int(self.attribute(".timeline", "aria-valuenow"))

    def drop(self, path: Path) -> None:
        """Let go of a file over the page, and wait for what the page says to it."""
        self.page.evaluate(
            """([name, text]) => {
                const data = new DataTransfer();
                data.items.add(new File([text], name));
                document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
            }""",
            [path.name, path.read_text(encoding="utf-8", errors="surrogatepass")],
        )
        self.wait_for_message()

    def choose(self, path: Path) -> None:
        """Choose a file in the dialog, and wait for what the page says to it."""
        self.page.set_input_files("#file", path)
        self.wait_for_message()

    def wait_until(self, reached: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Look until it is so. The browser's own waiting evaluates text, which the page's policy forbids."""
        limit = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < limit, "it never came to that"
            self.page.wait_for_timeout(10)

    def wait_for_message(self) -> None:
        self.wait_until(lambda: not re.match("Reading|$", self.page.locator("#message-text").text_content() or ""))

    @property
    def message(self) -> str:
        return self.text("#message-text")


def open_in(
    tabs: Tabs,
    folder: Path,
    matches: Mapping[str, Content] | None = None,
    *,
    width: int = 1280,
    height: int = 720,
    scheme: str = "light",
) -> Opened:
    """Make the page of some matches, of the small one by default, and open it."""
    contents = {"agents": a_match()} if matches is None else matches
    path = folder / "match.html"
    packed = [pack_match(read_match(save(folder / "m.json", each)), label=name) for name, each in contents.items()]
    write_page(path, packed, title="a match")
    opened = Opened(tabs.take(width, height, scheme), scheme, [])
    opened.listen(path)
    opened.page.goto(path.as_uri())
    return opened


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> Tabs:
    return Tabs(browser)


@pytest.fixture
def open_page(tabs: Tabs, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a page: ``open_page({"agents": content}, width=390)``."""
    pages = []

    def open_it(*args: Any, **kwargs: Any) -> Opened:
        pages.append(open_in(tabs, tmp_path, *args, **kwargs))
        return pages[-1]

    yield open_it
    for opened in pages:
        opened.close(tabs)


@pytest.fixture(scope="module")
def shared_page(tabs: Tabs, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """One page on which one file after another is dropped, as somebody would."""
    return open_in(tabs, tmp_path_factory.mktemp("shared"))
