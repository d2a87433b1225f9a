"""The offered YAML is valid in a card, and reads what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.card.reading.characters import plain
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.training import Selection
from cardrunner.workloads.command.reports.base import Reading
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.starting import starter
from cardrunner.workloads.command.trying.checkpoint_files import Series
from cardrunner.workloads.command.trying.durations import Durations
from cardrunner.workloads.command.trying.found_files import Place
from cardrunner.workloads.command.trying.guessing import STDOUT, Guesser
from cardrunner.workloads.command.trying.offering import Offer, Seen, offer
from cardrunner.workloads.command.trying.tally import Tally
from tests.workloads.command.trying.pasting import pasted

NEW = starter(["python", "train.py", "--lr", "1e-3", "--max_iters=2000"])
RESUME = '["--resume", "{checkpoint}"]   # tried'


def card_of(text: str) -> Card:
    return load_card_bytes(text.encode(), file="new.yaml", resolve=registry.workload_spec, sources=()).card


def seen_lines(*lines: str) -> Seen:
    guesser, tally = Guesser(), Tally()
    for number, line in enumerate(lines):
        if (reading := guesser.line(line, float(number))) is not None:
            tally.add(reading, float(number))
    return Seen(tuple(tally.values.values()), guesser.best(), (), ())


def seen_file(place: Place, names: Sequence[str]) -> Seen:
    tally = Tally()
    for step in (10, 20, 30):
        tally.add(Reading(step, dict.fromkeys(names, 0.5), place.name), step / 10)
    return Seen(tuple(tally.values.values()), (), (place,), ())


def text_of(made: Offer) -> str:
    card = card_of(NEW)
    targets, rules = [target.metric for target in card.targets], [rule.watches for rule in card.kill_thresholds]
    return made.text(training_of(card), targets=targets, rules=rules)


def test_what_a_script_of_one_file_prints_is_offered_and_valid() -> None:
    seen = seen_lines("step 0: train loss 4.1, val loss 4.2", "iter 10: loss 3.9, time 12ms", "iter 20: loss 3.8")
    training = training_of(card_of(pasted(NEW, text_of(offer(seen, card_of(NEW), resume=None)))))
    assert [(metric.name, metric.at, metric.direction) for metric in training.metrics] == [
        ("val_loss", "validation", "min"),
        ("loss", "log", "min"),
        ("train_loss", "log", "min"),
    ]
    assert len(training.report.stdout) == 2


@pytest.mark.parametrize(
    ("place", "names", "expected"),
    [
        (Place("tensorboard", "{out}/version_*", "/o"), ["eval/loss", "train/loss"], ["val_loss", "train_loss"]),
        (Place("csv", "{out}/metrics.csv", "/o", "n_iter"), ["val_acc", "lr"], ["val_acc"]),
        (Place("jsonl", "logs/it's.jsonl", "/o"), ["loss"], ["loss"]),
        (Place("tensorboard", "{out}", "/o"), ["val_acc", "val_loss", "epoch"], ["val_loss", "val_acc"]),
        (Place("mlflow", "{out}/mlruns", "/o"), ["val_loss"], ["val_loss"]),
        (Place("trainer_state", "{out}/checkpoint-*", "/o"), ["eval_loss", "eval_runtime"], ["val_loss"]),
        (Place("csv", "{out}/m.csv", "/o"), ["cost", "true", "1e5"], ["reported_1e5", "reported_cost", "true"]),
    ],
)
def test_what_stands_in_files_is_offered_and_valid(place: Place, names: list[str], expected: list[str]) -> None:
    made = offer(seen_file(place, names), card_of(NEW), resume=None)
    training = training_of(card_of(pasted(NEW, text_of(made))))
    assert [metric.name for metric in training.metrics] == expected
    entry = getattr(training.report, place.kind)[0]
    assert getattr(entry, "at", entry) == place.at
    assert ("MLFLOW_TRACKING_URI" in training.environment) == (place.kind == "mlflow")


def test_a_score_that_is_better_when_larger_gets_a_target_of_its_own() -> None:
    text = text_of(offer(seen_lines("epoch 1 test_acc 0.81", "epoch 2 test_acc 0.82"), card_of(NEW), resume=None))
    card = card_of(pasted(NEW, text))
    assert [(target.metric, target.above) for target in card.targets] == [("val_acc", 0.82)]
    assert [rule.watches for rule in card.kill_thresholds] == ["val_acc"]


def test_of_two_sources_with_the_same_names_the_one_with_more_rows_is_offered() -> None:
    printed = seen_lines("{'eval_loss': '0.5', 'epoch': 1}", "{'eval_loss': '0.4', 'epoch': 2}")
    tally, place = Tally(), Place("trainer_state", "{out}/checkpoint-*", "/o")
    for step in range(40):
        tally.add(Reading(step, {"eval_loss": 0.5}, place.name), step / 10)
    both = Seen((*printed.values, *tally.values.values()), printed.shapes, (place,), ())
    training = training_of(card_of(pasted(NEW, text_of(offer(both, card_of(NEW), resume=None)))))
    assert (training.report.stdout, training.report.trainer_state) == ((), ("{out}/checkpoint-*",))


def test_checkpoints_and_a_resume_are_offered_where_the_card_has_none(tmp_path: Path) -> None:
    series = Series("{out}/checkpoint-*", folder=True, inside=True, complete=("trainer_state.json",))
    series.marks[tmp_path / "checkpoint-1"] = (("a", 10, 1, 1),)
    seen = Seen((), (), (), (series,))
    card = card_of(pasted(NEW, text_of(offer(seen, card_of(NEW), resume=RESUME))))
    training = training_of(card)
    assert training.checkpoints is not None
    assert training.select == Selection(metric="val_loss", mode="min")
    assert (training.checkpoints.at, training.checkpoints.complete) == (
        ("{out}/checkpoint-*",),
        ("trainer_state.json",),
    )
    assert training.resume == ("--resume", "{checkpoint}")
    assert text_of(offer(seen, card, resume=RESUME)) == ""


def test_each_name_is_offered_once_from_the_source_that_has_the_validation() -> None:
    printed = seen_lines("iter 1: loss 1.0", "iter 2: loss 0.9")
    place = Place("tensorboard", "{out}", "/o")
    both = Seen((*printed.values, *seen_file(place, ["val/loss", "loss"]).values), printed.shapes, (place,), ())
    training = training_of(card_of(pasted(NEW, text_of(offer(both, card_of(NEW), resume=None)))))
    assert (training.report.stdout, training.report.tensorboard) == ((), ("{out}",))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30), min_size=1, max_size=5
    ),
    st.floats(allow_nan=True),
)
def test_whatever_the_names_and_values_are_the_offer_is_valid(names: list[str], value: float) -> None:
    tally, place = Tally(), Place("jsonl", "{out}/m.jsonl", "/o")
    tally.add(Reading(1, {f"{name} loss": value for name in names}, place.name), 1.0)
    text = text_of(offer(Seen(tuple(tally.values.values()), (), (place,), ()), card_of(NEW), resume=None))
    assert card_of(pasted(NEW, text)) is not None
    assert bool(text) == any(map(plain, names))


def test_a_pattern_with_a_quote_stays_what_it_was() -> None:
    seen = seen_lines("{'loss': '0.69', 'epoch': 3}", "{'loss': '0.68', 'epoch': 4}")
    training = training_of(card_of(pasted(NEW, text_of(offer(seen, card_of(NEW), resume=None)))))
    assert training.report.stdout == tuple(shape.pattern for shape in seen.shapes)
    assert {value.where for value in seen.values} == {STDOUT}


def test_durations_are_offered_rounded_up_and_no_more_once_they_stand_in_the_card() -> None:
    seen = Seen((), (), (), (), durations=Durations(33.4, 1.2, measured=True))
    text = text_of(offer(seen, card_of(NEW), resume=None))
    assert "timeout: 10 min   # the trial took 33.4s" in text
    card = card_of(pasted(NEW, text))
    assert card.timing.total == (60.0,)
    assert (card.infra.timeout, card.infra.platform, training_of(card).first_metric) == (600.0, "local", 120.0)
    assert text_of(offer(seen, card, resume=None)) == ""


def test_durations_of_a_run_that_was_longer_than_its_trial_are_marked_as_its_pace() -> None:
    seen = Seen((), (), (), (), durations=Durations(40_000.0, 60.0, measured=False))
    text = text_of(offer(seen, card_of(NEW), resume=None))
    card = card_of(pasted(NEW, text))
    assert (card.timing.total, card.infra.timeout) == ((86_400.0,), 2 * 86_400.0)
    assert "by the pace of the trial it takes 11.1h" in text


def test_where_nothing_was_measured_no_duration_is_offered() -> None:
    seen = Seen((), (), (), (), durations=Durations(None, None, measured=False))
    assert text_of(offer(seen, card_of(NEW), resume=None)) == ""


def test_the_best_checkpoint_is_that_of_the_offered_validation(tmp_path: Path) -> None:
    series = Series("{out}/ep*.npz", folder=False, inside=True, marks={tmp_path / "ep1.npz": (("a", 10, 1, 1),)})
    lines = [f"epoch {epoch}/3 | train rmse 0.{epoch} | test acc 0.{epoch}" for epoch in (1, 2, 3)]
    seen = replace(seen_lines(*lines), series=(series,))
    training = training_of(card_of(pasted(NEW, text_of(offer(seen, card_of(NEW), resume=None)))))
    assert training.select == Selection(metric="val_acc", mode="max")


def test_a_cadence_of_one_step_is_every_step() -> None:
    text = text_of(offer(seen_lines("epoch 1 loss 0.5", "epoch 2 loss 0.4"), card_of(NEW), resume=None))
    assert "steps 1 to 2, every step, every 1 s" in text
