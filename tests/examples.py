"""How many examples a property is tried with."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

_ALL = os.environ.get("CARDRUNNER_EXAMPLES") == "all"
_SHARE, _FEWEST = 5, 10


def examples(count: int, *, deadline: float | None = None, **more: Any) -> settings:
    """Settings for `count` examples in ``nox -s long``, and for a fifth of them, but at least ten, everywhere else.

    Args:
        count: of all examples.
        deadline: for one of them, in milliseconds.
        more: further settings.
    """
    tried = count if _ALL else min(count, max(_FEWEST, count // _SHARE))
    return settings(max_examples=tried, deadline=deadline, **more)
