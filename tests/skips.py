"""Under CI a run fails where a test was skipped for a reason that ``allowed_skips.txt`` does not list."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("allowed_skips.txt")
PREFIX = "Skipped: "


@dataclass(frozen=True)
class AllowedSkip:
    """A reason that is expected, unless an environment variable is set that gives the test what it needs."""

    reason: str
    unless: str | None = None

    def covers(self, reason: str, environment: Mapping[str, str]) -> bool:
        """Whether a skip for `reason` is expected in this environment."""
        return reason == self.reason and (self.unless is None or not environment.get(self.unless))


def parse_allowed(text: str) -> tuple[AllowedSkip, ...]:
    """The reasons that a list gives, one a line, without its comments."""
    lines = (line.strip() for line in text.splitlines())
    parts = (line.partition(" | unless ") for line in lines if line and not line.startswith("#"))
    return tuple(AllowedSkip(reason, unless or None) for reason, _, unless in parts)


def unexpected_skips(config: pytest.Config) -> Iterator[str]:
    """Each skip of the session that is not on the list: place and reason."""
    allowed = parse_allowed(LIST.read_text())
    for report in config.pluginmanager.getplugin("terminalreporter").stats.get("skipped", ()):
        reason = report.longrepr[2].removeprefix(PREFIX)
        if not any(skip.covers(reason, os.environ) for skip in allowed):
            yield f"{report.nodeid}: {reason}"


def decides(config: pytest.Config) -> bool:
    """Whether skips fail this run: under CI, and in the process that hears of the tests of all others."""
    return bool(os.environ.get("CI")) and not hasattr(config, "workerinput")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that passed but skipped too much."""
    if decides(session.config) and session.exitstatus == pytest.ExitCode.OK and any(unexpected_skips(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the skips that fail the run."""
    if decides(config) and (found := sorted(set(unexpected_skips(config)))):
        terminalreporter.section(f"{len(found)} skipped for a reason that {LIST.name} does not list", red=True)
        terminalreporter.write("".join(f"{line}\n" for line in found))
