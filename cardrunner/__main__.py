"""``python -m cardrunner``."""

from cardrunner.main import entry

entry()
