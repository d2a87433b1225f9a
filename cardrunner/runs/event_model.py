"""The base of all events: how a line of the ledger becomes an event and back, and who sees it.

Every line can be read. A line with an unknown name, with a later version of its event, or without a required field
becomes an `UnknownEvent`, which keeps the whole line. Unknown fields of a known event are kept too. An optional field
with a value of the wrong type reads as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Flag, auto
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Audience(Flag):
    """Where an event is shown."""

    NONE = 0
    SCREEN = auto()
    """To people who watch the run."""
    RESULTS = auto()
    """In the results card."""
    BOTH = SCREEN | RESULTS


class Event(BaseModel):
    """One line of a ledger. The docstring of its class says what happened and who writes it."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")
    event: ClassVar[str]
    """Its name, which the line has under ``event``."""
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
        """The sentence for people; None for an event that is not shown."""
        return None

    def text_for(self, audience: Audience) -> str | None:
        """The text for an audience: the sentence, or a shorter headline on the screen; None for other audiences."""
        return self.sentence() if audience in self.audience else None

    def given(self) -> dict[str, Any]:
        """The event's own fields that its line has, without time, name and attempt."""
        given = self.model_dump(exclude_unset=True)
        return {key: value for key, value in given.items() if key not in ("at", "attempt")}

    def row(self) -> dict[str, Any]:
        """The line as JSON values: time, name, attempt, and the fields that were given."""
        version = {"version": self.version} if self.version > 1 else {}
        attempt = {"attempt": self.attempt} if "attempt" in self.model_fields_set else {}
        return {"at": self.at, "event": self.event, **version, **attempt, **self.given()}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self | None:
        """The event with these fields, without those of the wrong type; None if a required one is among them."""
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
    """A line that this version of cardrunner cannot read as a known event. It keeps the whole line."""

    event = ""
    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the line calls the event."""
        return str(self.raw.get("event"))

    @property
    def stated_version(self) -> object:
        """The version that the line states; 1 where it states none."""
        return self.raw.get("version", 1)

    def row(self) -> dict[str, Any]:
        """The line as it was read."""
        return dict(self.raw)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> UnknownEvent:
        """The line, with its time and attempt where they can be read."""
        common = {key: raw[key] for key in ("at", "attempt") if key in raw}
        return cls.read({**common, "raw": raw}) or cls(raw=raw)
