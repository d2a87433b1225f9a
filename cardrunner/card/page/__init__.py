"""What the review page shows, row by row: the facts behind the template.

Numbers are shown as the card writes them, so that the page reads like the card.
"""

from __future__ import annotations

import shlex
from functools import partial

from cardrunner.card.load import LoadedCard
from cardrunner.card.page import fields, sign_off, tables
from cardrunner.card.page.sign_off import CheckBox
from cardrunner.card.page.tables import PageTable
from cardrunner.card.schema.sign_off import Check, check_text

__all__ = ["CheckBox", "Page", "PageTable"]


class Page:
    """The rows of a card's page, as the template asks for them."""

    def __init__(self, loaded: LoadedCard) -> None:
        created = loaded.card.created
        self.created = f"{created:%b} {created.day}, {created.year}"
        self.digest = loaded.digest
        self.file = shlex.quote(" ".join(str(loaded.path).split()))
        self.status = sign_off.status(loaded)
        self.boxes = partial(sign_off.boxes, loaded)
        self.demands = partial(sign_off.demands, loaded.card)
        self.data = partial(fields.data, loaded)
        self.model = partial(fields.model, loaded)
        self.training = partial(fields.training, loaded)
        self.demo = partial(fields.demo, loaded)
        self.infrastructure = partial(fields.infrastructure, loaded)
        self.budget = partial(fields.budget, loaded)
        self.timeout = partial(tables.timeout, loaded)
        self.timing = partial(tables.timing, loaded)
        self.baselines = partial(tables.baselines, loaded)
        self.targets = partial(tables.targets, loaded)
        self.kill_thresholds = partial(tables.kill_thresholds, loaded)

    @staticmethod
    def check(check: Check) -> str:
        """A check in words."""
        return check_text(check)
