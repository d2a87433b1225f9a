from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cardrunner.workloads.melee.arena.match_columns import read_match
from cardrunner.workloads.melee.viewer.page import json_for_html, pack_match, page_text, write_page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]> --> <img src=x onerror=alert(1)>",
    "\u2028\u2029 line \u0085 ends",
    "\ud800 alone",
    "&lt;b&gt; \" ' \\ ${x}",
]
ASSETS = resources.files("cardrunner.workloads.melee.viewer") / "assets"
SCRIPTS = sorted(each.name for each in ASSETS.iterdir() if each.name.endswith(".js"))


class Elements(HTMLParser):
    """What a browser would find: start tags, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw.append((self._inside, data))


@pytest.fixture
def page(match_path: Callable[..., Path]) -> Callable[..., str]:
    """The page of a match: ``page(content, label="agents", title="a match")``."""

    def make(content: object | None = None, *, label: str = "agents", title: str = "a match") -> str:
        return page_text([pack_match(read_match(match_path(content)), label=label)], title=title)

    return make


def payload_of(text: str) -> dict[str, Any]:
    found = [raw for tag, raw in Elements(text).raw if tag == "script" and raw.startswith("{")]
    assert len(found) == 1

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads(found[0], parse_constant=never)
    return loaded


def test_the_page_is_one_file_that_asks_for_nothing(page: Callable[..., str]) -> None:
    elements = Elements(page())
    places = [value for _, attributes in elements.tags for name, value in attributes.items() if name in ("src", "href")]
    assert places == ["data:,"]
    text = "".join(raw for _, raw in elements.raw)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text)
    assert set(re.findall(r"https?://[^\"'`\s]+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_policy_allows_exactly_this_style_and_this_script(page: Callable[..., str]) -> None:
    elements = Elements(page())
    policy = next(attributes["content"] for _, attributes in elements.tags if attributes.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, text in elements.raw:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert (f"'sha256-{digest}'" in policy) == (not text.startswith("{")), tag


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_match_becomes_part_of_the_page(
    page: Callable[..., str], match_content: Callable[..., Any], text: str
) -> None:
    content = match_content(20)
    content["meta"] |= {"model_name": text, "p0_agent": text, text: text, "characters": {"p0": {"name": text}}}
    content["stage_geometry"]["name"] = text
    content["summary"][text] = text
    content["frames"][15]["source"] = text
    title = text.encode("utf-8", "replace").decode()
    made = page(content, label=text, title=title)
    assert [tag for tag, _ in Elements(made).tags] == [tag for tag, _ in Elements(page()).tags]
    assert payload_of(made)["matches"][0]["meta"]["p0_agent"] == text
    assert payload_of(made)["matches"][0]["sources"] == ["seed", "agent", text]


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_for_html({"x": float("nan")})


def test_the_same_match_gives_the_same_page(page: Callable[..., str], tmp_path: Path) -> None:
    assert page() == page()
    write_page(tmp_path / "match.html", [], title="nothing yet")
    assert (tmp_path / "match.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_make_no_markup_from_text_and_can_stand_in_a_page(name: str) -> None:
    text = (ASSETS / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc", text)
    assert "</script" not in text.lower()
    assert "<!--" not in text


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``; WCAG 2.2."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_told_from_what_they_stand_on(theme: str) -> None:
    style = (ASSETS / "theme.css").read_text(encoding="utf-8")
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", style))
    colors = {name: pair.split(", ")[theme == "dark"] for name, pair in pairs.items()}
    for ground in ("page", "surface", "sky"):
        for ink in ("ink", "soft", "p0", "p1", "wrong"):
            assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
        for line in ("edge", "focus", "ground"):
            assert contrast(colors[line], colors[ground]) >= 3.0, (line, ground)
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
