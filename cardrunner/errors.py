"""Every exception that cardrunner raises on purpose, each with its exit code.

::

    CardrunnerError
    ├── UsageError            2    wrong arguments, an unknown run, a file that cannot be read
    │   └── CardError         2    a card with faults; carries all of them
    ├── GateClosed            3    open boxes; carries all of them
    ├── IntegrityError        4    data, weights, a checkpoint or a digest that is not what was promised
    ├── RunStopped            5    a kill threshold, the budget or `stop` ended the run
    │   └── TimedOut          5    the card's timeout did
    ├── NameTaken             6    the run name belongs to a live or an ended run
    ├── EnvironmentFailed     7    data file not found, disk, volume, network
    │   ├── MissingExtra      7    an optional package is not installed
    │   └── PluginFailed      7    what another package adds cannot be loaded, or fails
    ├── RunPaused             8    paused for investigation
    ├── Interrupted         130    Ctrl-C
    └── Terminated          143    SIGTERM

Anything else that escapes is a bug in cardrunner: exit code 1, with a log to send.
A sentence names the place, what is wrong and the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class CardrunnerError(Exception):
    """Base of every error a user can cause or has to know about."""

    exit_code: ClassVar[int] = 1


class UsageError(CardrunnerError):
    """The command, its arguments or a file given to it cannot be used."""

    exit_code = 2


class CardError(UsageError):
    """A card has faults.

    Args:
        faults: printable lines, one per fault, each ``file:line:column: path: message``.
    """

    def __init__(self, faults: Sequence[object]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class GateClosed(CardrunnerError):
    """The launch is blocked.

    Args:
        findings: printable lines, one per open box, each with the command that closes it.
    """

    exit_code = 3

    def __init__(self, findings: Sequence[object]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class IntegrityError(CardrunnerError):
    """Bytes are not what the card or a manifest says they are."""

    exit_code = 4


class RunStopped(CardrunnerError):
    """The run ended before its plan did, on purpose."""

    exit_code = 5


class TimedOut(RunStopped):
    """The run reached the timeout of its card."""


class NameTaken(CardrunnerError):
    """A run of this name exists."""

    exit_code = 6


class EnvironmentFailed(CardrunnerError):
    """Something around the run failed: a missing file, the disk, a volume, the network."""

    exit_code = 7


class MissingExtra(EnvironmentFailed):
    """An optional package is not installed.

    Args:
        package: the distribution that is missing, such as ``torch``.
        extra: the extra of cardrunner that brings it, such as ``train``.
        purpose: what it is needed for, as a verb phrase.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is not installed; to {purpose}: pip install 'cardrunner[{extra}]'")


class PluginFailed(EnvironmentFailed):
    """What another package adds cannot be loaded, lacks something, or fails; the sentence names the package."""


class RunPaused(CardrunnerError):
    """A kill threshold asks people to look before more money is spent."""

    exit_code = 8


class Interrupted(CardrunnerError):
    """Ctrl-C; what was saved stays valid."""

    exit_code = 130


class Terminated(CardrunnerError):
    """SIGTERM; what was saved stays valid."""

    exit_code = 143


class RestartWanted(CardrunnerError):
    """A rule of the card asks for a restart with other values; the pipeline answers it, users never see it.

    Args:
        reason: what happened.
        changes: card fields by path and their new values, as the card pre-registered them.
    """

    def __init__(self, reason: str, changes: Mapping[str, object]) -> None:
        self.changes = dict(changes)
        super().__init__(reason)
