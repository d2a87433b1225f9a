"""Turns errors of Modal's SDK into one sentence with the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modal import exception

from cardrunner.errors import CardrunnerError, EnvironmentFailed, IntegrityError, NameTaken, UsageError

TOKEN = "run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"
_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (exception.AuthError, TOKEN),
    (exception.PermissionDeniedError, "the token is not allowed to do that; ask a manager of the Modal workspace"),
    (exception.ResourceExhaustedError, "a limit of the Modal workspace is reached; look at its usage and limits page"),
    (exception.OutputExpiredError, "Modal has forgotten the result; the volume still has the run"),
    (exception.FunctionTimeoutError, "raise infra.timeout, or resume the run"),
    (exception.VolumeUploadTimeoutError, "try again; what was uploaded so far is kept"),
    (exception.VersionError, "pip install --upgrade 'cardrunner[modal]'"),
    (exception.NotFoundError, "look at the name, and at the environment that MODAL_ENVIRONMENT names"),
    (exception.InvalidError, "correct it in the card"),
    (exception.RemoteError, "look at its log on Modal's page, or launch from a terminal to see the image being built"),
    (exception.ConnectionError, "look at the network and at status.modal.com, then try again"),
    (exception.Error, "look at status.modal.com, then try again"),
    (ConnectionError, "look at the network and at status.modal.com, then try again"),
)
REFUSALS = (
    exception.AuthError,
    exception.PermissionDeniedError,
    exception.ResourceExhaustedError,
    exception.InvalidError,
    exception.NotFoundError,
)
"""Errors that mean that nothing was started. After any other error, a call may have been started."""


_KINDS: dict[int, type[CardrunnerError]] = {
    kind.exit_code: kind for kind in (UsageError, IntegrityError, NameTaken, EnvironmentFailed)
}


def check_answer(answer: Mapping[str, Any], where: str) -> None:
    """Raise the error that a function reports from its container.

    Args:
        answer: what it returned: ``exit_code``, absent or 0 for success, and ``reason``.
        where: added to the reason.

    Raises:
        CardrunnerError: of the class with that exit code.
    """
    if code := answer.get("exit_code"):
        raise _KINDS.get(code, EnvironmentFailed)(f"{answer['reason']} ({where})")


@contextmanager
def advised(doing: str) -> Iterator[None]:
    """Turn an error of the SDK into one sentence with the next step.

    Args:
        doing: what was tried, as it follows "cannot".

    Raises:
        EnvironmentFailed: the SDK raised something.
    """
    try:
        yield
    except CardrunnerError:
        raise
    except (exception.Error, ConnectionError, TimeoutError) as error:
        raise EnvironmentFailed(sentence(doing, error)) from error


def sentence(doing: str, error: BaseException) -> str:
    """``cannot reach Modal: Token missing...; run `modal token new`...``."""
    advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "try again")
    return f"cannot {doing}: {words(error)}; {advice}"


def words(error: BaseException) -> str:
    """The first line of an error's message, or its class name if the message is empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
