"""The plan as plain text of 80 columns, in the order of a reviewer's questions."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.schema.data import SYNTHETIC
from cardrunner.common.text import listed, plural
from cardrunner.common.units import format_bytes
from cardrunner.plan.money_text import block, estimates, learned, paragraph, prices, timeout, worst_case
from cardrunner.plan.records import Plan, PlannedData, PlannedMetric
from cardrunner.runs.records import FactRow

_NO_NUMBERS = ("reason", "notes")


def describe(plan: Plan) -> Iterator[str]:
    """The plan, line by line."""
    yield from block("run", _run(plan))
    yield from block("card", paragraph(f"{plan.card}, digest {plan.card_digest[:12]}"))
    yield from block("gate", _gate(plan))
    yield ""
    yield from block("where", _where(plan))
    yield from block("stages", _stages(plan))
    yield from block("afterwards", _afterwards(plan))
    yield ""
    yield from block("data", _data(plan))
    yield from block("expected", _expected(plan))
    yield from block("same data", _data_match(plan))
    yield from block("command", (line for shown in plan.command for line in paragraph(shown, hang=2)))
    for section in ("model", "training") if not plan.command else ("model",):
        yield from block(section, _configured(plan, section))
    yield from block("steps", _work(plan) if not plan.command else ())
    yield ""
    yield from block("estimate", estimates(plan))
    yield from block("learned", learned(plan))
    yield from block("prices", prices(plan))
    yield from block("timeout", timeout(plan))
    yield from block("worst case", worst_case(plan))
    yield ""
    yield from block("metrics", _metrics(plan))
    yield from block("rules", _other_rules(plan))
    yield ""
    yield from block("asked", (line for one in plan.answers for line in _item(_answered(one))))
    yield from block("not checked", (line for one in plan.unchecked for line in _item(f"{one.what}: {one.why}")))
    yield from block("warnings", (line for one in plan.warnings for line in _item(f"{one.path}: {one.message}")))


def _run(plan: Plan) -> Iterator[str]:
    yield from paragraph(f"{plan.run}, workload {plan.workload}")
    if plan.name_taken:
        yield from paragraph(f"{plan.run_folder} exists: a launch would refuse", hang=2)


def _gate(plan: Plan) -> Iterator[str]:
    gate = plan.gate
    if gate.open:
        yield from paragraph(f"open, signed by {', '.join(gate.signed_by)}")
        yield from _judged_by(plan)
        return
    signed = f", signed by {', '.join(gate.signed_by)}" if gate.signed_by else ""
    yield from paragraph(f"closed: {len(gate.findings)} open{signed}")
    for number, box in enumerate(gate.findings, start=1):
        yield from paragraph(f"{number}. {box.what}: {box.why}", hang=3)
        if box.command:
            yield f"   {box.command}"  # unwrapped, so that it can be copied
    yield from _judged_by(plan)


def _judged_by(plan: Plan) -> Iterator[str]:
    if plan.floors:
        yield from paragraph(f"judged by {listed(plan.floors)}", hang=2)
    items = plan.configuration["checklist"]
    by_hand = sum(item["done"] and not item["check"] for item in items)
    if by_hand and plan.configuration["sign_off"]["policy"] == "ssh":
        ticks = plural(by_hand, "checklist item")
        yield from paragraph(f"{ticks} ticked by a person: a tick is not signed, anyone can set it", hang=2)


def _where(plan: Plan) -> Iterator[str]:
    place = plan.resources
    parts = [plan.platform if plan.executor == plan.platform else f"{plan.platform}, executor {plan.executor}"]
    parts += [f"{place.gpus} x {place.gpu}"] if place.gpu else ["no GPU asked for"]
    parts += [f"{place.cpu_cores:g} CPU cores"] if place.cpu_cores else []
    parts += [f"{format_bytes(place.memory_bytes)} of memory"] if place.memory_bytes else []
    parts += [f"volume {place.volume}, run folder under {place.checkpoints}"] if place.volume else []
    parts += [] if place.detached is None else ["detached" if place.detached else "attached"]
    yield from paragraph(", ".join(parts))
    if not place.available:
        yield from paragraph(f"the {plan.executor} executor is not part of this version: a launch would refuse")
    if place.missing:
        yield from paragraph(f"a launch would refuse: {place.missing}")
    for sentence in plan.tracked:
        yield from paragraph(f"tracked {sentence}")


def _stages(plan: Plan) -> Iterator[str]:
    yield " → ".join(stage.name for stage in plan.stages)
    there = ", ".join(stage.name for stage in plan.stages if stage.side == "worker")
    here = ", ".join(stage.name for stage in plan.stages if stage.side == "launcher")
    yield from paragraph(f"where the data is ({plan.executor}): {there}; on this side: {here}")
    for stage in filter(lambda stage: stage.package, plan.stages):
        yield from paragraph(f"{stage.name} is a stage of {stage.package}")


def _afterwards(plan: Plan) -> Iterator[str]:
    """What the stages on this side write to the workspace."""
    after = plan.configuration["after_training"]
    if download := after["download"]:
        yield from paragraph(f"the {download['checkpoint']} checkpoint to {download['to']}", hang=2)
    if demo := after["demo"]:
        to = f", a copy to {demo['output']}" if demo["output"] else ""
        yield from paragraph(f"demo: {plan.demo}{to}", hang=2)


def _data_match(plan: Plan) -> Iterator[str]:
    """Whether the models of the demo learned from the same data."""
    if plan.data_match is not None:
        yield from paragraph(plan.data_match.sentence, hang=2)


def _data(plan: Plan) -> Iterator[str]:
    for entry in plan.data:
        yield from paragraph(_file(entry))
    unnamed = all(entry["path"] == SYNTHETIC for entry in plan.configuration["data"]["source"])
    if plan.command and not plan.data and unnamed:
        yield "what the script reads; the card names no file"
        return
    if not plan.data:
        sources = ", ".join(entry["path"] for entry in plan.configuration["data"]["source"])
        volume, looked = plan.resources.volume, "see what was asked" if plan.answers else "not checked"
        yield from paragraph(f"{sources} on the volume {volume}, {looked}" if volume else f"{sources}, made here")
    yield from paragraph(f"how it is read: {plan.data_mode or 'the load stage will say'}")


def _file(entry: PlannedData) -> str:
    if entry.found is None or entry.bytes is None:
        return entry.problem or f"{entry.path}: not found"
    size = f"{entry.path}: {entry.found}, {format_bytes(entry.bytes)}"
    if entry.problem:
        return f"{size}: {entry.problem}"
    return f"{size}, as stated" if entry.expected_bytes is not None else size


def _expected(plan: Plan) -> Iterator[str]:
    for fact in plan.expected:
        if fact.ok is False and not fact.name.startswith("data.source"):  # listed above already
            yield from paragraph(f"disagrees: {fact.name} is {fact.actual}, the card says {fact.expected}", hang=2)
    agreed = [f"{fact.name} {fact.expected}" for fact in plan.expected if fact.ok and fact.seen_by != "here"]
    later = [f"{fact.name} {_short(fact.expected)}" for fact in plan.expected if fact.ok is None]
    if agreed:
        yield from paragraph(f"the card's own arithmetic agrees: {', '.join(agreed)}", hang=2)
    if later:
        yield from paragraph(f"left to the load stage: {', '.join(later)}", hang=2)


def _configured(plan: Plan, section: str) -> Iterator[str]:
    """Every value of a section: those that the card states, then the defaults."""
    values = {leaf.path: leaf for leaf in plan.settings if leaf.path.startswith(f"{section}.")}
    shown = {path.partition(".")[2]: leaf for path, leaf in values.items() if path.partition(".")[2] not in _NO_NUMBERS}
    stated = [f"{name} {leaf.text}" for name, leaf in shown.items() if leaf.stated]
    default = [f"{name} {leaf.text}" for name, leaf in shown.items() if not leaf.stated]
    yield from paragraph(", ".join(stated), hang=2)
    if default:
        yield from paragraph(f"by default: {', '.join(default)}", hang=2)


def _work(plan: Plan) -> Iterator[str]:
    work = plan.work
    if work.train_examples is None or work.steps_per_epoch is None:
        yield "not known before the data is open"
        return
    validation = "" if work.val_examples is None else f"; {work.val_examples:,} examples validate"
    yield from paragraph(
        f"{work.train_examples:,} examples train, {work.steps_per_epoch:,} steps an epoch,"
        f" {work.steps:,} in all{validation}"
    )


def _metrics(plan: Plan) -> Iterator[str]:
    for metric in plan.metrics:
        yield from _metric(metric)
    if plan.also_computed:
        yield from paragraph(f"also computed, unused here: {', '.join(plan.also_computed)}", hang=2)


def _metric(metric: PlannedMetric) -> Iterator[str]:
    """A metric: its canonical name, its names in the card, and each use of it."""
    better = {"min": ", smaller is better", "max": ", larger is better", None: ""}[metric.direction]
    by = "" if metric.computed else ", read by people"
    aliases = dict.fromkeys(use.written for use in metric.uses if use.written != metric.name)
    alias = f", here {listed(aliases)}" if aliases else ""
    yield from paragraph(f"{metric.name}{alias}{better}{by}", hang=2)
    roles = dict.fromkeys(use.role for use in metric.uses)
    for role in roles:
        conditions = "; ".join(use.condition for use in metric.uses if use.role == role)
        yield from paragraph(f"{role}: {conditions}", indent=2, hang=2)


def _other_rules(plan: Plan) -> Iterator[str]:
    """Kill thresholds without a metric."""
    watched = {use.where for metric in plan.metrics for use in metric.uses}
    for index, rule in enumerate(plan.kill_thresholds):
        if f"kill_thresholds[{index}]" not in watched:
            changes = ", ".join(f"{path} = {value}" for path, value in rule.set.items())
            yield from paragraph(f"{rule.condition}: {rule.action}" + (f" with {changes}" if changes else ""))


def _answered(answer: FactRow) -> str:
    expected = "" if answer.ok or answer.expected is None else f", the card says {answer.expected}"
    note = f" ({answer.note})" if answer.note else ""
    return f"{answer.name}: {answer.actual}{expected}{note}"


def _item(text: str) -> Iterator[str]:
    yield from paragraph(f"- {text}", hang=2)


def _short(text: str) -> str:
    return text if len(text) < 40 else f"{text[:12]}…"
