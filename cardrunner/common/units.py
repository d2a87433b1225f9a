"""Quantities as people write them: durations, sizes, dollars, percentages, intervals.

Every ``parse_*`` takes a value of a card and raises a plain `ValueError` whose text is one helpful sentence;
every ``format_*`` prints a value so that parsing it gives the value back up to the printed digits. Numbers are added
and scaled as exact fractions and rounded once, so ``12h`` and ``720 min`` are the identical float.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from cardrunner.common.text import did_you_mean

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_QUANTITY = re.compile(rf"({_NUMBER}) ?([A-Za-zµ]+)")
_PERCENT = re.compile(rf"({_NUMBER}) ?%")
_DOLLARS = re.compile(rf"\$({_NUMBER})")
_HOURLY = re.compile(rf"\$({_NUMBER})/(?:h|hr)")
_EXPONENT = re.compile(r"[0-9.]+[eE][+-]?[0-9]")
_FACTOR = re.compile(rf"({_NUMBER})x")

_SECONDS = {"ms": Fraction(1, 1000), "s": Fraction(1), "min": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}
_DURATION_WORDS = {
    **dict.fromkeys(("sec", "second", "seconds"), "s"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
}
_DURATIONS = {**_SECONDS, **{word: _SECONDS[unit] for word, unit in _DURATION_WORDS.items()}}

_DECIMAL_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY_SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZES = {name: Fraction(size) for name, size in (_DECIMAL_SIZES | _BINARY_SIZES).items()}

_COUNTED: dict[str, Literal["step", "epoch"]] = {
    "step": "step",
    "steps": "step",
    "epoch": "epoch",
    "epochs": "epoch",
}


_QUANTITIES = rf"(?:{_NUMBER} ?(?:{'|'.join(_DURATIONS)}) ?)+"
DURATION_PATTERN = rf"^ ?{_QUANTITIES}$"
"""What editors check while typing: what `parse_duration` accepts and little more; likewise the other patterns."""
SIZE_PATTERN = rf"^{_NUMBER} ?(?:{'|'.join(_SIZES)})$"
DOLLARS_PATTERN = rf"^\${_NUMBER}$"
HOURLY_PATTERN = rf"^\${_NUMBER}/(?:h|hr)$"
PERCENT_PATTERN = rf"^{_NUMBER} ?%$"
EPOCHS_PATTERN = rf"^{_NUMBER} ?epochs?$"
EVERY_PATTERN = rf"^(?:{_NUMBER} ?(?:{'|'.join(_COUNTED)})| ?{_QUANTITIES})$"
FACTOR_PATTERN = rf"^{_NUMBER}x$"


@dataclass(frozen=True, slots=True)
class Every:
    """An interval or an amount of training, in steps, epochs or seconds."""

    value: float
    unit: Literal["step", "epoch", "second"]


def parse_duration(text: object) -> float:
    """``12h``, ``30 min``, ``2.5h``, ``1h 30min``, ``90s``, ``250 ms`` or ``2 d`` as seconds."""
    example = "12h or 30 min"
    written = _text(text, example)
    parts = _QUANTITY.findall(written)
    if not parts or _QUANTITY.sub("", written).strip(" ") or "  " in written:
        raise ValueError(_refusal(written, "a duration", example))
    sizes = [_unit(name, _DURATIONS, "a duration", example) for _, name in parts]
    if any(later >= earlier for earlier, later in itertools.pairwise(sizes)):
        raise ValueError("the parts of a duration go from the largest unit to the smallest, such as 1h 30min")
    return float(sum(Fraction(number) * size for (number, _), size in zip(parts, sizes, strict=True)))


def format_duration(seconds: float) -> str:
    """Seconds as people say them: ``12h``, ``30 min``, ``2.5h``, ``90s``; three significant digits."""
    sign, size = _signed(seconds, "a duration")
    if size == 0:
        return "0s"
    if size < 0.9995:
        return f"{sign}{_significant(size * 1000)} ms"
    if size < 99.95:
        return f"{sign}{_significant(size)}s"
    if size < 3570:
        return f"{sign}{_significant(size / 60)} min"
    return f"{sign}{_significant(size / 3600)}h"


def parse_bytes(text: object) -> int:
    """``74.4 GB`` (decimal), ``16 GiB`` (binary), ``4 kB`` or ``360 B`` as a whole number of bytes."""
    example = "74.4 GB or 16 GiB"
    written = _text(text, example)
    found = _QUANTITY.fullmatch(written)
    if found is None:
        raise ValueError(_refusal(written, "a size", example))
    size = Fraction(found[1]) * _unit(found[2], _SIZES, "a size", example)
    if size.denominator != 1:
        raise ValueError("this size is not a whole number of bytes; write fewer decimals or a smaller unit")
    return int(size)


def format_bytes(size: int) -> str:
    """Bytes in the unit that says them shortest: ``74.4 GB``, ``16 GiB``, ``360 B``; three significant digits."""
    sign, amount = _signed(size, "a size")
    decimal = _in_largest(amount, _DECIMAL_SIZES)
    binary = _in_largest(amount, _BINARY_SIZES)
    if _holds(decimal, amount) or not _holds(binary, amount):
        return sign + decimal
    return sign + binary


def parse_dollars(text: object) -> float:
    """``$7.50`` as dollars."""
    return _dollars(text, _DOLLARS, "an amount of dollars", "$7.50")


def format_dollars(dollars: float) -> str:
    """Dollars with cents, ``$7.50``; an amount below a cent keeps two significant digits."""
    sign, amount = _signed(dollars, "an amount of dollars")
    if 0 < amount < 0.01:
        return f"{sign}${_plain(Decimal(f'{amount:.1e}'))}"
    return f"{sign}${amount:.2f}"


def parse_hourly_rate(text: object) -> float:
    """``$0.59/h`` (or ``$0.59/hr``) as dollars per hour."""
    return _dollars(text, _HOURLY, "a price per hour", "$0.59/h")


def format_hourly_rate(dollars_per_hour: float) -> str:
    """Dollars per hour as ``$0.59/h``."""
    return f"{format_dollars(dollars_per_hour)}/h"


def parse_percent(text: object) -> float:
    """``98.2%`` as the fraction 0.982, exactly the float that the text 0.982 reads as."""
    example = "98.2%"
    written = _text(text, example)
    found = _PERCENT.fullmatch(written)
    if found is None:
        raise ValueError(_refusal(written, "a percentage", example))
    return float(Fraction(found[1]) / 100)


def format_percent(fraction: float, *, decimals: int | None = None) -> str:
    """A fraction as a percentage: ``98.2%``.

    Args:
        fraction: 1.0 is 100%.
        decimals: how many decimals to print; None prints as many as the number has.
    """
    _finite(fraction, "a percentage")
    percent = Decimal(repr(float(fraction))).scaleb(2)
    return f"{_plain(percent)}%" if decimals is None else f"{percent:.{decimals}f}%"


def parse_factor(text: object) -> float:
    """``1.5x`` as 1.5."""
    example = "1.5x"
    found = _FACTOR.fullmatch(_text(text, example))
    if found is None:
        raise ValueError(f"this is not a factor; write {example}")
    return float(found[1])


def parse_every(text: object) -> Every:
    """``1000 steps``, ``1 epoch``, ``2 epochs`` or a duration such as ``5 min``; steps and epochs are whole, from 1."""
    return _every(text, "1000 steps, 1 epoch or 5 min", whole=("step", "epoch"))


def parse_span(text: object) -> Every:
    """An amount of training: as `parse_every`, and a part of an epoch such as ``0.5 epochs`` too."""
    return _every(text, "1 epoch, 0.5 epochs, 500 steps or 10 min", whole=("step",))


def format_every(every: Every) -> str:
    """An interval as ``1000 steps``, ``1 epoch`` or ``5 min``."""
    if every.unit == "second":
        return format_duration(every.value)
    return f"{_plain(Decimal(repr(every.value)))} {every.unit}{'' if every.value == 1 else 's'}"


def rounding_of(value: float) -> float:
    """How far the truth may lie from a stated number: half a unit of its last non-zero digit, at most 1 % of it.

    74.4e9 (a stated "74.4 GB") gives 0.05e9.
    """
    _finite(value, "a stated number")
    digits = Decimal(repr(value)).normalize()
    half_unit = Decimal(5).scaleb(int(digits.as_tuple().exponent) - 1)
    return float(min(half_unit, abs(digits) / 100))


def _every(text: object, example: str, *, whole: tuple[str, ...]) -> Every:
    written = _text(text, example)
    if written != written.strip():
        raise ValueError(f"has a space before or after it; write {example}")
    found = _QUANTITY.fullmatch(written)
    unit = _COUNTED.get(found[2]) if found else None
    if found is None or unit is None:
        return Every(_positive(_seconds_of_every(written, found, example), example), "second")
    count = Fraction(found[1])
    if unit in whole and (count.denominator != 1 or count < 1):
        raise ValueError(f"{unit}s are counted whole, from 1; write {example}")
    return Every(_positive(float(count), example), unit)


def _seconds_of_every(written: str, found: re.Match[str] | None, example: str) -> float:
    if found is not None and found[2] not in _DURATIONS:
        _unit(found[2], _DURATIONS | dict.fromkeys(_COUNTED, Fraction(1)), "an interval", example)
    try:
        return parse_duration(written)
    except ValueError as error:
        raise ValueError(str(error).replace("12h or 30 min", example)) from None


def _positive(seconds: float, example: str) -> float:
    if seconds <= 0:
        raise ValueError(f"an interval is longer than zero; write {example}")
    return seconds


def _dollars(text: object, pattern: re.Pattern[str], noun: str, example: str) -> float:
    found = pattern.fullmatch(_text(text, example))
    if found is None:
        raise ValueError(f"{noun} is written as {example}, without signs, spaces or separators")
    return float(found[1])


def _text(text: object, example: str) -> str:
    if not isinstance(text, str):
        bare = isinstance(text, int | float) and not isinstance(text, bool)
        raise ValueError(f"write a unit, such as {example}" if bare else f"write text such as {example}")
    if _EXPONENT.match(text):
        raise ValueError(f"a number with a unit has no exponent; write {example}")
    return text


def _refusal(written: str, noun: str, example: str) -> str:
    if re.fullmatch(_NUMBER, written):
        return f"write a unit, such as {example}"
    if written.startswith(("-", "−")):
        return f"{noun} is not negative; write {example}"
    if "_" in written or "," in written:
        return f"{noun} has no separators between its digits; write {example}"
    return f"this is not {noun}; write {example}"


def _unit(name: str, units: dict[str, Fraction], noun: str, example: str) -> Fraction:
    if name in units:
        return units[name]
    guess = did_you_mean(name, reversed(units), otherwise=f"; write {noun} such as {example}", cutoff=0.5)
    shown = name if len(name) <= 16 else f"{name[:16]}…"
    raise ValueError(f'unknown unit "{shown}"{guess}')


def cost_of_seconds(seconds: float, *, hourly: float, count: int = 1) -> float:
    """Dollars for some seconds on `count` machines or GPUs at a price by the hour."""
    return seconds / 3600 * hourly * count


def _signed(value: float, noun: str) -> tuple[str, float]:
    _finite(value, noun)
    return ("-" if value < 0 else ""), abs(value)


def _finite(value: float, noun: str) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{noun} is a finite number, not {value}")


def _in_largest(amount: float, sizes: dict[str, int]) -> str:
    """The amount in the largest unit that leaves at least 1 of it after rounding."""
    for name, size in reversed(sizes.items()):
        if amount / size >= 0.9995:
            return f"{_significant(amount / size)} {name}"
    name, size = next(iter(sizes.items()))
    return f"{_significant(amount / size)} {name}"


def _holds(written: str, amount: float) -> bool:
    number, name = written.split(" ")
    return Fraction(number) * _SIZES[name] == amount


def _significant(value: float) -> str:
    """Three significant digits, whole numbers kept whole, no exponent, no trailing zeros."""
    return _plain(Decimal(round(value)) if value >= 1000 else Decimal(f"{value:.3g}"))


def _plain(number: Decimal) -> str:
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
