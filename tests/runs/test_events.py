"""Every event has a model, reads back as it was written, and no line can break a reader."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from cardrunner.runs import events as module
from cardrunner.runs.event_model import Audience, Event, UnknownEvent
from cardrunner.runs.event_page import page
from cardrunner.runs.events import (
    EVENTS,
    Acknowledged,
    AttemptEnded,
    AttemptStarted,
    Created,
    NoteLeft,
    ProjectedOverrun,
    Restarted,
    RuleFired,
    TrackerSaid,
    parse,
)
from cardrunner.runs.jsonl import line_of
from cardrunner.runs.ledger import Ledger, LedgerTail
from cardrunner.runs.records import Environment
from tests.examples import examples

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "cardrunner"
AT = "2026-03-01T12:00:00.000Z"
KINDS = sorted(EVENTS.values(), key=lambda kind: kind.event)


# ---------------------------------------------------------------- lines and models

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.floats(allow_nan=False, width=32)
ENVIRONMENT = Environment(
    python="3.12.1", platform="Linux", hostname="host", cpu="cpu", cores=4, memory_bytes=1 << 34, device="cpu",
    threads=2, packages={"torch": "2.10.0"}, git_commit=None, git_dirty=None,
)  # fmt: skip


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that a field of an event may have."""
    plain = {str: TEXTS, int: st.integers(0, 10**9), float: NUMBERS, bool: st.booleans(), type(None): st.none()}
    if annotation in plain:
        return plain[annotation]
    if annotation is Any:
        return st.dictionaries(TEXTS, st.integers(), max_size=3)
    if annotation is Environment:
        return st.just(ENVIRONMENT)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.builds(annotation)
    if getattr(annotation, "__origin__", None) is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    members = get_args(annotation)
    return st.sampled_from(members) if isinstance(members[0], str) else st.one_of(*map(values, members))


def events(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Events of a kind, with each of the optional fields or without."""
    fields = {name: values(field.annotation) for name, field in kind.model_fields.items() if name != "at"}
    needed = {name: fields.pop(name) for name, field in kind.model_fields.items() if field.is_required()}
    return st.fixed_dictionaries({"at": st.just(AT), **needed}, optional=fields).map(kind.model_validate)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event)
def test_what_is_written_reads_back_the_same(kind: type[Event]) -> None:
    @examples(25)
    @given(events(kind))
    def check(event: Event) -> None:
        back = parse(line_of(event.row()))
        assert back == event
        assert type(back) is kind
        assert back.row() == event.row()
        assert line_of(back.row()) == line_of(event.row())

    check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event)
def test_a_sentence_is_one_line_of_plain_text_or_nothing(kind: type[Event]) -> None:
    @examples(25)
    @given(events(kind))
    def check(event: Event) -> None:
        told = [event.text_for(audience) for audience in (Audience.SCREEN, Audience.RESULTS)]
        known = (None, event.sentence(), getattr(event, "headline", None))
        assert all(text in known for text in told)
        if kind.audience is Audience.NONE:
            assert event.sentence() is None

    check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({name for kind in KINDS for name in kind.model_fields} | {"event", "version"})


@examples(300)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS) | TEXTS, JSON, max_size=8))
def test_no_line_breaks_a_reader(kind: type[Event], fields: Mapping[str, Any]) -> None:
    event = parse(json.dumps({"event": kind.event, **fields}).encode())
    assert event is not None
    event.row()
    event.sentence()


@examples(100)
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_line_are_left_out_or_kept_whole(data: bytes) -> None:
    event = parse(data)
    assert event is None or (isinstance(event, UnknownEvent) and event.row() == json.loads(data))


def test_an_unknown_event_keeps_all_that_its_line_says() -> None:
    line = line_of({"at": AT, "event": "moon_landed", "attempt": 2, "crew": ["ada"], "at_rest": "NaN"})
    event = parse(line)
    assert isinstance(event, UnknownEvent)
    assert (event.at, event.attempt) == (AT, 2)
    assert line_of(event.row()) == line


def test_a_later_version_of_an_event_is_unknown() -> None:
    line = line_of({"at": AT, "event": "note", "version": 2, "message": "of another meaning"})
    event = parse(line)
    assert isinstance(event, UnknownEvent)
    assert line_of(event.row()) == line


def test_unknown_fields_stay_with_their_event() -> None:
    line = line_of({"at": AT, "event": "note", "message": "hello", "colour": "red"})
    event = parse(line)
    assert isinstance(event, NoteLeft)
    assert line_of(event.row()) == line


def test_a_value_of_the_wrong_type_reads_as_if_it_were_absent() -> None:
    started = parse(b'{"event": "attempt_started", "attempt": 3, "resumed_from": 3, "environment": {"python": 3}}')
    assert started == AttemptStarted(attempt=3)
    assert parse(b'{"event": "restarted", "set": 4, "attempt": []}') == Restarted(set=4)
    assert Restarted(set=4).changes == {}


def test_a_line_without_what_its_event_needs_is_unknown() -> None:
    for line in (b'{"event": "attempt_ended", "attempt": 1}', b'{"event": "verdict", "attempt": 1, "rule": "x"}'):
        assert isinstance(parse(line), UnknownEvent)


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    assert parse(b'{"event": "acknowledged", "text": "NaN"}') == Acknowledged(text="NaN")
    fired = parse(b'{"event": "verdict", "attempt": 1, "rule": 0, "action": "stop", "step": 8, "limit": "-Infinity"}')
    assert isinstance(fired, RuleFired)
    assert fired.limit == float("-inf")


def test_an_event_is_written_with_the_fields_that_were_given() -> None:
    ended = AttemptEnded(attempt=1, state="completed", reason=None, exit_code=0)
    assert ended.row() == {
        "at": "", "event": "attempt_ended", "attempt": 1, "state": "completed", "reason": None, "exit_code": 0
    }  # fmt: skip


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        NoteLeft(message="hello").message = "bye"  # type: ignore[misc]


def test_a_ledger_is_followed_event_by_event(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tail = LedgerTail(ledger.path)
    ledger.append(NoteLeft(message="one"))
    assert [event.sentence() for event in tail.events()] == ["one"]
    with ledger.path.open("ab") as stream:
        stream.write(b'{"event": "note", "mess')
    assert list(tail.events()) == []
    ledger.append(NoteLeft(message="two"))
    assert [event.sentence() for event in tail.events()] == ["two"]


# ---------------------------------------------------------------- sentences


def test_what_went_wrong_with_a_tracker_is_told_to_all_and_where_it_is_to_watchers() -> None:
    on = TrackerSaid(attempt=1, name="wandb", state="on", mode="offline", id="a-1", where="wandb/", message="no key")
    assert on.text_for(Audience.SCREEN) == "wandb: offline (no key), id a-1, wandb/"
    assert on.text_for(Audience.RESULTS) is None
    lost = TrackerSaid(attempt=1, name="wandb", state="lost", message="its process ended with 1")
    for audience in (Audience.SCREEN, Audience.RESULTS):
        assert lost.text_for(audience) == (
            "wandb stopped tracking: its process ended with 1; history.jsonl has everything"
        )


def test_a_verdict_that_had_nothing_left_to_stop_says_so() -> None:
    fired = RuleFired(
        attempt=1, rule=0, action="stop", step=8, condition="val_loss > 2", message="val_loss is 3", moot=True
    )
    assert fired.sentence() == (
        "val_loss > 2: val_loss is 3 → stop; the last epoch was trained, so that nothing was left to stop"
    )


def test_a_screen_begins_with_the_action_which_it_colours() -> None:
    fired = RuleFired(attempt=1, rule=0, action="stop", step=8, condition="val_loss > 2", message="val_loss is 3")
    assert fired.text_for(Audience.SCREEN) == "stop: val_loss > 2: val_loss is 3"
    assert fired.text_for(Audience.RESULTS) == "val_loss > 2: val_loss is 3 → stop"
    over = ProjectedOverrun(attempt=1, action="warn", limit="budget", step=8, message="it is projected to cost $9")
    assert over.text_for(Audience.SCREEN) == "warn: it is projected to cost $9"
    assert over.text_for(Audience.RESULTS) == "at step 8 it is projected to cost $9 → warn"


def test_a_restart_names_its_new_values() -> None:
    restarted = Restarted(reason="out of memory", set={"training.batch_size": 16, "training.workers": 2})
    assert restarted.sentence() == "out of memory; went on with training.batch_size = 16 and training.workers = 2"
    assert Restarted(reason="out of memory").sentence() == "out of memory; went on with nothing changed"


# ---------------------------------------------------------------- the code


def test_every_model_is_in_the_table_and_says_what_it_records() -> None:
    models = {
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Event) and "event" in vars(kind) and kind is not UnknownEvent
    }
    assert set(EVENTS.values()) == models
    assert all(kind.__doc__ and kind.__doc__.endswith(".") for kind in models)
    assert Created.event in EVENTS


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_event_is_written_somewhere() -> None:
    others = "\n".join(path.read_text() for path in sources() if path.name != "events.py")
    assert [kind.__name__ for kind in KINDS if not re.search(rf"\b{kind.__name__}\(", others)] == []


JSON_LINES = {"runs/jsonl.py", "runs/event_model.py", "runs/events.py"}
OTHER_LINES = {"histories/read.py", "stages/processes.py", "runs/history.py", "training/torchrun.py"}
OTHER_LINES |= {"workloads/command/evaluating.py"}
LEDGER_LINES = {"runs/ledger.py"}
"""May handle the lines of a ledger, not their keys."""


def raw_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Reads of an event by key: of ``event`` itself, or of anything from what is called like an event."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=holder, slice=ast.Constant(value=str() as key)):
                pass
            case ast.Call(
                func=ast.Attribute(value=holder, attr="get" | "pop"), args=[ast.Constant(value=str() as key), *_]
            ):
                pass
            case _:
                continue
        if key == "event" or re.search(r"(?i)event|\blast\b|\blatest\b|\bended\b|\bturns?\b", ast.unparse(holder)):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_models_know_the_keys_of_a_ledger(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    if place in JSON_LINES:
        return
    text = path.read_text()
    for line, code in raw_reads(ast.parse(text)):
        pytest.fail(f"{path}:{line}: {code} reads an event by key; read it through cardrunner.runs.events.parse")
    if place in OTHER_LINES | LEDGER_LINES:
        return
    found = re.findall(r"\b(?:parse_line|parse_object|read_lines|lines_of|append_line|append_bytes)\b", text)
    assert not found, f"{path}: {found[0]} handles lines of JSON; ledgers are read by cardrunner.runs.ledger"


def test_a_read_by_key_is_found() -> None:
    code = 'row.get("event")\nevent["state"]\nself.ended.get("x")\nturns[-1]["event"]\nrow["metrics"]\nevents[0]'
    assert [line for line, _ in raw_reads(ast.parse(code))] == [1, 2, 3, 4]


def test_the_page_of_events_is_the_one_made_from_the_models() -> None:
    written = (ROOT / "docs" / "events.md").read_text()
    assert written == page(), "run `python -m cardrunner.runs.event_page > docs/events.md`"
