"""Keeps secrets of the environment out of everything that is written or shown: the one place that knows what they are.

Secrets are the values of environment variables whose names say so, and the credentials in URLs. All text that leaves
the process passes through here: the streams of every entry point, JSON lines and records, the results card, and what
trackers receive. Names of variables may be shown; values may not. What a script, a library or an
exception wrote also moves no cursor and hides no line of a terminal: see `visible`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TextIO, cast

TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""A whole code, such as one that begins a colour."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that turn the direction of text, but for tab, line feed and carriage return."""


def visible(text: str) -> str:
    """The text without terminal codes, and with every other control character as its number."""
    if _CONTROL.search(text) is None:
        return text
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), TERMINAL_CODE.sub("", text))


_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH|PAT|DSN)(?:_|$)|"
    r"PASSWORD|SECRET|TOKEN|APIKEY|CREDENTIAL",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(r"(?:_FILE|_PATH|_DIR|_HOME|_SOCK|_ID)$|^SSH_AUTH_SOCK$|TOKENIZERS", re.IGNORECASE)
_SECRET_ID = re.compile(r"TOKEN_ID$|KEY_ID$", re.IGNORECASE)
_SHORTEST = 6
"""Shorter values, such as 1 or true, would blank out half of what people read."""
_WORDS = frozenset(
    {"disabled", "enabled", "default", "system", "offline", "online", "keyring", "completed", "changeme"}
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@:'\"]*:[^\s/@'\"]+(?=@)|(?<=://)[^\s/@:'\"]{20,}(?=@)")
STRUCTURE = frozenset(
    {
        "at", "event", "kind", "stage", "state", "action", "executor", "run", "workload", "workspace", "card_file",
        "file", "stored", "sha256", "weights_sha256", "card_digest", "digest", "host", "hostname", "role", "roles",
    }
)  # fmt: skip
"""Keys whose values are cardrunner's own words or paths: they are read back and hold nothing from the environment."""


def secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The secret values of an environment, each with the name of its variable; the longest first."""
    found = {
        value.strip(): name
        for name, value in (os.environ if environment is None else environment).items()
        if is_secret_name(name) and _is_secret_value(value.strip())
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def hide(text: str) -> str:
    """The text with ``[NAME hidden]`` in place of secrets, and ``[hidden]`` in place of credentials in URLs."""
    pattern, names = _pattern(_fingerprint())
    if pattern is not None:
        text = pattern.sub(lambda match: f"[{names[match[0]]} hidden]", text)
    return _URL_CREDENTIALS.sub("[hidden]", text) if "://" in text else text


def hide_in(value: Any) -> Any:
    """The same for every text in a JSON value, but for what `STRUCTURE` names."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {
            key: item if key in STRUCTURE and isinstance(item, str) else hide_in(item) for key, item in value.items()
        }
    return [hide_in(item) for item in value] if isinstance(value, list | tuple) else value


def has_credentials(text: str) -> bool:
    """Whether a text holds the credentials of a URL."""
    return "://" in text and _URL_CREDENTIALS.search(text) is not None


def found_in(text: str) -> str | None:
    """The variable whose secret value occurs in a text, or None."""
    pattern, names = _pattern(_fingerprint())
    match = pattern.search(text) if pattern is not None else None
    return names[match[0]] if match else None


def secret_in(files: Iterable[tuple[str, bytes]]) -> str | None:
    """Why a card must not go further: a sentence with file and line; None when none of its files holds a secret."""
    return next((f"{name}:{number}: {why}" for name, number, why in secrets_in(files)), None)


def secrets_in(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, int, str]]:
    """The secrets of a card, which is copied to run folders, results and trackers, and a secret with it.

    Args:
        files: of the card, by name.

    Yields:
        file, line from 1, and what it holds as a sentence with the next step, for each line with a secret.
    """
    for name, data in files:
        text = data.decode(errors="replace")
        if _held(text) is None:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (what := _held(line)) is not None:
                why = "a card never holds a secret: take it out, and change the secret if others have seen the card"
                yield name, number, f"holds {what}; {why}"


def _held(text: str) -> str | None:
    if (variable := found_in(text)) is not None:
        return f"the value of the environment variable {variable}"
    return "the credentials of a URL" if has_credentials(text) else None


@contextmanager
def hiding_streams(*, terminal: bool = False) -> Iterator[None]:
    """Hide secrets in all that is printed inside.

    Args:
        terminal: people see it: show terminal codes of others instead of sending them; see `coloured` for our own.
    """
    before = sys.stdout, sys.stderr
    shown = (lambda text: visible(hide(text))) if terminal else hide
    # a stream that was closed before the start is None, which print accepts
    sys.stdout, sys.stderr = (stream and cast("TextIO", _Hiding(stream, shown)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def coloured(stream: TextIO) -> TextIO:
    """The same stream for what draws with terminal codes of its own; secrets stay hidden."""
    return cast("TextIO", _Hiding(stream._stream, hide)) if isinstance(stream, _Hiding) else stream


class _Hiding:
    """A text stream that hides secrets; everything else is the stream's own."""

    def __init__(self, stream: TextIO, shown: Callable[[str], str]) -> None:
        self._stream, self._shown = stream, shown

    def write(self, text: str) -> int:
        self._stream.write(self._shown(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def hidden_lines(write: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Hide secrets in bytes that come block by block: lines are passed on complete, so that no secret is cut in two.

    Args:
        write: given the bytes to show.
    """
    waiting = bytearray()

    def pass_on(block: bytes) -> None:
        waiting.extend(block)
        whole, newline, rest = bytes(waiting).rpartition(b"\n")
        waiting[:] = rest
        if newline:
            write(hide(whole.decode(errors="surrogateescape")).encode(errors="surrogateescape") + newline)

    try:
        yield pass_on
    finally:
        if waiting:
            write(hide(waiting.decode(errors="surrogateescape")).encode(errors="surrogateescape"))


def is_secret_name(name: str) -> bool:
    """Whether the name of a variable says that its value is a secret."""
    if _SECRET_ID.search(name):
        return True
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _is_secret_value(value: str) -> bool:
    if len(value) < _SHORTEST or value.lower() in _WORDS:
        return False
    return not (value.startswith("/") and os.path.exists(value))  # noqa: PTH110 (a value with NUL in it is not a fault)


def _fingerprint() -> tuple[tuple[str, str], ...]:
    """What the pattern depends on, cheap to compare."""
    return tuple((name, value) for name, value in os.environ.items() if _is_secret_name_cached(name))


@lru_cache(maxsize=4096)
def _is_secret_name_cached(name: str) -> bool:
    return is_secret_name(name)


@lru_cache(maxsize=4)
def _pattern(environment: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    names: dict[str, str] = {}
    for value, name in secrets(dict(environment)).items():
        for form in _forms(value):
            names.setdefault(form, name)
    if not names:
        return None, names
    return re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True)))), names


def _forms(value: str) -> Iterator[str]:
    """A value as it stands, in JSON, in a Python literal, in a URL, and line by line."""
    from urllib.parse import quote, quote_plus  # imported only if there is a secret

    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= 4 * _SHORTEST)
