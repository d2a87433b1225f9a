"""Ask the platform what a launch would ask it, as far as that is free."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner import registry
from cardrunner.contracts import RemoteExecutor
from cardrunner.errors import CardrunnerError, MissingExtra, NameTaken
from cardrunner.plan.build import Planned, unchecked
from cardrunner.plan.records import Plan
from cardrunner.runs.records import FactRow


def ask_platform(planned: Planned) -> Plan:
    """The plan with the platform's answers, if it can be asked from here: its package and a token are present."""
    try:
        executor = registry.executor(planned.plan.executor)
    except MissingExtra as missing:
        return _unasked(planned, str(missing))
    if not isinstance(executor, RemoteExecutor):
        return planned.plan
    if (why := executor.unreachable_reason()) is not None:
        return _unasked(planned, why)
    answers = tuple(_answers(planned, executor))
    reached = any(answer.ok for answer in answers)
    offline = None if reached else f"{planned.plan.platform} did not answer"
    left = tuple(unchecked(planned.loaded.card, planned.plan.data, offline=offline))
    return planned.plan.model_copy(update={"answers": answers, "unchecked": left})


def _unasked(planned: Planned, why: str) -> Plan:
    left = tuple(unchecked(planned.loaded.card, planned.plan.data, offline=why))
    return planned.plan.model_copy(update={"unchecked": left})


def _answers(planned: Planned, executor: RemoteExecutor) -> Iterator[FactRow]:
    name = planned.plan.executor
    try:
        for fact in executor.preflight(planned.loaded.card, planned.plan.run):
            ok = fact.ok or fact.severity == "warning"
            yield FactRow(name=fact.name, expected=fact.expected, actual=fact.actual, ok=ok, note=fact.note)
    except CardrunnerError as error:
        yield FactRow(name=name, expected=None, actual=str(error), ok=isinstance(error, NameTaken))
