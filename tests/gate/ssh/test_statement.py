from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cardrunner.card.schema.sign_off import MetCondition, Signature
from cardrunner.gate.ssh import statement_bytes

GIVEN: dict[str, Any] = {
    "digest": "ab" * 32, "verdict": "approve", "at": "2026-03-01T12:00:00Z", "note": "fine", "conditions": ("a", "b"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Said:
    signature: dict[str, Any]
    run: str = "policy-22k"
    reviewer: str = "scav"
    card_format: int = 1

    @property
    def data(self) -> bytes:
        signature = Signature(**self.signature)
        return statement_bytes(signature, run=self.run, reviewer=self.reviewer, card_format=self.card_format)


def test_the_statement_has_one_form() -> None:
    assert Said(GIVEN).data == (
        b'cardrunner sign-off 1\0{"at":"2026-03-01T12:00:00Z","card":1,"conditions":["a","b"],"digest":"'
        + b"ab" * 32
        + b'","note":"fine","reviewer":"scav","run":"policy-22k","verdict":"approve"}'
    )


@pytest.mark.parametrize(
    "other",
    [
        Said(GIVEN, run="policy-22l"),
        Said(GIVEN, reviewer="mattie"),
        Said(GIVEN, card_format=2),
        Said(GIVEN | {"digest": "ac" * 32}),
        Said(GIVEN | {"verdict": "block"}),
        Said(GIVEN | {"at": "2026-03-01T12:00:01Z"}),
        Said(GIVEN | {"note": None}),
        Said(GIVEN | {"note": "fine."}),
        Said(GIVEN | {"conditions": ("b", "a")}),
        Said(GIVEN | {"conditions": ("a",)}),
        Said(GIVEN | {"conditions": ("a,b",)}),
    ],
)
def test_whatever_is_said_otherwise_is_another_statement(other: Said) -> None:
    assert other.data != Said(GIVEN).data


def test_a_condition_that_was_met_since_leaves_the_statement_as_it_is() -> None:
    met = (MetCondition(condition="a", by="ada", at="2026-03-02T12:00:00Z"),)
    assert Said(GIVEN | {"met": met}).data == Said(GIVEN).data
