"""UTC times as run folders, cards and approvals write them."""

from __future__ import annotations

import datetime

import pytest

from cardrunner.common.clock import moment, parse_timestamp, timestamp, utc_seconds, utc_text

NOON = datetime.datetime(2026, 2, 26, 12, tzinfo=datetime.UTC)


def test_run_folders_write_milliseconds() -> None:
    assert utc_text(NOON.timestamp() + 0.125) == "2026-02-26T12:00:00.125Z"
    assert utc_seconds("2026-02-26T12:00:00.125Z") == NOON.timestamp() + 0.125


def test_cards_write_seconds_in_utc_whatever_the_zone() -> None:
    there = NOON.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    assert timestamp(there) == "2026-02-26T12:00:00Z"
    assert parse_timestamp("2026-02-26T14:00:00+02:00") == NOON


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="it has no time zone"):
        parse_timestamp("2026-02-26T12:00:00")


def test_the_gate_judges_by_whole_seconds_in_utc() -> None:
    assert moment().microsecond == 0
    assert moment().tzinfo is datetime.UTC
