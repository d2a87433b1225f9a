"""Do the card's numbers agree with each other? One function per check; `CHECKS` is the table of them.

These checks are independent of the domain: formulas come from the workload's torch-free half
(`cardrunner.card.contracts.WorkloadSpec`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cardrunner.card.changes import CHANGEABLE, changed_card, changes_few
from cardrunner.card.checks import (
    metrics as metric_checks,
    metrics as range_checks,
    restarts as restart_checks,
    rules as rule_checks,
    scopes as scope_checks,
    stages as stage_checks,
    timing as timing_checks,
)
from cardrunner.card.contracts import ChecksFiles, WorkloadSpec
from cardrunner.card.estimate import processes_of, training_examples
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.errors import CardrunnerError, UsageError
from cardrunner.plugins import blamed_plugin
from cardrunner.specs import Derived, Location, Remark

MOST_ERRORS = 100
"""The limit per check. Warnings do not count, so that an error behind them still makes the card invalid."""
Check = Callable[[Card, WorkloadSpec], Iterable[Remark]]


def check_card(
    card: Card, spec: WorkloadSpec, *, without: Collection[str] = (), here: Path | None = None
) -> list[Remark]:
    """Find every error and warning about the numbers and names of a card.

    Args:
        card: the card.
        spec: its workload.
        without: sections that have faults of their own and are absent from `card`; a check that needs one of
            them ends there, and the others still run.
        here: the workspace of the card, to also check whether this machine has what the card names; None: it is read
            from a run folder.
    """
    checks: tuple[Check, ...] = CHECKS if here is None else (*CHECKS, *HERE, partial(_files, here))
    found = (remark for check in checks for remark in _enough(_as_far_as_possible(check, card, spec, without)))
    return list(dict.fromkeys(found))  # a failing workload fails in several checks


def _enough(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Limit the errors of one check: guessing at typos takes time for each."""
    errors = 0
    for remark in remarks:
        yield remark
        errors += remark.severity == "error"
        if errors > MOST_ERRORS:
            return


def _as_far_as_possible(check: Check, card: Card, spec: WorkloadSpec, without: Collection[str]) -> Iterator[Remark]:
    try:
        yield from check(card, spec)
    except AttributeError as error:
        if error.obj is not card or error.name not in without:
            yield _failure(error)
    except Exception as error:
        yield _failure(error)


def _failure(error: Exception) -> Remark:
    """An exception of a plug-in workload as a fault of the card; any other exception is raised again."""
    if isinstance(error, CardrunnerError) or (sentence := blamed_plugin(error)) is None:
        raise error
    return Remark(loc=("workload",), message=sentence)


def _files(workspace: Path, card: Card, spec: WorkloadSpec) -> Iterable[Remark]:
    """Findings of the workload about the files of the workspace."""
    return spec.check_files(card, workspace) if isinstance(spec, ChecksFiles) else ()


def derived_numbers(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Stated numbers agree with those derived by the workload's formulas."""
    for number in spec.derive(card):
        if not abs(number.stated - number.derived) <= number.tolerance:
            yield Remark(loc=number.loc, message=_disagreement(number))


def workload_remarks(card: Card, spec: WorkloadSpec) -> Iterable[Remark]:
    """Findings of the workload."""
    return spec.check(card)


def platform_remarks(card: Card, spec: WorkloadSpec) -> Iterable[Remark]:
    """Findings of the platform."""
    del spec
    return platform_of(card.infra).check(card)


def batches(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """The stated batches per epoch are right, and there is at least one batch."""
    examples = training_examples(card, spec)
    count = None if examples is None else card.training.batches(examples, processes=processes_of(card))
    if count is None:
        return
    together = f"{card.training.batch_size}" + (f" x {processes_of(card)} processes" if processes_of(card) > 1 else "")
    if count == 0:
        yield Remark(
            loc=("training", "batch_size"),
            message=f"{together} is more than the {examples} training examples; no batch is left",
        )
    stated = card.timing.stated.batches_per_epoch
    if stated is not None and stated != count:
        rounding = "rounded down" if card.training.drop_last else "rounded up"
        formula = f"{examples} examples / {together}, {rounding} = {count}"
        yield Remark(loc=("timing", "stated", "batches_per_epoch"), message=f"states {stated}, but {formula}")


def _disagreement(number: Derived) -> str:
    return (
        f"states {_number(number.stated, number.unit)}, but {number.formula} = {_number(number.derived, number.unit)}"
    )


def _number(value: float, unit: str) -> str:
    """A number as text; a size both with its unit and in bytes."""
    written = f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}"
    if unit == "bytes":
        return f"{units.format_bytes(int(value))} ({written} bytes)"
    return f"{written} {unit}".strip()


CHECKS: tuple[Check, ...] = (
    derived_numbers,
    workload_remarks,
    platform_remarks,
    batches,
    timing_checks.stated_columns,
    timing_checks.timeout,
    timing_checks.log_interval,
    timing_checks.budget,
    timing_checks.overrun,
    metric_checks.free_metrics,
    metric_checks.known_to_people,
    metric_checks.known_to_the_workload,
    metric_checks.selection,
    metric_checks.listed_baselines,
    metric_checks.targets,
    metric_checks.tiers,
    metric_checks.readings,
    range_checks.values_in_range,
    range_checks.targets_in_reach,
    rule_checks.directions,
    rule_checks.quantities,
    rule_checks.out_of_reach,
    rule_checks.beside_baselines,
    scope_checks.scopes,
    rule_checks.contradictions,
    rule_checks.against_targets,
    restart_checks.restarts,
)


HERE: tuple[Check, ...] = (stage_checks.installed_stages,)
"""Checks of this machine, only for cards read from their files: run folders are also read on other machines."""


def check_restarted(card: Card, value: Mapping[str, Any], spec: WorkloadSpec) -> Iterator[Remark]:
    """Faults of the training after a restart. Stated sums are not checked again, as they describe the card as signed.

    Args:
        card: a card without faults.
        value: the card as read.
        spec: its workload.
    """
    if not changes_few(card):
        return
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index, "set")
        if not rule.set:
            continue
        try:
            changed = changed_card(value, type(card), rule.set)
        except UsageError as error:
            yield Remark(loc=loc, message=f"together: {error}")
            continue
        for remark in check_card(changed, spec):
            if remark.severity == "error" and remark.loc[0] in CHANGEABLE:
                yield Remark(loc=(*loc, *_place(remark.loc, rule.set)), message=remark.message)


def _place(loc: Location, changes: Mapping[str, Any]) -> Location:
    """The changed key that a finding is about; empty if it is about several, or about an unchanged one."""
    path = ".".join(str(step) for step in loc)
    return (path,) if path in changes else ()
