"""The launched card, read back from the run folder and checked against its digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardrunner.card.load import LoadedCard, SpecResolver, absent_rules, load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.errors import CardError, EnvironmentFailed, IntegrityError, UsageError
from cardrunner.runs.events import Restarted
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
    if folder.card_yaml.exists() and not folder.card_yaml.is_file():
        raise OSError("it is not a regular file")  # a pipe or a device might never end
    data, sources = folder.card_yaml.read_bytes(), read_sources(folder)
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
    return tuple(path.read_bytes() for path in paths)


def restart_changes(ledger: Ledger, card: Card) -> list[Mapping[str, Any]]:
    """What the card's restart rules have set so far, oldest first.

    Raises:
        IntegrityError: the ledger has a restart that the card, and so its reviewers, did not agree to.
    """
    agreed = [json.loads(json.dumps(rule.set)) for rule in card.kill_thresholds if rule.action == "restart"]
    changes = [event.set for event in ledger.events(Restarted)]
    for change in changes:
        if change not in agreed:
            raise IntegrityError(
                f"{ledger.path}: has a restart with {json.dumps(change)[:200]}, which no kill threshold "
                "of the card asks for; put the run's own ledger back"
            )
    return [change for change in changes if change is not None]


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
