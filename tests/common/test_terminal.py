from __future__ import annotations

import pytest

from cardrunner.common.redaction import visible


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("plain\ttext\r\nof two lines", "plain\ttext\r\nof two lines"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;another title\x07text", "text"),
        ("a code that is cut \x1b", "a code that is cut \\x1b"),
        ("\x9b2Jeight bits, a bell \x07 and a backspace \b", "\\x9b2Jeight bits, a bell \\x07 and a backspace \\x08"),
        ("turned \u202eround", "turned \\u202eround"),
        ("é → 日本", "é → 日本"),
    ],
)
def test_no_text_of_others_moves_the_cursor(written: str, seen: str) -> None:
    assert visible(written) == seen
