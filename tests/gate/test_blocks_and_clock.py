from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from cardrunner.card.schema.sign_off import Signature
from cardrunner.gate.case import behind
from cardrunner.gate.records import block_path, encode_block, recorded_blocks

if TYPE_CHECKING:
    from tests.gate.conftest import Desk

Reasons = Callable[[str], list[str]]
NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture
def blocked(desk: Desk, signed_card: str) -> str:
    """Both had approved; then scav blocked, as the command records it."""
    text = desk.sign(signed_card, "scav", verdict="block", note="the split is wrong")
    statement = desk.load(text).card.sign_off.reviewers[0].signed
    assert isinstance(statement, Signature)
    path = block_path(desk.workspace.records, "small-run", "scav")
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_block(statement, run="small-run", reviewer="scav"))
    return text


def test_a_block_in_the_card_is_said_once(reasons: Reasons, blocked: str) -> None:
    assert len(reasons(blocked)) == 1


def test_putting_the_earlier_approval_back_does_not_lift_a_block(
    reasons: Reasons, blocked: str, signed_card: str
) -> None:
    assert reasons(signed_card) == [
        'reviewer scav: has blocked this run on 2026-03-01T12:00:00Z ("the split is wrong"), '
        "and the card no longer says so; only scav can lift it by signing again; "
        "run: cardrunner sign runcards/small-run.yaml --as scav"
    ]


def test_dropping_the_reviewer_who_blocks_does_not_lift_it(desk: Desk, blocked: str, card_text: str) -> None:
    alone = card_text.replace("    - {id: scav, name: Scav, signed: null}\n", "")
    (finding,) = desk.gate(desk.sign(alone, "mattie")).findings
    assert "has blocked this run" in finding.why


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"at": 3}', b"[" * 50_000])
def test_a_record_that_cannot_be_read_still_blocks(
    desk: Desk, reasons: Reasons, blocked: str, signed_card: str, content: bytes
) -> None:
    block_path(desk.workspace.records, "small-run", "scav").write_bytes(content)
    (line,) = reasons(signed_card)
    assert line.startswith("reviewer scav: has blocked this run")


def test_a_record_does_nothing_to_the_terminal(desk: Desk, reasons: Reasons, blocked: str, signed_card: str) -> None:
    said = {"at": "2026\x1b[2J", "note": "\x9b31m \u202e no\nreviewer mattie: fine"}
    block_path(desk.workspace.records, "small-run", "scav").write_text(json.dumps(said))
    (line,) = reasons(signed_card)
    assert line.isprintable()
    assert r"2026\x1b[2J" in line


def test_a_block_is_for_one_run(desk: Desk, blocked: str) -> None:
    assert recorded_blocks(desk.workspace.record_places, "other-run") == ()


def test_the_latest_time_is_what_a_clock_is_held_against() -> None:
    recorded = [("one", "2026-03-01T11:00:00Z"), ("two", "2026-03-01T14:10:00+02:00"), ("three", "yesterday")]
    (finding,) = behind(NOW, recorded)
    assert "earlier than two of 2026-03-01T14:10:00+02:00" in finding.why
    assert not list(behind(NOW, recorded[:1]))
    assert not list(behind(NOW + datetime.timedelta(minutes=6), recorded)), "five minutes are forgiven"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_at_the_end_of_the_calendar_are_no_bug(reasons: Reasons, signed_card: str, time: str) -> None:
    signed = signed_card.replace("policy: digest", "policy: digest\n  expires: 30d")
    assert reasons(signed.replace("2026-03-01T12:00:00Z", time))


def test_a_tick_from_the_future_shows_a_clock_that_runs_behind(reasons: Reasons, signed_card: str) -> None:
    (line,) = reasons(signed_card.replace("2026-02-27T09:00:00Z", "2026-03-02T09:00:00Z"))
    assert line.startswith("clock: it is 2026-03-01T12:00:00Z here, earlier than the tick of checklist 1 of 2026-03-02")
