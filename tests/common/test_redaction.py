from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cardrunner.common.redaction import STRUCTURE, found_in, hidden_lines, hide, hide_in, hiding_streams, secrets

SECRET = 's3cr3t/with+signs and "quotes"'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", SECRET)


@pytest.mark.parametrize(
    "name",
    [
        "WANDB_API_KEY", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "HF_TOKEN", "GITHUB_PAT", "DB_PASSWORD", "PGPASSWORD",
        "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "SSH_PASSPHRASE",
        "SENTRY_DSN", "apikey", "GOOGLE_CREDENTIALS", "NPM_AUTH_TOKEN",
    ],
)  # fmt: skip
def test_a_name_that_says_so_makes_its_value_a_secret(name: str) -> None:
    assert secrets({name: "value-of-it"}) == {"value-of-it": name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin:/bin"), ("HOME", "/root"), ("SSH_AUTH_SOCK", "/tmp/agent.1"), ("KEYBOARD", "qwerty-layout"),
        ("TOKENIZERS_PARALLELISM", "disabled-for-now"), ("API_KEY", "true"), ("MY_TOKEN", ""), ("XTOKEN", "12345"),
        ("PATIENCE", "long-enough"), ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/passwd"), ("SSL_KEY_FILE", "rel/key.pem"),
    ],
)  # fmt: skip
def test_other_values_are_none(name: str, value: str) -> None:
    assert secrets({name: value}) == {}


def test_a_secret_is_hidden_in_every_form_that_text_gives_it() -> None:
    from urllib.parse import quote, quote_plus

    forms = [
        SECRET,
        json.dumps({"a": SECRET}),
        repr({"a": SECRET}),
        f"https://x/?k={quote(SECRET, safe='')}",
        quote_plus(SECRET),
    ]
    for text in forms:
        assert "s3cr3t" not in hide(f"before {text} after")
        assert "[MY_API_TOKEN hidden]" in hide(text)
    assert found_in(forms[1]) == "MY_API_TOKEN"
    assert found_in("nothing here") is None


def test_the_longest_secret_is_hidden_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_TOKEN", "abcdef")
    monkeypatch.setenv("LONG_TOKEN", "abcdefghij")
    assert hide("abcdefghij abcdef") == "[LONG_TOKEN hidden] [SHORT_TOKEN hidden]"


def test_a_secret_that_appears_later_is_hidden_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hide("later-value") == "later-value"
    monkeypatch.setenv("NEW_SECRET", "later-value")
    assert hide("later-value") == "[NEW_SECRET hidden]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:pa55word@git.example/x.git", "https://[hidden]@git.example/x.git"),
        ("https://ghp_0123456789abcdefghij@git.example/x", "https://[hidden]@git.example/x"),
        ("postgres://u:p@h/db?x=1", "postgres://[hidden]@h/db?x=1"),
        ("ssh://git@git.example/x", "ssh://git@git.example/x"),
        ("see https://example.org/a:b and mail a@b.c", "see https://example.org/a:b and mail a@b.c"),
    ],
)
def test_credentials_in_urls_are_hidden(text: str, shown: str) -> None:
    assert hide(text) == shown


def test_json_keeps_its_own_words_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_PASSWORD", "interrupted")
    row = {
        "event": "attempt_ended",
        "state": "interrupted",
        "reason": "interrupted by x",
        "value": 0.5,
        "n": [1, None, True],
    }
    assert hide_in(row) == row | {"reason": "[ODD_PASSWORD hidden] by x"}


def test_free_text_under_any_other_key_is_hidden() -> None:
    assert not {"reason", "message", "error", "problem", "text", "output", "note", "actual"} & STRUCTURE


def test_whatever_is_printed_inside_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    with hiding_streams():
        sys.stdout.write(f"out {SECRET}\n")
        sys.stderr.writelines([f"err {SECRET}\n"])
        assert sys.stderr.isatty() is False
    sys.stdout.write("after\n")
    seen = capsys.readouterr()
    assert seen.out == "out [MY_API_TOKEN hidden]\nafter\n"
    assert seen.err == "err [MY_API_TOKEN hidden]\n"


def test_output_in_blocks_is_hidden_line_by_line_and_loses_nothing() -> None:
    out: list[bytes] = []
    with hidden_lines(out.append) as take:
        for block in (b"one\nbefore ", SECRET[:9].encode(), SECRET[9:].encode(), b" after\n\xff", b" the rest"):
            take(block)
    assert b"".join(out) == b"one\nbefore [MY_API_TOKEN hidden] after\n\xff the rest"


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_text_around_it_brings_a_secret_back(before: str, after: str) -> None:
    assert SECRET not in hide(before + SECRET + after)


def test_text_without_secrets_stays_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert hide(text) == text
