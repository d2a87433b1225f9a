"""Whether a card may be tried: unsigned code runs only where it costs nothing and no floor forbids it."""

from __future__ import annotations

from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.findings import Finding
from cardrunner.gate.trust import read_floors
from cardrunner.workspace import Workspace


def check_trial(card: Card, workspace: Workspace, *, file: str) -> None:
    """Refuse a trial that costs money, or that a `cardrunner.yaml` upward forbids.

    Args:
        card: the card.
        workspace: where it is.
        file: what messages call the card.

    Raises:
        GateClosed: a floor says ``try: off``, or has faults.
        UsageError: the card has a price.
    """
    floors = read_floors(workspace.levels)
    if faults := [fault for floor in floors for fault in floor.faults]:
        raise GateClosed(faults)
    if off := [floor for floor in floors if floor.trials == "off"]:
        why = f"{off[0].path} says `try: off`: no unsigned code runs in this workspace; have the card signed"
        raise GateClosed((Finding("try", why),))
    if card.infra.price or not platform_of(card.infra).free:
        what = "infra.price" if card.infra.price else f"platform {card.infra.platform}"
        raise UsageError(
            f"{file}: {what} costs money, and a trial is not signed; try a card without a price on this machine"
            " (cardrunner new NAME --from CARD, platform: local)"
        )
