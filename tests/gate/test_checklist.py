from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.checklist import check_person, find_entry
from cardrunner.gate.examine import gate_case
from cardrunner.gate.statement import find_reviewer

if TYPE_CHECKING:
    from tests.gate.conftest import Desk


@pytest.mark.parametrize(
    ("address", "index"),
    [("1", 0), ("2", 1), ("the data is there", 0), ("The Data", 0), ("LOSS", 1), ("somebody looked at the loss", 1)],
)
def test_an_item_is_found_by_number_text_or_a_part_of_it(desk: Desk, card_text: str, address: str, index: int) -> None:
    place = find_entry(desk.load(card_text).card, address, file="x.yaml")
    assert place.index == index


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("0", "there is no item '0'; 1 is 'the data is there'; 2 is 'somebody looked at the loss'"),
        ("3", "there is no item '3'"),
        ("", "there is no item ''"),
        ("-1", "there is no item '-1'"),
        ("٢", "there is no item"),
        ("the", "'the' fits the items 1, 2; give the number of one"),
        ("condition:scav:1", "a signature of scav is not there or has no conditions; there is no condition 1"),
        ("condition:nobody:1", "a signature of nobody is not there"),
        ("condition:scav:x", "there is no item 'condition:scav:x'"),
    ],
)
def test_an_address_of_nothing_or_of_several_is_refused(
    desk: Desk, card_text: str, address: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=r"^x\.yaml: ") as caught:
        find_entry(desk.load(card_text).card, address, file="x.yaml")
    assert sentence in str(caught.value)


def test_a_condition_is_found_by_reviewer_and_number(desk: Desk, card_text: str) -> None:
    signed = desk.sign(card_text, "mattie", conditions=("one", "two"))
    place = find_entry(desk.load(signed).card, "condition:mattie:2", file="x.yaml")
    assert str(place) == "condition 2 of mattie (two)"
    assert place.address == "condition:mattie:2"
    with pytest.raises(UsageError, match="has 2 conditions; there is no condition 3"):
        find_entry(desk.load(signed).card, "condition:mattie:3", file="x.yaml")


@pytest.mark.parametrize(
    ("who", "sentence"),
    [
        ("ada", "ada is the card's author; another person has to review"),
        ("ADA", "ADA is the card's author"),
        ("Scav", "'Scav' is not a reviewer of this card; did you mean \"scav\"?"),
        ("zoe", "'zoe' is not a reviewer of this card; it asks scav, mattie"),
        ("ѕcav", "is not a reviewer of this card"),
    ],
)
def test_only_a_reviewer_of_the_card_may_sign(desk: Desk, card_text: str, who: str, sentence: str) -> None:
    case = gate_case(desk.load(card_text), desk.workspace)
    with pytest.raises(GateClosed) as caught:
        find_reviewer(case, who)
    assert sentence in str(caught.value)


def test_a_statement_takes_no_condition_twice_and_none_with_a_block(desk: Desk, card_text: str) -> None:
    with pytest.raises(UsageError, match="the same condition is given twice"):
        desk.sign(card_text, "scav", conditions=("a", " a"))
    with pytest.raises(UsageError, match="only an approval has conditions"):
        desk.sign(card_text, "scav", conditions=("a",), verdict="block")


@pytest.mark.parametrize(("note", "sentence"), [("a\nb", "--note: must be one line"), ("x" * 501, "--note: ")])
def test_a_note_that_cannot_be_kept_is_refused(desk: Desk, card_text: str, note: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}"):
        desk.sign(card_text, "scav", note=note)


@pytest.mark.parametrize("who", ["", "a b", "-x", "мattie", "YOUR-ID", "a\n"])
def test_a_tick_needs_a_real_id(who: str) -> None:
    with pytest.raises(UsageError, match=r"^--as: "):
        check_person(who)
