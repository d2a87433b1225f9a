"""What a card says: one frozen pydantic model per section. See `Card` for the whole.

These modules go without `from __future__ import annotations`: pydantic would evaluate the text of every annotation at
every start, which is a twentieth of `cardrunner validate`.
"""
