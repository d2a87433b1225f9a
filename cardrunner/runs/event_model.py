"""What all events of a ledger have in common: how a line becomes one, how it becomes a line, who is told of it.

A line never fails to read. One of a name that this version does not know, of a later version of its event, or that
lacks what its event cannot do without is an `UnknownEvent`, which keeps all it says. Fields that an event does not
know are kept too, and a value of the wrong type reads as if the field were absent, where the field may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Flag, auto
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Audience(Flag):
    """Who is told of an event."""

    NONE = 0
    SCREEN = auto()
    """Those who watch the run."""
    RESULTS = auto()
    """Those who read its results card."""
    BOTH = SCREEN | RESULTS


class Event(BaseModel):
    """One line of a ledger. Its class's docstring says what happened and who writes it down."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")
    event: ClassVar[str]
    """The name that the line gives under ``event``."""
    version: ClassVar[int] = 1
    """Raised when a reader of earlier versions would misunderstand a line; written from 2 on."""
    audience: ClassVar[Audience] = Audience.NONE

    at: str = ""
    """When it was written: RFC 3339, UTC, milliseconds."""
    attempt: int | None = None
    """The attempt it belongs to, from 1."""

    @property
    def warns(self) -> bool:
        """Whether a screen shows its sentence as a warning."""
        return False

    def sentence(self) -> str | None:
        """What people are told of it; None where there is nothing to tell."""
        return None

    def text_for(self, audience: Audience) -> str | None:
        """What this audience is told of it: its sentence, unless the event has a headline for the screen."""
        return self.sentence() if audience in self.audience else None

    def given(self) -> dict[str, Any]:
        """The event's own fields, without time, name and attempt, as far as its line has them."""
        known = self.model_fields_set | (self.model_extra or {}).keys()
        return {key: value for key, value in self.model_dump().items() if key in known and key not in ("at", "attempt")}

    def row(self) -> dict[str, Any]:
        """The line as JSON values: time, name, attempt, and the fields that were given."""
        version = {"version": self.version} if self.version > 1 else {}
        attempt = {"attempt": self.attempt} if "attempt" in self.model_fields_set else {}
        return {"at": self.at, "event": self.event, **version, **attempt, **self.given()}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self | None:
        """The event with these fields, without those of the wrong type; None where it cannot do without them."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            wrong = {str(fault["loc"][0]) for fault in error.errors(include_url=False) if fault["loc"]}
        sound = {key: value for key, value in fields.items() if key not in wrong}
        try:
            return cls.model_validate(sound)
        except ValidationError:
            return None


class UnknownEvent(Event):
    """A line that this version of cardrunner cannot read as one of its events; it keeps all that the line says."""

    event = ""
    raw: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """The line as it was read."""
        return dict(self.raw)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> UnknownEvent:
        """The line, with its time and attempt where they can be read."""
        common = {key: raw[key] for key in ("at", "attempt") if key in raw}
        return cls.read({**common, "raw": raw}) or cls(raw=raw)
