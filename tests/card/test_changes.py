from __future__ import annotations

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.errors import UsageError


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("training.batchsize", 512, 'unknown key; did you mean "batch_size"?'),
        ("training.batch_size", 0, "must be at least 1"),
        ("training.batch_size", "many", "must be a whole number, not text"),
        ("training.warmup", 9, "training a warm-up of 9 epochs leaves none of the 5 epochs for training"),
        ("training.epochs.total", 1, "is not a field of the card: that value has no fields"),
        (
            "model.dropout",
            0.2,
            "a restart may only change training and infra; write a path such as training.batch_size",
        ),
        (
            "sign_off.policy",
            "boxes",
            "a restart may only change training and infra; write a path such as training.batch_size",
        ),
        ("training", {}, None),
        ("", 1, "a restart may only change training and infra; write a path such as training.batch_size"),
    ],
)
def test_a_change_that_is_no_card_is_refused(
    policy_card: LoadedCard, path: str, value: object, sentence: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        policy_card.changed({path: value})
    assert sentence is None or str(caught.value) == sentence


def test_several_changes_are_one_card(policy_card: LoadedCard) -> None:
    changed = policy_card.changed({"training.epochs": 9, "training.warmup": 6})
    assert (changed.training.epochs, changed.training.warmup) == (9, 6)


def test_the_card_itself_stays_as_it_was(policy_card: LoadedCard) -> None:
    before = policy_card.card.model_dump()
    policy_card.changed({"training.loss.analog.weight": 2.0})
    assert policy_card.card.model_dump() == before
