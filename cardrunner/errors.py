"""Every exception that cardrunner raises on purpose, each with its exit code.

::

    CardrunnerError
    ├── UsageError            2    wrong arguments, an unknown run, a file that cannot be read
    │   └── CardError         2    a card with faults; carries all of them
    ├── GateClosed            3    open boxes; carries all of them
    ├── IntegrityError        4    data, weights, a checkpoint or a digest that differs from what was recorded
    ├── RunStopped            5    a kill threshold, the budget or `stop` ended the run
    │   └── TimedOut          5    the card's timeout did
    ├── NameTaken             6    the run name belongs to a live or an ended run
    ├── EnvironmentFailed     7    data file not found, disk, volume, network
    │   ├── MissingExtra      7    an optional package is not installed
    │   └── PluginFailed      7    a plug-in of another package cannot be loaded, or fails
    ├── RunPaused             8    paused for investigation
    ├── Interrupted         130    Ctrl-C
    └── Terminated          143    SIGTERM

Any other exception is a bug in cardrunner: exit code 1, with a log to send.
A message names the place, the fault and the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class CardrunnerError(Exception):
    """Base of the errors that a user can cause or has to know about."""

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
    """Bytes differ from what the card or a manifest says."""

    exit_code = 4


class RunStopped(CardrunnerError):
    """The run was ended early: by a kill threshold, its budget or a request."""

    exit_code = 5


class TimedOut(RunStopped):
    """The run reached the timeout of its card."""


class NameTaken(CardrunnerError):
    """The name of the run is taken by another run."""

    exit_code = 6


class EnvironmentFailed(CardrunnerError):
    """The environment failed: a missing file, the disk, a volume, the network."""

    exit_code = 7


class MissingExtra(EnvironmentFailed):
    """An optional package is not installed.

    Args:
        package: the distribution that is missing, such as ``torch``.
        extra: the extra of cardrunner that installs it, such as ``train``; None for other packages.
        purpose: what it is needed for, as a verb phrase.
    """

    def __init__(self, package: str, extra: str | None, purpose: str) -> None:
        source = f"'cardrunner[{extra}]'" if extra else package
        super().__init__(f"{package} is not installed; to {purpose}: pip install {source}")


class PluginFailed(EnvironmentFailed):
    """A plug-in cannot be loaded, lacks an attribute, or fails. The message names its package."""


class RunPaused(CardrunnerError):
    """A kill threshold paused the run, for people to investigate before more money is spent."""

    exit_code = 8


class Interrupted(CardrunnerError):
    """Ctrl-C ended the run. Saved checkpoints stay valid."""

    exit_code = 130


class Terminated(CardrunnerError):
    """SIGTERM ended the run. Saved checkpoints stay valid."""

    exit_code = 143


class RestartWanted(CardrunnerError):
    """A kill threshold restarts the training with other values. The pipeline handles it; users never see it.

    Args:
        reason: what happened.
        changes: card fields by path and their new values, as the card pre-registered them.
    """

    def __init__(self, reason: str, changes: Mapping[str, object]) -> None:
        self.changes = dict(changes)
        super().__init__(reason)
