"""Run folders as launches make them; see `tests.runs.conftest`."""

from __future__ import annotations

from tests.runs.conftest import make_run as make_run
