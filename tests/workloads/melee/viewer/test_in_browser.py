"""The page in a real browser: it loads, plays, seeks and compares, and no file that is dropped on it does harm."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

Content = dict[str, Any]
Open = Callable[..., Any]
MakeContent = Callable[..., Content]
HELD, HIT, FALL, SEED_FRAMES = 60, 100, 200, 10
"""Where things happen in the small match; see ``conftest.py``."""


def place_of(viewer: Any, fighter: str) -> tuple[float, float]:
    found = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", viewer.attribute(f".fighter.{fighter} .body", "transform"))
    assert found
    return float(found[1]), float(found[2])


# ---------------------------------------------------------------- what it shows


def test_it_opens_by_itself_and_says_who_plays(open_page: Open) -> None:
    viewer = open_page()
    assert viewer.text("#title") == "Fox against Marth"
    assert viewer.text("#subtitle") == "Battlefield · policy:best against random · in small-world"
    assert viewer.text(".card.p0 .who") == "Fox"
    assert viewer.text(".card.p1 .agent") == "random"
    assert viewer.text(".source") == "recorded play (seed)"
    assert viewer.complaints == []


def test_stage_and_fighters_are_to_scale(open_page: Open) -> None:
    viewer = open_page()
    box = {name: float(viewer.attribute(".zone", name)) for name in ("x", "y", "width", "height")}
    assert box == {"x": -224, "y": -200, "width": 448, "height": 308.8}
    platforms = viewer.page.locator(".platform")
    assert [float(platforms.nth(1).get_attribute(name)) for name in ("x", "y", "width")] == [20, -27.2, 37.6]
    assert viewer.attribute(".ground", "d").startswith("M-68.4 0H68.4")
    viewer.press("End")
    assert place_of(viewer, "p0") == pytest.approx((-50 + 299 * 0.25, 0), abs=0.01)
    assert place_of(viewer, "p1") == pytest.approx((30.5, -27.2), abs=0.01)
    assert viewer.attribute(".fighter.p0 .body .wedge", "transform") == ""
    assert viewer.attribute(".fighter.p1 .body .wedge", "transform") == "scale(-1 1)"


def test_a_frame_is_told_in_words_and_numbers(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.fill("#frame", str(HIT + 5))
    viewer.press("Enter")
    card = ".card.p1"
    assert viewer.text(f"{card} .percent") == "87%"
    assert viewer.attribute(f"{card} .stocks", "aria-label") == "4 stocks"
    assert viewer.text(f"{card} .action") == "Hit"
    assert viewer.text(f"{card} .action-id") == "DAMAGE_HI_1"
    assert viewer.page.locator(f"{card} .chip").all_inner_texts() == ["hitstun", "grounded"]
    assert viewer.page.locator(f"{card} .meters .number").all_inner_texts() == ["60", "1.50", "0.35 nats"]
    assert viewer.page.locator(f"{card} .guess").first.inner_text().split("\n") == ["hit", "70%"]
    assert viewer.text(".source") == "agents play"
    words = viewer.attribute(".timeline", "aria-valuetext")
    assert words.startswith(
        "frame 105 of 299, 0:01.75. agents, agents play: P0 Fox, 0 percent, 4 stocks, dashing, facing"
    )
    assert "P1 Marth, 87 percent" in words


def test_controllers_are_drawn_live(open_page: Open) -> None:
    viewer = open_page()
    pad = ".pad.p0"

    def pressed() -> list[str]:
        return list(viewer.page.locator(f"{pad} .button.down").all_text_contents())

    viewer.press("Home")
    middle = float(viewer.attribute(f"{pad} .knob", "cx"))
    assert (pressed(), viewer.attribute(f"{pad} .level", "width")) == ([], "0.0")
    viewer.press("9")
    assert pressed() == ["A"]
    assert float(viewer.attribute(f"{pad} .knob", "cx")) > middle + 15
    assert viewer.attribute(f"{pad} .level", "width") == "54.0"
    assert viewer.attribute(pad, "aria-label") == "Controller of P0: stick right, holds A"


def test_who_is_knocked_out_leaves_the_stage(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.fill("#frame", str(HIT + 25))
    viewer.press("Enter")
    assert not viewer.page.locator(".fighter.p1 .body").is_visible()
    assert viewer.page.locator(".fighter.p1 .out").is_visible()
    assert viewer.page.locator(".card.p1 .chip").count() == 0


# ---------------------------------------------------------------- time


def test_it_plays_and_pauses(open_page: Open) -> None:
    viewer = open_page()
    viewer.press(" ")
    assert viewer.attribute("#play", "aria-label") == "Pause"
    viewer.wait_until(lambda: viewer.frame > 5)
    viewer.press("k")
    assert viewer.attribute("#play", "aria-label") == "Play"
    still = viewer.frame
    viewer.page.wait_for_timeout(120)
    assert viewer.frame == still
    assert viewer.complaints == []


def test_it_stops_at_the_end_and_begins_again(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.select_option("#speed", "8")
    viewer.press("9", " ")
    viewer.wait_until(lambda: viewer.frame == 299)
    assert viewer.attribute("#play", "aria-label") == "Play"
    viewer.page.click("#play")
    viewer.wait_until(lambda: viewer.frame < 299)


@pytest.mark.parametrize(
    ("keys", "frame"),
    [
        (["End"], 299),
        (["End", "Home"], 0),
        (["ArrowRight", "ArrowRight", "ArrowLeft"], 1),
        (["Shift+ArrowRight"], 60),
        (["l", "l", "j"], 60),
        (["PageDown"], 299),
        (["5"], 150),
        (["ArrowLeft"], 0),
        (["]"], SEED_FRAMES),
        (["]", "]"], HIT),
        (["]", "]", "]"], HIT + 20),
        (["End", "["], FALL),
    ],
)
def test_every_frame_can_be_reached_by_keyboard(shared_page: Any, keys: list[str], frame: int) -> None:
    shared_page.press("Home", *keys)
    assert shared_page.frame == frame
    assert shared_page.value("#frame") == str(frame)


def test_keys_keep_their_meaning_inside_fields(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.focus("#frame")
    viewer.press("Control+a", "4", "2", "Enter")
    assert viewer.frame == 42
    viewer.page.fill("#frame", "many")
    viewer.press("Enter")
    assert (viewer.frame, viewer.value("#frame")) == (42, "42")
    viewer.page.focus("#forward")
    viewer.press(" ")
    assert viewer.frame == 43
    assert viewer.attribute("#play", "aria-label") == "Play"


def test_the_timeline_is_clicked_and_dragged(open_page: Open) -> None:
    viewer = open_page()
    box = viewer.page.locator(".timeline").bounding_box()
    assert box
    y = box["y"] + 30
    viewer.page.mouse.click(box["x"] + box["width"] / 2, y)
    middle = viewer.frame
    assert 130 < middle < 160
    viewer.page.mouse.move(box["x"] + box["width"] / 2, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(box["x"] + box["width"] + 50, y)
    viewer.page.mouse.up()
    assert viewer.frame == 299


def test_speed_goes_up_and_down(open_page: Open) -> None:
    viewer = open_page()
    viewer.press("+", "+")
    assert viewer.value("#speed") == "4"
    viewer.press(*["-"] * 9)
    assert viewer.value("#speed") == "0.1"


def test_an_address_can_name_a_frame(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.evaluate("location.hash = '#t=77'")
    viewer.page.reload()
    assert viewer.frame == 77


def test_the_timeline_shows_events_and_the_list_leads_to_them(open_page: Open) -> None:
    viewer = open_page()
    assert viewer.page.locator(".sign.ko").count() == 1
    assert viewer.page.locator(".sign.fall").count() == 1
    assert viewer.page.locator(".made-by.seed").count() == 1
    assert viewer.page.locator(".area.entropy").count() == 1
    viewer.page.click("#happened summary")
    texts = [text.replace("\n", " ") for text in viewer.page.locator(".event").all_inner_texts()]
    assert texts == [
        "0:00.16 agents take over from here on: agents play",
        "0:01.66 hit P1 is hit for 87%, now 87%",
        "0:02.00 knocked out P1 is knocked out at 87%, 3 stocks left",
        "0:03.33 lost a stock without being hit P0 falls at 0%, 3 stocks left",
    ]
    viewer.page.locator(".event").nth(2).click()
    assert viewer.frame == HIT + 20


# ---------------------------------------------------------------- two matches


def test_a_match_of_the_page_is_compared_with_another(open_page: Open, match_content: MakeContent) -> None:
    people = match_content(120)
    people["meta"] |= {"mode": "replay", "seed_players": "people", "p0_agent": "person"}
    for frame in people["frames"]:
        frame |= {"source": "seed", "actual": frame["actual"] or frame["predicted"], "predicted": None}
    viewer = open_page({"agents": match_content(300), "people": people})
    viewer.page.select_option("#choice", "1")
    viewer.press("3")
    assert viewer.page.locator(".view").count() == 2
    assert viewer.page.locator(".view .title").all_inner_texts() == ["agents", "people"]
    assert viewer.page.locator(".source").all_inner_texts() == ["agents play", "people"]
    assert viewer.page.locator(".percent").all_inner_texts() == ["0%"] * 4
    viewer.press("End")
    assert viewer.page.locator(".ended:visible").count() == 1
    viewer.page.click(".close")
    assert viewer.page.locator(".view").count() == 1
    assert viewer.complaints == []


def everything(viewer: Any, view: int) -> list[str]:
    node = viewer.page.locator(".view").nth(view)
    transforms = node.locator("svg *").evaluate_all("nodes => nodes.map(node => node.getAttribute('transform'))")
    return [node.locator(".card").all_inner_texts(), transforms, node.locator(".pad").all_text_contents()]


@pytest.mark.parametrize("how", ["drop", "choose"])
def test_a_file_shows_the_same_as_the_page_made_of_it(
    open_page: Open, match_path: Callable[..., Path], how: str
) -> None:
    viewer = open_page()
    path = match_path(name="again.json")
    getattr(viewer, how)(path)
    assert viewer.message == "again.json: 300 frames, shown beside the first match."
    for frame in (0, SEED_FRAMES, HELD, HIT + 3, HIT + 30, FALL, 299):
        viewer.page.evaluate("() => document.activeElement.blur()")
        viewer.page.fill("#frame", str(frame))
        viewer.press("Enter")
        assert everything(viewer, 0) == everything(viewer, 1), frame
    assert viewer.complaints == []


def test_a_page_without_a_match_takes_the_first_file(open_page: Open, match_path: Callable[..., Path]) -> None:
    viewer = open_page({})
    assert viewer.page.locator(".invitation").is_visible()
    assert not viewer.page.locator(".deck").is_visible()
    viewer.drop(match_path())
    assert viewer.message == "match.json: 300 frames."
    assert viewer.text("#title") == "Fox against Marth"
    assert viewer.page.locator(".deck").is_visible()


def test_files_of_other_writers_are_read(
    open_page: Open, match_content: MakeContent, match_path: Callable[..., Path]
) -> None:
    content = match_content(40)
    content["meta"] = {"mode": "teacher-forced"}
    for frame in content["frames"]:
        truth: Content = {
            slot: {"x": 5, "y": 6, "percent": 1.5, "stocks": 4.0, "facing": True, "action": 343}
            for slot in ("p0", "p1")
        }
        guess = {slot: {**player, "x": 8.0, "facing_right": False} for slot, player in truth.items()}
        guess["p0"] |= {"action_correct": False, "position_error": 3.0, "action_name": "A <b>NAME</b> OF ITS OWN"}
        frame |= {"source": "teacher-forced", "actual": truth, "predicted": guess}
        frame.pop("harness_events", None)
    viewer = open_page({})
    viewer.drop(match_path(content))
    viewer.press("End")
    assert viewer.text(".source") == "model, shown the real frames"
    assert place_of(viewer, "p0") == (8, -6)
    assert viewer.attribute(".fighter.p0 .ghost", "transform").startswith("translate(5.00 -6.00)")
    assert viewer.page.locator(".fighter.p0 .ghost").is_visible()
    assert viewer.text(".card.p0 .action") == "A <b>name</b> of its own"
    assert "wrong action" in viewer.page.locator(".card.p0 .chip").all_inner_texts()
    assert viewer.page.locator(".pad-box .none").first.inner_text() == "This file records no controllers."
    assert viewer.complaints == []


# ---------------------------------------------------------------- files nobody should trust


def without(content: Content, *path: str) -> Content:
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return content


def changed(content: Content, value: object, *path: Any) -> Content:
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return content


NOT_WHOLE = "is not complete, strict JSON (cut off, or with NaN in it). Write the match file again."
NO_STAGE = "says nothing usable about its stage: stage_geometry needs ground_x_range and blast_zones."
BAD: list[tuple[Callable[[Content], object], str]] = [
    (lambda content: "", "is empty. Choose a match file (match.json)."),
    (lambda content: json.dumps(content)[:-100], NOT_WHOLE),
    (lambda content: json.dumps(content).replace("60.0", "NaN"), NOT_WHOLE),
    (lambda content: "alert(1)", NOT_WHOLE),
    (lambda content: "<script>window.harm = 1</script>", "is a page, not a match file. Drop the match.json that lies"),
    (lambda content: "[" * 200_000, NOT_WHOLE),
    (lambda content: "null", "is not a match file: it has no list of frames beside meta and stage_geometry."),
    (lambda content: '{"frames": {"length": 4}}', "is not a match file: it has no list of frames"),
    (lambda content: changed(content, [], "frames"), "has no frames."),
    (lambda content: changed(content, [None], "frames"), "frame 0 has neither actual nor predicted players."),
    (lambda content: changed(content, 7, "frames", 12, "predicted", "p1"), "frame 12, p1 is missing."),
    (
        lambda content: changed(content, "4", "frames", 12, "predicted", "p1", "x"),
        "frame 12, p1: x is not a place on a",
    ),
    (
        lambda content: changed(content, 1e300, "frames", 3, "actual", "p0", "y"),
        "frame 3, p0: y is not a place on a stage.",
    ),
    (lambda content: without(content, "stage_geometry"), NO_STAGE),
    (lambda content: without(content, "stage_geometry", "blast_zones", "top"), NO_STAGE),
    (lambda content: changed(content, [9, -9], "stage_geometry", "ground_x_range"), NO_STAGE),
    (
        lambda content: changed(content, 2, "meta", "format_version"),
        "is of format version 2; this page reads version 1.",
    ),
    (
        lambda content: changed(content, "<img src=x onerror=alert(1)>", "meta", "format_version"),
        "is of format version <img src=x onerror=…; this page reads version 1.",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), BAD, ids=[sentence[:40] for _, sentence in BAD])
def test_what_cannot_be_shown_gets_a_sentence(
    shared_page: Any, match_content: MakeContent, tmp_path: Path, spoil: Callable[[Content], object], sentence: str
) -> None:
    spoilt = spoil(match_content(30))
    path = tmp_path / "bad.json"
    path.write_text(spoilt if isinstance(spoilt, str) else json.dumps(spoilt))
    shared_page.drop(path)
    assert shared_page.message.startswith("bad.json")
    assert sentence in shared_page.message
    assert shared_page.page.locator(".view").count() == 1
    assert shared_page.page.evaluate("window.harm") is None
    assert shared_page.complaints == []
    shared_page.page.click("#message-close")


def test_a_file_that_is_too_large_is_not_even_read(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.evaluate(
        """() => {
            const data = new DataTransfer();
            const file = new File(["x"], "huge.json");
            Object.defineProperty(file, "size", { value: 9e9 });
            file.text = () => { window.harm = "read"; };
            const event = new DragEvent("drop", { bubbles: true });
            Object.defineProperty(event, "dataTransfer", { value: { files: [file] } });
            document.body.dispatchEvent(event);
        }"""
    )
    viewer.wait_for_message()
    assert viewer.message == "huge.json has 9000 MB; this page reads match files up to 400 MB. Make a shorter match."
    assert viewer.page.evaluate("window.harm") is None


HOSTILE = [
    "</script><script>window.harm = 1</script>",
    "<img src=x onerror='window.harm = 1'>",
    "javascript:window.harm=1",
    "\u2028window.harm = 1\u2029",
    "__proto__",
    "x" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_only_ever_text(
    open_page: Open, match_content: MakeContent, match_path: Callable[..., Path], text: str
) -> None:
    content = match_content(30)
    everywhere = ("model_name", "arch", "p0_agent", "p1_agent", "mode", "seed_players", text)
    content["meta"] |= dict.fromkeys(everywhere, text)
    content["meta"]["characters"] = {"p0": {"name": text}, "p1": {"name": text}}
    content["stage_geometry"]["name"] = text
    content["summary"] = {text: text, "__proto__": {"polluted": 1}}
    for frame in content["frames"]:
        for player in (frame["actual"] or frame["predicted"]).values():
            if isinstance(player, dict):
                player |= {"action_name": text, "character": 999}
        frame["source"] = text if frame["t"] > 20 else frame["source"]
    viewer = open_page({text: content})
    viewer.drop(match_path(content, name="dropped.json"))
    viewer.page.click("#facts summary")
    viewer.page.click("#happened summary")
    viewer.press("End")
    assert viewer.page.locator(".view").count() == 2
    assert viewer.page.evaluate("[window.harm, ({}).polluted]") == [None, None]
    assert viewer.page.locator("img, iframe, object, main script").count() == 0
    start = " ".join(text.split())[:20]
    assert [start in shown for shown in viewer.page.locator(".agent").all_inner_texts()] == [True] * 4
    assert start.replace("_", " ").lower().strip() in viewer.page.locator(".action").last.inner_text().lower()
    assert viewer.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert viewer.complaints == []


# ---------------------------------------------------------------- for everybody


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_everything_to_watch_fits_into_the_window(
    open_page: Open, match_content: MakeContent, width: int, height: int
) -> None:
    viewer = open_page({"agents": match_content(), "people": match_content()}, width=width, height=height)
    viewer.press("5")
    for choice in ("", "1"):
        viewer.page.select_option("#choice", choice)
        assert viewer.page.locator(".deck").evaluate("node => node.getBoundingClientRect().bottom") <= height
        assert viewer.page.locator(".arena").first.evaluate("node => node.clientHeight") > 220
        overflow = viewer.page.locator(".card").evaluate_all("nodes => nodes.map(n => n.scrollHeight - n.clientHeight)")
        assert max(overflow) <= 1


@pytest.mark.parametrize("width", [320, 390, 820])
def test_small_screens_scroll_in_one_direction_only(open_page: Open, match_content: MakeContent, width: int) -> None:
    viewer = open_page({"agents": match_content(), "people": match_content()}, width=width, height=844)
    for choice in ("", "1"):
        viewer.page.select_option("#choice", choice)
        assert viewer.page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = viewer.page.locator(".transport button").evaluate_all(
            "nodes => nodes.map(n => Math.min(n.offsetWidth, n.offsetHeight))"
        )
        assert min(sizes) >= (44 if width < 560 else 36)


def test_everything_that_can_be_reached_has_a_name(open_page: Open, match_content: MakeContent) -> None:
    viewer = open_page({"agents": match_content(), "people": match_content()})
    viewer.page.select_option("#choice", "1")
    session = viewer.page.context.new_cdp_session(viewer.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "combobox", "textbox", "image", "img", "article", "region", "dialog"}
    seen = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in roles]
    assert len(seen) > 25
    assert [node["role"]["value"] for node in seen if not node.get("name", {}).get("value")] == []


def test_the_keyboard_reaches_every_control_in_order(open_page: Open) -> None:
    viewer = open_page()
    reached = []
    for _ in range(14):
        viewer.press("Tab")
        reached.append(viewer.page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached == [
        "open", "theme", "help-open", "timeline", "event-back", "back", "play", "forward", "event-forward", "frame",
        "speed", "close-up", "", "",
    ]  # fmt: skip


def test_help_opens_and_closes_by_key_and_stops_other_keys(open_page: Open) -> None:
    viewer = open_page()
    viewer.press("?")
    assert viewer.page.locator("#help").is_visible()
    viewer.press("End")
    assert viewer.frame == 0
    viewer.press("Escape")
    assert not viewer.page.locator("#help").is_visible()


def test_the_theme_follows_the_system_until_somebody_turns_it(open_page: Open) -> None:
    viewer = open_page(scheme="dark")

    def ground() -> str:
        return str(viewer.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = ground()
    viewer.page.click("#theme")
    light = ground()
    assert light != dark
    viewer.page.click("#theme")
    assert ground() == dark


def test_the_close_up_keeps_both_fighters_in_the_picture(open_page: Open) -> None:
    viewer = open_page()
    whole = viewer.attribute(".stage", "viewBox").split()
    viewer.press("c")
    for key in "0123456789":
        viewer.press(key)
        x, y, width, height = map(float, viewer.attribute(".stage", "viewBox").split())
        assert width < float(whole[2])
        for fighter in ("p0", "p1"):
            at = place_of(viewer, fighter)
            assert x < at[0] < x + width
            assert y < at[1] < y + height
    viewer.press("c")
    assert viewer.attribute(".stage", "viewBox").split() == whole


def test_a_match_of_one_frame_is_a_picture(open_page: Open, match_content: MakeContent) -> None:
    content = copy.deepcopy(match_content(1))
    viewer = open_page({"agents": content})
    viewer.press(" ", "End", "]", "+")
    assert viewer.frame == 0
    assert viewer.complaints == []
