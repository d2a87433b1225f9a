"""These tests need Modal's SDK; without it they are left out."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("modal") else ["test_*.py"]
