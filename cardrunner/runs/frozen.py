"""The launched card, read back from the run folder and checked against its digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardrunner.card.load import LoadedCard, SpecResolver, absent_rules, load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.errors import CardError, EnvironmentFailed, IntegrityError, UsageError
from cardrunner.runs.events import Restarted, RuleFired
from cardrunner.runs.files import read_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, RemoteRun, find_record, read_record
from cardrunner.workspace import Workspace

MOST_RESTARTS = 3
"""How often one kill threshold may restart a run."""


def load_frozen(folder: RunFolder, resolve: SpecResolver, *, digest: str | None = None) -> LoadedCard:
    """Read the frozen card; its messages name the file it was launched from.

    Args:
        digest: the one that the gate was opened for, which proves that the card is the same; default: the one that
            the launch recorded.

    Raises:
        IntegrityError: it is missing, no longer valid, or not the card that was launched.
        EnvironmentFailed: one of its kill rules came from a package that is not installed.
    """
    launch = read_record(folder.launch, LaunchRecord)
    try:
        loaded = read_admitted(folder, resolve, file=launch.card_file)
    except (OSError, CardError) as error:
        raise IntegrityError(f"{folder.card_yaml} is not the card that was launched: {error}") from None
    launched = digest or launch.card_digest
    if loaded.digest != launched:
        raise IntegrityError(
            f"{folder.card_yaml} was changed after the launch: its digest is {loaded.digest}, "
            f"launched was {launched}; put the launched card back"
        )
    return loaded


def read_admitted(folder: RunFolder, resolve: SpecResolver, *, file: str) -> LoadedCard:
    """Read the frozen card as one that was admitted: errors of checks are among its warnings.

    Args:
        file: the name that faults carry.

    Raises:
        OSError: it cannot be read.
        CardError: it is no card of its workload any more.
        EnvironmentFailed: one of its kill rules came from a package that is not installed.
    """
    data, sources = read_regular(folder.card_yaml), read_sources(folder)
    try:
        return load_card_bytes(data, file=file, resolve=resolve, sources=sources, admitted=True)
    except CardError:
        if absent := absent_rules(data, sources):
            keys = " or ".join(absent)
            raise EnvironmentFailed(
                f"{folder.card_yaml}: kill_thresholds: no kill rule of cardrunner has the key {keys}, and no installed "
                "package provides it; install the one that the run was launched with"
            ) from None
        raise


def launched_workspace(folder: RunFolder) -> Workspace:
    """The workspace that a run's paths are relative to on this machine; it judges nothing.

    It is the one that the launch recorded. A run in another workspace was moved there together with its own.

    Raises:
        IntegrityError: ``launch.json`` is missing or broken.
    """
    remote = find_record(folder.remote_run, RemoteRun)
    recorded = Path((remote and remote.workspace) or read_record(folder.launch, LaunchRecord).workspace)
    around = Workspace.marked_around(folder.root.parent)
    if around is None or recorded.is_relative_to(around.root) or around.root.is_relative_to(recorded):
        return Workspace(recorded)
    return around


def read_sources(folder: RunFolder) -> tuple[bytes, ...]:
    """The cards that the frozen one extends, nearest first, as they were read at the launch.

    Raises:
        OSError: one cannot be read.
    """
    paths = sorted(folder.sources.iterdir()) if folder.sources.is_dir() else []
    return tuple(map(read_regular, paths))


def restart_changes(ledger: Ledger, card: Card) -> list[Mapping[str, Any]]:
    """What the card's restart rules have set so far, oldest first.

    Raises:
        IntegrityError: the ledger has a restart that the card, and so its reviewers, did not agree to, or one without
            the verdict that asks for it.
    """
    agreed = [json.loads(json.dumps(rule.set)) if rule.action == "restart" else None for rule in card.kill_thresholds]
    changes, wanted = list[Mapping[str, Any]](), list[Any]()
    for event in ledger.events(RuleFired, Restarted):
        if isinstance(event, RuleFired):
            wanted += agreed[event.rule : event.rule + 1] if event.action == "restart" else []
            continue
        assert isinstance(event, Restarted)
        if event.set is None or event.set not in agreed:
            raise _false_restart(ledger, event, "which no kill threshold of the card asks for")
        if event.set not in wanted:
            raise _false_restart(ledger, event, "before which no kill threshold asked for it")
        changes.append(event.set)
    return changes


def _false_restart(ledger: Ledger, event: Restarted, why: str) -> IntegrityError:
    what = f"has a restart with {json.dumps(event.set)[:200]}, {why}"
    return IntegrityError(f"{ledger.path}: {what}; put the run's own ledger back")


def with_changes(loaded: LoadedCard, changes: Iterable[Mapping[str, Any]]) -> Card:
    """The card with pre-registered values in place, validated as a whole.

    Args:
        loaded: the card as it was launched.
        changes: card fields by path (``training.batch_size``) and their values, as a card writes them.

    Raises:
        UsageError: the card's schema forbids a value.
    """
    changes = tuple(changes)
    try:
        return loaded.changed(*changes)
    except UsageError as error:
        paths = ", ".join(path for change in changes for path in change)
        raise UsageError(f"kill_thresholds: set: {paths}: {error}; the restart it asks for is not possible") from None
