"""wandb: the run as a Weights & Biases run; the only module that imports wandb.

Online with a key and a server that answers, offline otherwise: then the run is in ``wandb/`` of the run folder until it
is synced. wandb is given the effective card and the figures, and its collection of git, command line and environment is
switched off.
"""

from __future__ import annotations

import netrc
import os
import secrets
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import wandb

from cardrunner.contracts import Tracked, TrackedRun
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.history import HistoryRow
from cardrunner.tracking.run_view import values_of

_SERVER: Final = "https://api.wandb.ai"
_ANSWER_SECONDS: Final = 3.0
_INIT_SECONDS: Final = 15.0


@dataclass
class WandbTracker:
    """Tracks one attempt. The attempts of a run share one id."""

    _run: Any = None

    def open(self, facts: TrackedRun) -> Tracked:
        """Begin or resume the wandb run.

        Raises:
            EnvironmentFailed: wandb is switched off by WANDB_MODE or WANDB_DISABLED, or cannot even write files.
        """
        if os.environ.get("WANDB_MODE") == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true"):
            raise EnvironmentFailed("it is switched off by WANDB_MODE or WANDB_DISABLED of the environment")
        why = _why_offline()
        run_id = facts.previous.id if facts.previous else f"{facts.run}-{secrets.token_hex(4)}"
        if why is None:
            try:
                return self._begin(facts, run_id, why_offline=None)
            except wandb.Error as error:
                why = f"{type(error).__name__}: {error}"
                wandb.teardown()
        try:
            return self._begin(facts, run_id, why_offline=why)
        except (wandb.Error, OSError) as error:
            raise EnvironmentFailed(f"{type(error).__name__}: {error}") from None

    def log(self, row: HistoryRow) -> None:
        """Log a row at its step; rows of one step become one point."""
        self._run.log(values_of(row), step=row.step)

    def alert(self, title: str, text: str) -> None:
        """Send a wandb alert. An offline run sends it when it is synced."""
        self._run.alert(title, text, level="ERROR", wait_duration=0)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write the summary and finish the wandb run of this attempt."""
        self._run.summary.update(dict(summary))
        self._run.finish(exit_code=int(summary.get("exit_code") or 0))

    def _begin(self, facts: TrackedRun, run_id: str, *, why_offline: str | None) -> Tracked:
        self._run = wandb.init(
            entity=facts.settings.entity,
            project=facts.settings.project,
            tags=list(facts.settings.tags),
            name=facts.run,
            notes=str(facts.config.get("card", {}).get("goal", "")) or None,
            id=run_id,
            resume="allow",
            mode="offline" if why_offline else "online",
            dir=facts.folder,
            config=dict(facts.config),
            settings=_settings(),
        )
        files = shlex.quote(str(facts.folder / "wandb"))
        if why_offline is None:
            rescue = f"wandb sync --include-online {files}/run-*-{run_id}"
            return Tracked(run_id, str(self._run.url), "online", rescue=rescue)
        later = f"wandb sync {files}/offline-run-*-{run_id}"
        return Tracked(run_id, str(facts.folder / "wandb"), "offline", later, why_offline)


def _settings() -> wandb.Settings:
    return wandb.Settings(
        console="off",
        silent=True,
        quiet=True,
        show_info=False,
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        x_disable_meta=True,
        x_save_requirements=False,
        init_timeout=_INIT_SECONDS,
        login_timeout=_ANSWER_SECONDS,
        program="cardrunner",
    )


def _why_offline() -> str | None:
    """Why the run is offline; None if it can be online."""
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return "WANDB_MODE says offline"
    server = os.environ.get("WANDB_BASE_URL") or _SERVER
    if not (os.environ.get("WANDB_API_KEY") or _key_in_netrc(server)):
        return "there is no key: neither WANDB_API_KEY nor one in the netrc file"
    return None if _answers(server) else f"{server} does not answer"


def _key_in_netrc(server: str) -> bool:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc.netrc(path).authenticators(urllib.parse.urlsplit(server).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _answers(server: str) -> bool:
    """Whether a server answers there, with any status."""
    try:
        with urllib.request.urlopen(server, timeout=_ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
