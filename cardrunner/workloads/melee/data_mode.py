"""How a card's games will be read, as far as it can be told before they are open. Torch-free."""

from __future__ import annotations

from cardrunner.card.schema.card import Card
from cardrunner.workloads.melee.spec_arithmetic import data_bytes
from cardrunner.workloads.melee.spec_sections import GamesData


def foreseen_mode(card: Card, data: GamesData) -> str | None:
    """The words for the plan; None where neither card nor machine says how large things are."""
    from cardrunner.training.shuffle import choose_shuffle, describe_shuffle, machine_memory  # only plans ask

    size, memory = data_bytes(data), card.infra.memory
    if memory is None and card.infra.platform == "local":
        memory = machine_memory()
    if data.shuffle == "auto" and (size is None or memory is None):
        return None
    shuffle = choose_shuffle(data.shuffle, data_bytes=size or 0, memory_bytes=memory or 0)
    return describe_shuffle(shuffle, block_bytes=data.shuffle_block)
