"""Launch and resume: card → gate → plan → run folder → submit → follow → finish."""

from __future__ import annotations

import datetime
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cardrunner import registry
from cardrunner.card.contracts import KnowsObstacles
from cardrunner.card.platforms import executors_of, platform_of
from cardrunner.card.schema.card import Card
from cardrunner.common.clock import moment as now, timestamp, utc_now
from cardrunner.common.redaction import secret_in
from cardrunner.common.text import listed
from cardrunner.common.units import format_dollars
from cardrunner.contracts import Progress, RemoteExecutor
from cardrunner.errors import (
    EnvironmentFailed,
    GateClosed,
    IntegrityError,
    NameTaken,
    RunPaused,
    RunStopped,
    UsageError,
)
from cardrunner.gate.case import behind
from cardrunner.gate.findings import Finding
from cardrunner.launching.admission import admitting, give_back, record_admission, refuse_spent, withdraw
from cardrunner.launching.checks import as_row, prove_all
from cardrunner.launching.code import keep_code
from cardrunner.launching.finish import RunEnd
from cardrunner.launching.judgement import card_of_today, check_launched, judged_from_here
from cardrunner.launching.remote_runs import discard_unstarted
from cardrunner.launching.submit import refresh, run_attempt
from cardrunner.plan import Planned, plan_card
from cardrunner.plan.money_text import worst_case
from cardrunner.runs.attempts import stopped_by_rule
from cardrunner.runs.create import create_run
from cardrunner.runs.environment import collect_environment
from cardrunner.runs.events import Acknowledged
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.runs.inspect import in_lines, needed_to_resume, run_damage
from cardrunner.runs.ledger import Ledger, last_event, latest_events
from cardrunner.runs.outcome import spent_budget
from cardrunner.runs.records import ChecksRecord, LaunchedCode, LaunchRecord, read_record
from cardrunner.runs.status import Status, derive_status
from cardrunner.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Options of the command line. They leave the signed content of the card as it is."""

    executor: str | None = None
    detach: bool = False
    run_name: str | None = None
    runs: Path | None = None


def prepare(path: Path, options: LaunchOptions) -> Planned:
    """Read a card once and plan its launch.

    Raises:
        CardError: the card has faults.
        UsageError: an option does not fit the card.
    """
    planned = plan_card(path, executor=options.executor, run_name=options.run_name, runs=options.runs)
    card = planned.loaded.card
    if options.run_name is not None and not card.repeat:
        raise UsageError(
            f"{path}: --run-name needs `repeat: true` in the card: an approval is for one run, named after the card"
        )
    if options.executor is not None:
        _check_executor(path, options.executor, card.infra.platform)
    if options.detach:
        _check_detachable(planned.plan.executor, card.infra.platform)
    return planned


def _check_executor(path: Path, name: str, platform: str) -> None:
    if name not in executors_of(platform):
        other = registry.offered_executor(name).platform
        raise UsageError(
            f"{path}: --executor would change what was signed: the card's platform is {platform}, not {other}"
        )


def _check_detachable(name: str, platform: str) -> None:
    if not registry.executor(name).survives_client:
        lasting = [other for other in executors_of(platform) if registry.executor(other).survives_client]
        instead = f"use --executor {lasting[0]}" if lasting else "leave --detach out"
        raise UsageError(f"--detach: the {name} executor runs in this process and ends with it; {instead}")


def admit(planned: Planned, options: LaunchOptions) -> RunFolder:
    """Check that a run may begin, without writing anything.

    Returns:
        the folder that the run will have.

    Raises:
        GateClosed: boxes are open; carries all of them.
        EnvironmentFailed: a data file cannot be found, or the platform refuses the run.
        NameTaken: a run of this name exists.
    """
    runs = options.runs or planned.workspace.runs
    if findings := (*_late_clock(planned.loaded.path, runs), *planned.gate.findings):
        raise GateClosed(findings)
    _check_runs(planned.workspace, runs)
    folder = replace(RunFolder.of(runs, planned.plan.run), workspace=planned.workspace.root)
    _refuse_taken(planned, folder)
    if (problem := secret_in(planned.loaded.files)) is not None:
        raise UsageError(problem)
    executor = registry.executor(planned.plan.executor)
    if isinstance(executor, RemoteExecutor):
        for _ in executor.preflight(planned.loaded.card, folder.name):
            pass  # the facts belong to the plan; here only the exceptions count
        return folder
    registry.check_installed(planned.loaded.card.workload)
    registry.check_trackers(planned.loaded.card.infra.tracking.wanted)
    spec, root = planned.loaded.spec, planned.workspace.root
    if isinstance(spec, KnowsObstacles) and (why := spec.obstacle(planned.loaded.card, root)) is not None:
        raise UsageError(f"{planned.loaded.path}: {why}")
    for data in planned.plan.data:
        if data.found is None:
            raise EnvironmentFailed(str(data.problem))
    return folder


def launch(path: Path, options: LaunchOptions, *, progress: Progress) -> RunEnd:
    """Launch a card and wait for the run to end, or, with `detach`, until it trains.

    Raises:
        GateClosed: a check of the checklist failed; the run was not created.
        CardrunnerError: the launch was refused; see `prepare` and `admit`.
    """
    planned = prepare(path, options)
    folder = admit(planned, options)
    checks = _checks(planned, progress)
    if planned.gate.floors:
        progress.note(f"judged by {listed(planned.gate.floors)}")
    if not platform_of(planned.loaded.card.infra).free:
        progress.note(f"at the worst: {' '.join(worst_case(planned.plan))}")
    _create(planned, folder, checks)
    detach, discarded = options.detach or _goes_on_alone(planned.loaded.card), False
    try:
        return run_attempt(folder, detach=detach, progress=progress)
    except BaseException:
        discarded = discard_unstarted(folder)
        raise
    finally:
        give_back(folder, planned.workspace, discarded=discarded)


def _create(planned: Planned, folder: RunFolder, checks: ChecksRecord) -> None:
    """Record the admission and make the run folder; of many launches of a name, one does both."""
    recorded = False

    def record(staging: RunFolder) -> None:
        nonlocal recorded
        record_admission(
            staging, planned.workspace, planned.loaded, planned.gate, name=folder.name, runs=folder.root.parent
        )
        recorded = True

    with admitting(planned.workspace, folder.name):
        _refuse_taken(planned, folder)
        try:
            create_run(
                folder,
                launch=_launch_record(planned),
                card=planned.loaded.data,
                effective=planned.plan.configuration,
                approvals=planned.gate.approvals,
                plan=planned.plan.model_dump(mode="json"),
                checks=checks,
                trust=planned.gate.trust_files,
                sources=[(base.file, base.data) for base in planned.loaded.bases],
                keep_code=partial(keep_code, planned),
                admit=record,
            )
        except BaseException:
            if recorded:
                withdraw(folder, planned.workspace)
            raise


def _check_runs(workspace: Workspace, runs: Path) -> None:
    """Refuse a folder of runs in another workspace, whose rules would judge the run from then on."""
    around = Workspace.marked_around(runs)
    if around is not None and around.records != workspace.records:
        raise UsageError(
            f"--runs: {runs} is in the workspace {around.root}, and the card in {workspace.root}, whose rules judge "
            "its run; name a folder of that workspace, or one outside every workspace"
        )


def _refuse_taken(planned: Planned, folder: RunFolder) -> None:
    """Refuse a name that has a folder, or whose approval is spent.

    Raises:
        NameTaken: it is taken.
        IntegrityError: the record of admissions cannot be read.
    """
    own, card = RunFolder.of(planned.workspace.runs, folder.name), planned.loaded.card
    for taken in (folder, *(() if card.repeat else (own,))):
        if os.path.lexists(taken.root):
            raise NameTaken(_why_taken(taken, card))
    refuse_spent(planned.workspace, folder.name)


def resume(folder: RunFolder, *, acknowledge: str | None, progress: Progress, detach: bool = False) -> RunEnd:
    """Resume a run that ended early, from its newest valid checkpoint.

    Args:
        folder: the run.
        acknowledge: the reason why a run that was paused for investigation, or stopped by a kill threshold, may go on.
        progress: where to show it.
        detach: return after the start proof.

    Raises:
        NameTaken: the run lives, or is completed.
        RunPaused: it was paused and waits for an acknowledgement.
        RunStopped: a kill threshold stopped it and has not been acknowledged, or its budget is spent.
        GateClosed: the gate of today is closed for it, or it was never admitted; or the clock is behind.
        IntegrityError: it is not the run that was admitted, or what it would go on from is damaged.
    """
    refresh(folder)
    status = derive_status(folder)
    if status.live or status.state == "completed":
        raise NameTaken(f"run {folder.name} is {status.state}; there is nothing to resume")
    if not acknowledge and status.state == "investigate":
        raise RunPaused(f"run {folder.name} is {status.reason}")
    if not acknowledge and stopped_by_rule(Ledger(folder.ledger).events()):
        command = f'`cardrunner resume {folder.name} --acknowledge "why it may go on"`'
        raise RunStopped(f"run {folder.name} was {status.reason}; {command} goes on all the same")
    if detach:
        name = read_record(folder.launch, LaunchRecord).executor
        _check_detachable(name, registry.offered_executor(name).platform)
    if findings := tuple(behind(now(), last_event(folder))):
        raise GateClosed(findings)
    folder = judged_from_here(folder)
    check_launched(folder)
    if (card := card_of_today(folder)) is not None and card.digest != load_frozen(
        folder, registry.workload_spec
    ).digest:
        name = read_record(folder.launch, LaunchRecord).card_file
        progress.note(f"{name} was edited since the launch; the run goes on with the card that was launched")
    _refuse_damaged(folder, progress)
    _refuse_spent(folder, status)
    with explained(folder.root, "write in"):
        folder.stop_request.unlink(missing_ok=True)
    if acknowledge:
        Ledger(folder.ledger).append(Acknowledged(text=acknowledge))
    detach = detach or _goes_on_alone(load_frozen(folder, registry.workload_spec).card)
    return run_attempt(folder, detach=detach, progress=progress)


def _late_clock(card: Path, runs: Path) -> Iterator[Finding]:
    """A finding when this machine's clock is behind what other runs have recorded.

    What they recorded counts only where the card's file was saved later than now too: one run with a wrong time in its
    ledger must not close the gate for every card. The card's own times are judged in any case.
    """
    with explained(card, "read"):
        saved = timestamp(datetime.datetime.fromtimestamp(card.stat().st_mtime, datetime.UTC))
    if any(behind(now(), [(f"the file {card}", saved)])):
        yield from behind(now(), latest_events(runs))


def _refuse_spent(folder: RunFolder, status: Status) -> None:
    """Refuse a run whose budget is spent: another attempt would pay for loading the data, train one step and stop."""
    if (budget := spent_budget(folder, status.cost_usd)) is not None:
        raise RunStopped(
            f"run {folder.name} has spent {format_dollars(status.cost_usd or 0.0)} of its budget of "
            f"{format_dollars(budget)} (timing.budget); what it made is in {folder.root}; "
            "to train on, sign a card with a larger budget"
        )


def _refuse_damaged(folder: RunFolder, progress: Progress) -> None:
    """Refuse a run whose rows or weights could come out otherwise than without the damage; name any other damage."""
    damage = run_damage(folder)
    needed = needed_to_resume(folder, damage)
    if needed:
        found = "\n  ".join(in_lines(needed))
        raise IntegrityError(
            f"run {folder.name} cannot be resumed, because what it would go on from is damaged; "
            f"put these files back from a copy of the run folder:\n  {found}"
        )
    for line in in_lines(damage):
        progress.note(f"warning: {line}")


def _goes_on_alone(card: Card) -> bool:
    """Whether the card asks the launch to return once the run trains."""
    return platform_of(card.infra).detaches(card.infra)


def _checks(planned: Planned, progress: Progress) -> ChecksRecord:
    """Run the checks of the checklist. The gate is open, so their commands have been approved.

    Raises:
        GateClosed: some failed; it carries a line for each.
    """
    results = tuple(prove_all(planned.loaded, planned.workspace, progress=progress))
    failed = [
        f"{place}: its check failed at the launch: {result.ending}; run: "
        f"{shlex.join(['cardrunner', 'check', str(planned.loaded.path), place.address])}"
        for place, result in results
        if not result.ok
    ]
    if failed:
        raise GateClosed(failed)
    return ChecksRecord(rows=tuple(as_row(place, result) for place, result in results))


def _launch_record(planned: Planned) -> LaunchRecord:
    plan, loaded, root = planned.plan, planned.loaded, planned.workspace.root
    path = loaded.path.absolute()
    return LaunchRecord(
        run=plan.run,
        workload=plan.workload,
        workspace=str(root),
        executor=plan.executor,
        card_file=str(path.relative_to(root)) if path.is_relative_to(root) else str(path),
        card_digest=loaded.digest,
        signed_by=planned.gate.signed_by,
        repeat_of=loaded.card.name if plan.run != loaded.card.name else None,
        created=utc_now(),
        code=None if plan.resources.volume is None else _launched_code(root),
        floors=planned.gate.floors,
        recorded=True,
    )


def _launched_code(workspace: Path) -> LaunchedCode:
    here = collect_environment(workspace)
    return LaunchedCode(git_commit=here.git_commit, git_dirty=here.git_dirty, code_sha256=here.code_sha256)


def _why_taken(folder: RunFolder, card: Card) -> str:
    if not folder.ledger.is_file():
        return f"{folder.root} exists and is not a run; move it away"
    refresh(folder)
    status = derive_status(folder)
    if status.live:
        return f"run {folder.name} is {status.state}; watch it with `cardrunner attach {folder.name}`"
    if status.state != "completed":
        reason = f" ({status.reason})" if status.reason else ""
        on = f"go on with `{status.next}`" if status.next else "its budget is spent, so that it cannot go on"
        return f"run {folder.name} ended before its plan did: {status.state}{reason}; {on}"
    again = (
        "launch it again under another --run-name"
        if card.repeat
        else "an approval is for one run: give the card a new name and have it signed"
    )
    return f"run {folder.name} is completed; {again}"
