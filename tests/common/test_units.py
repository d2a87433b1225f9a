from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from cardrunner.common.units import (
    Every,
    format_bytes,
    format_dollars,
    format_duration,
    format_every,
    format_hourly_rate,
    format_percent,
    parse_bytes,
    parse_dollars,
    parse_duration,
    parse_every,
    parse_hourly_rate,
    parse_percent,
    rounding_of,
)

PARSERS: list[Callable[[object], object]] = [
    parse_duration,
    parse_bytes,
    parse_dollars,
    parse_hourly_rate,
    parse_percent,
    parse_every,
]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12h", 43200.0),
        ("720 min", 43200.0),
        ("2.5h", 9000.0),
        ("90s", 90.0),
        ("1h 30min", 5400.0),
        ("1h30min", 5400.0),
        ("2 d", 172800.0),
        ("2 days", 172800.0),
        ("250 ms", 0.25),
        ("0.1h", 360.0),
        ("1.1 min", 66.0),
    ],
)
def test_a_duration_reads_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("74.4 GB", 74_400_000_000),
        ("16 GiB", 16 * 2**30),
        ("512 MB", 512_000_000),
        ("360 B", 360),
        ("4 kB", 4000),
        ("0.5 KiB", 512),
    ],
)
def test_a_size_is_decimal_or_binary_exactly_as_written(text: str, size: int) -> None:
    assert parse_bytes(text) == size


def test_dollars_and_rates_read_as_floats() -> None:
    assert (parse_dollars("$7.50"), parse_dollars("$2")) == (7.5, 2.0)
    assert parse_hourly_rate("$0.59/h") == parse_hourly_rate("$0.59/hr") == 0.59


@given(st.integers(0, 100_000))
def test_a_percentage_is_exactly_the_float_of_its_fraction(thousandths: int) -> None:
    text = f"{thousandths // 1000}.{thousandths % 1000:03d}"
    assert parse_percent(f"{text}%") == float(f"{thousandths}e-5")
    assert parse_percent(format_percent(parse_percent(f"{text}%"))) == parse_percent(f"{text}%")


def test_intervals_are_steps_epochs_or_time() -> None:
    assert parse_every("1000 steps") == Every(1000.0, "step")
    assert parse_every("1 epoch") == Every(1.0, "epoch")
    assert parse_every("5 min") == parse_every("300s") == Every(300.0, "second")
    assert [format_every(parse_every(text)) for text in ("1000 steps", "1 step", "2 epochs", "5 min")] == [
        "1000 steps",
        "1 step",
        "2 epochs",
        "5 min",
    ]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("wrong", [12, 12.5, "12", True, None, (), "", " ", "x", "inf", "nan", "-1", "٣h", "9" * 5000])
def test_a_bare_number_and_anything_else_is_refused_with_an_example(
    parse: Callable[[object], object], wrong: object
) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        parse(wrong)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_duration, 12, "write a unit, such as 12h or 30 min"),
        (parse_duration, "12", "write a unit, such as 12h or 30 min"),
        (parse_duration, "-12h", "a duration is not negative; write 12h or 30 min"),
        (parse_duration, "1_000 s", "a duration has no separators between its digits; write 12h or 30 min"),
        (parse_duration, "12 hors", 'unknown unit "hors"; did you mean "hours"?'),
        (parse_duration, "12 H", 'unknown unit "H"; did you mean "h"?'),
        (
            parse_duration,
            "30min 1h",
            "the parts of a duration go from the largest unit to the smallest, such as 1h 30min",
        ),
        (parse_duration, "1h 1h", "the parts of a duration go from the largest unit to the smallest, such as 1h 30min"),
        (parse_duration, "1h, 2s", "a duration has no separators between its digits; write 12h or 30 min"),
        (parse_duration, "infs", "this is not a duration; write 12h or 30 min"),
        (parse_duration, "12h\n", "this is not a duration; write 12h or 30 min"),
        (parse_bytes, "4 KB", 'unknown unit "KB"; did you mean "kB"?'),
        (parse_bytes, "16 Gib", 'unknown unit "Gib"; did you mean "GiB"?'),
        (parse_bytes, "0.5 B", "this size is not a whole number of bytes; write fewer decimals or a smaller unit"),
        (parse_bytes, 16, "write a unit, such as 74.4 GB or 16 GiB"),
        (parse_dollars, "$1,000", "an amount of dollars is written as $7.50, without signs, spaces or separators"),
        (parse_dollars, "7.50", "an amount of dollars is written as $7.50, without signs, spaces or separators"),
        (parse_hourly_rate, "$0.59", "a price per hour is written as $0.59/h, without signs, spaces or separators"),
        (parse_percent, "0.982", "write a unit, such as 98.2%"),
        (parse_percent, "-3%", "a percentage is not negative; write 98.2%"),
        (parse_every, "1.5 epochs", "epochs are counted whole, from 1; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "0 steps", "steps are counted whole, from 1; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "0 s", "an interval is longer than zero; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "1e3 steps", "a number with a unit has no exponent; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "1 epoch ", "has a space before or after it; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "2 epoch's", "this is not a duration; write 1000 steps, 1 epoch or 5 min"),
        (parse_every, "2 epocs", 'unknown unit "epocs"; did you mean "epochs"?'),
        (parse_every, "1000", "write a unit, such as 1000 steps, 1 epoch or 5 min"),
    ],
)
def test_a_wrong_quantity_gets_its_sentence(parse: Callable[[object], object], text: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is compared below
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (43200, "12h"),
        (1800, "30 min"),
        (5400, "1.5h"),
        (9000, "2.5h"),
        (27000, "7.5h"),
        (45000, "12.5h"),
        (90, "90s"),
        (120, "2 min"),
        (600, "10 min"),
        (0.25, "250 ms"),
        (0, "0s"),
        (0.9999, "1s"),
        (3599, "1h"),
        (7200, "2h"),
        (-1800, "-30 min"),
    ],
)
def test_durations_print_as_people_say_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (74_431_469_160, "74.4 GB"),
        (16 * 2**30, "16 GiB"),
        (16_000_000_000, "16 GB"),
        (360, "360 B"),
        (0, "0 B"),
        (999_999_999, "1 GB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes_print_in_their_shortest_unit(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_money_and_percentages_print_as_people_write_them() -> None:
    assert [format_dollars(x) for x in (7.5, 1.475, 0, 0.0041, -2)] == ["$7.50", "$1.48", "$0.00", "$0.0041", "-$2.00"]
    assert format_hourly_rate(0.59) == "$0.59/h"
    assert [format_percent(x) for x in (0.982, 1, 0.966, 0, 0.000001)] == ["98.2%", "100%", "96.6%", "0%", "0.0001%"]
    assert format_percent(0.98234, decimals=1) == "98.2%"


@given(st.floats(1e-3, 1e9))
def test_a_printed_duration_parses_back_to_the_printed_digits(seconds: float) -> None:
    back = parse_duration(format_duration(seconds))
    assert back == pytest.approx(seconds, rel=0.0051)
    assert parse_duration(format_duration(back)) == pytest.approx(back, rel=1e-2)


@given(st.integers(0, 2**60))
def test_a_printed_size_parses_back_to_the_printed_digits(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == pytest.approx(size, rel=0.0051)


@given(st.integers(0, 10**9))
def test_printed_dollars_parse_back_to_the_cent(cents: int) -> None:
    assert parse_dollars(format_dollars(cents / 100)) == cents / 100
    assert parse_hourly_rate(format_hourly_rate(cents / 100)) == cents / 100


@given(st.integers(1, 10**9), st.sampled_from(["step", "epoch"]))
def test_a_printed_interval_parses_back(count: int, unit: str) -> None:
    every = parse_every(f"{count} {unit}s")
    assert parse_every(format_every(every)) == every


@given(st.text(max_size=30))
def test_no_text_escapes_with_anything_but_a_sentence(text: str) -> None:
    for parse in PARSERS:
        try:
            parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - accepting is as fine as refusing


@pytest.mark.parametrize(
    ("value", "tolerance"),
    [
        (74.4e9, 0.05e9),
        (16e9, 0.16e9),
        (0.037, 0.00037),
        (1_153_781, 0.5),
        (0, 0),
        (7.5, 0.05),
        (-7.5, 0.05),
        (22000, 220),
    ],
)
def test_a_rounded_number_is_off_by_half_its_last_digit_at_most_one_percent(value: float, tolerance: float) -> None:
    assert rounding_of(value) == pytest.approx(tolerance, rel=1e-12)


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_what_is_not_finite_is_neither_printed_nor_rounded(wrong: float) -> None:
    for refuse in (format_duration, format_dollars, format_percent, rounding_of):
        with pytest.raises(ValueError, match="finite"):
            refuse(wrong)
