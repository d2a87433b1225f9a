"""Stands in for the pictures of a run where a test looks at other things: drawing takes most of a short run's time."""

from __future__ import annotations

import base64

SKETCH = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
"""A PNG of one white pixel. Curves and charts are painted on their canvas all the same."""
