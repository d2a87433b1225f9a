# ruff: noqa: E501 - one row of a table is one line
from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.common.text import nearest
from cardrunner.errors import CardError
from tests.examples import examples

Edit = Callable[..., LoadedCard]


def said(edited: Edit, old: str, new: str) -> str:
    """The one error of the changed card, without its place."""
    with pytest.raises(CardError) as caught:
        edited((old, new))
    errors = [fault for fault in caught.value.faults if fault.severity == "error"]  # type: ignore[attr-defined]
    assert len(errors) == 1, [str(error) for error in errors]
    return f"{errors[0].path}: {errors[0].message}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("batch_size: 1024", "batch_size: 1e3", "training.batch_size: must be a whole number, not a number with decimals"),
        ("batch_size: 1024", "batch_size: true", "training.batch_size: must be a whole number, not true or false"),
        ("learning_rate: 1e-3", "learning_rate: fast", "training.learning_rate: must be a number, not text"),
        ("platform: modal", "platform: modl", "infra.platform: must be local or modal"),
        ("platform: modal", "platform: [modal]", "infra.platform: must be local or modal"),
        ("detach: true", "detach: yes", "infra.detach: must be true or false, not text"),
        ("name: policy-22k\n", "name: 22\n", "name: must be text, not a whole number"),
        ("tags: [policy, imitation]", "tags: policy", "infra.tracking.wandb.tags: must be a list, not text"),
        ("split: {train: 90%, by: game}", "split: 90%", "data.split: must be a mapping of keys and values, not text"),
        ("split: {train: 90%, by: game}", "split: [90%]", "data.split: must be a mapping of keys and values, not a list"),
        ("loss:\n    analog: {kind: mse, weight: 1}", "loss:\n    analog: {kin: mse, kind: mse}", 'training.loss.analog.kin: unknown key; did you mean "kind"?'),
        ("platform: modal", "platform: modal\n  voluem: x", 'infra.voluem: unknown key; did you mean "volume"?'),
        ("action: stop", "action: stop\n    min_dleta: 1", 'kill_thresholds[0].min_dleta: unknown key; did you mean "min_delta"?'),
        ("    why: GPU OOM", "    above: 3", "kill_thresholds[3].above: unknown key; there are action, why, set, after, not_before, within and event"),
        ("seed_game: null", "seed_game: [1]", "after_training.demo.seed_game: must be text or a whole number, not a list"),
        ("seed_game: null ", "seed_game: -1 ", "after_training.demo.seed_game: must be at least 0"),
        ("drop_last: true", "keep: none", "training.keep: must be all"),
        ("drop_last: true", "keep: 0", "training.keep: must be at least 1"),
        ("games: 50, player", "games: [50], player", "baselines[0].facts.games: must be text, true or false, a whole number or a number, not a list"),
        ("name: Scav, signed: null", "name: Scav, signed: {digest: abc}", None),
        ("optimizer: adamw", "optimizer: AdamW", 'training.optimizer: must be adamw, adam or sgd; did you mean "adamw"?'),
        ("price: $0.59/h", "price: 0.59", "infra.price: a price per hour is written as $0.59/h, without signs, spaces or separators"),
        ("price: $0.59/h", "price: [1]", "infra.price: must be a quantity with its unit, such as $0.59/h"),
        ("dropout: 0.1", "dropout: 1", "model.dropout: must be less than 1"),
        ("source: /encoded-22k.pt", "source: []", "data.source: needs at least 1 entry"),
        ("source: /encoded-22k.pt", "source: [{size: 1 GB}]", "data.source[0].path: is missing"),
        ("source: /encoded-22k.pt", "source: 22", "data.source: must be a mapping of keys and values, not a whole number"),
        ("calibration: [1, 3, 5]", "calibration: [1, -3, 5]", "timing.calibration[1]: must be more than 0"),
        ("notes: Same dataset, same distribution", 'notes: "  "', "distribution_match[1].notes: is empty; write something or leave the key out"),
        ("notes: Same dataset, same distribution", 'notes: "a\\nb"', "distribution_match[1].notes: must be one line"),
        ("drop_last: true", "warmup: 5", "training.warmup: a warm-up of 5 epochs leaves none of the 5 epochs for training"),
        ("to: worldmodel/", "to: ../", "after_training.download.to: leaves the workspace; write a path relative to it, such as downloads/best.pt"),
        ("output: demo-22k-agents-v2.json", "output: /etc/passwd", "after_training.demo.output: leaves the workspace; write a path relative to it, such as downloads/best.pt"),
        ("source: /encoded-22k.pt", f"source: [/a.pt, /b.pt]\n  sha256: {'a' * 64}", "data.sha256: is for a single file; give each file of data.source its own"),
        ("type: data\n", "type: dat\n", 'lineage.type: must be data, architectural, hyperparameter or training-regime; did you mean "data"?'),
    ],
)  # fmt: skip
def test_a_fault_is_one_plain_sentence(edited: Edit, old: str, new: str, sentence: str | None) -> None:
    if sentence is None:
        with pytest.raises(CardError, match="verdict: is missing"):
            edited((old, new))
    else:
        assert said(edited, old, new) == sentence


def test_an_unknown_key_is_pointed_at_itself_and_a_wrong_value_at_itself(edited: Edit) -> None:
    with pytest.raises(CardError) as caught:
        edited(("  epochs: 5\n", "  epoch: 5\n  epochs: five\n"))
    places = {fault.path: fault.column for fault in caught.value.faults}  # type: ignore[attr-defined]
    assert (places["training.epoch"], places["training.epochs"]) == (3, 11)


def test_a_secret_in_the_wrong_field_is_not_repeated(edited: Edit) -> None:
    secret = "wandb-0123456789"
    for field in (
        "batch_size: 1024",
        "learning_rate: 1e-3",
        "optimizer: adamw",
        "precision: float32",
        "detach: true",
        "timeout: 43200s",
        "price: $0.59/h",
        "created: 2026-02-26",
        "size: 74.4 GB",
    ):
        with pytest.raises(CardError) as caught:
            edited((field, f"{field.partition(':')[0]}: {secret}"))
        assert secret not in str(caught.value)


@pytest.mark.parametrize(("word", "near"), [("epoch", "epochs"), ("Batch_Size", "batch_size"), ("status", None)])
def test_a_guess_is_near_or_not_made(word: str, near: str | None) -> None:
    assert nearest(word, ("epochs", "batch_size", "targets"), cutoff=0.7) == near


def test_no_guess_is_made_that_would_take_long() -> None:
    names = [f"run-number-{number}" for number in range(150)]
    assert nearest("run-numbre-7", names[:20]) == "run-number-7"
    assert nearest("run-numbre-7", names) is None
    assert nearest("x" * 70, ["x" * 69]) is None
    assert nearest("", ["a"]) is None


PIECES = st.sampled_from(
    ["null", "[]", "{}", "[1]", "{a: 1}", "true", "-1", "1e400", ".nan", "''", "x", "9007199254740992", "1.5", "[{}]", "{signed: {}}", "2026-13-45", "110%"]
)  # fmt: skip


@examples(150)
@given(data=st.data())
def test_whatever_stands_in_a_value_every_fault_has_a_place_and_a_sentence(
    data: st.DataObject, policy_text: str
) -> None:
    lines = policy_text.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[index].partition(": ")
        lines[index] = f"{key}: {data.draw(PIECES)}" if colon else lines[index]
    try:
        load_card_bytes("\n".join(lines).encode(), file="card.yaml", resolve=registry.workload_spec)
    except CardError as error:
        for fault in error.faults:
            assert fault.line >= 1 and fault.column >= 1 and fault.message  # type: ignore[attr-defined]  # noqa: PT018
            assert "Input should" not in str(fault) and "pydantic" not in str(fault) and "<" not in fault.path  # type: ignore[attr-defined]  # noqa: PT018
