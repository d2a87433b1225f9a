"""Making a statement: who may sign a card, and what they say."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydantic import ValidationError

from cardrunner.card.explain import sentence
from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.common.clock import timestamp
from cardrunner.common.text import did_you_mean
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Finding

_OPTION = {"note": "--note", "conditions": "--condition"}


def find_reviewer(case: Case, identifier: str) -> tuple[int, Reviewer]:
    """The reviewer of this id and its index in the card.

    Raises:
        GateClosed: it is the author, or not a reviewer of the card.
    """
    reviewers = case.card.sign_off.reviewers
    for index, reviewer in enumerate(reviewers):
        if reviewer.id == identifier:
            return index, reviewer
    if case.card.author and identifier.casefold() == case.card.author.casefold():
        why = f"{identifier} is the card's author; another person has to review"
    else:
        known = [reviewer.id for reviewer in reviewers]
        guess = did_you_mean(identifier, known, otherwise=f"; it asks {', '.join(known)}")
        why = f"{identifier!r} is not a reviewer of this card{guess}"
    raise GateClosed((Finding(f"{case.file}: sign_off.reviewers", why),))


def make_statement(
    case: Case, *, verdict: Literal["approve", "block"], note: str | None, conditions: Sequence[str]
) -> Signature:
    """A reviewer's statement over exactly this content, now.

    Raises:
        UsageError: the note or a condition cannot be kept, or the verdict takes no conditions.
    """
    if conditions and verdict == "block":
        raise UsageError("--condition: only an approval has conditions; say in --note what lifts the block")
    said = tuple(_normal(condition) for condition in conditions)
    if len(set(said)) < len(said):
        raise UsageError("--condition: the same condition is given twice; give it once")
    try:
        return Signature(
            digest=case.digest,
            verdict=verdict,
            at=timestamp(case.now),
            note=_normal(note) if note else None,
            conditions=said,
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise UsageError(f"{_OPTION.get(str(fault['loc'][0]), 'signature')}: {sentence([fault])}") from None


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
