"""What nobody can know before the launch, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardrunner.card.schema.after_training import Demo
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import ModalInfra
from cardrunner.plan.records import PlannedData, Unchecked

_OFFLINE = "a plan opens no connection"


def unchecked(card: Card, data: Sequence[PlannedData], *, offline: str | None = _OFFLINE) -> Iterator[Unchecked]:
    """Everything that this plan takes on trust.

    Args:
        card: the card.
        data: its files, as far as they are here.
        offline: why the platform was not asked; None when it was.
    """
    if not (offline is None and isinstance(card.infra, ModalInfra)):
        yield from _data(card, data)
    if isinstance(card.infra, ModalInfra):
        yield from _on_modal(card.infra, offline)
    elif card.infra.gpu or card.training.device == "cuda":
        yield _because(f"whether {card.infra.gpu or 'a GPU'} is there and free", "a plan imports no torch")
    if card.infra.tracking.wandb:
        yield _because("whether Weights & Biases takes the run", _OFFLINE)
    if checks := sum(item.check is not None for item in card.checklist):
        what = f"what the {'check' if checks == 1 else f'{checks} checks'} of the checklist would say now"
        yield _because(what, "a plan executes nothing of the card")
    if card.code is not None:
        yield _because(f"whether the code is commit {card.code.commit}", "the machine that runs it is not asked")
    yield from _demo(card.after_training.demo)


def _data(card: Card, data: Sequence[PlannedData]) -> Iterator[Unchecked]:
    if card.data.is_synthetic:
        yield _because("the data", "it is generated when the run begins")
    elif isinstance(card.infra, ModalInfra):
        yield _because("the data files, also whether they exist", f"they are on the volume {card.infra.volume}")
    elif any(entry.found for entry in data):
        yield _because("the content of the data files", "the load stage opens them")


def _on_modal(infra: ModalInfra, offline: str | None) -> Iterator[Unchecked]:
    later = "the launch finds out, in a container without a GPU"
    if offline is not None:
        yield _because(f"whether the volume {infra.volume} exists and {infra.checkpoints} can be written", offline)
        yield _because("whether Modal still asks these prices", f"{offline}; the table that ships is dated")
        if infra.secrets:
            yield _because(f"whether the secrets {', '.join(infra.secrets)} exist", offline)
    else:
        yield _because(f"whether {infra.checkpoints} on the volume can be written, and what the data holds", later)
    yield _because(f"whether {infra.gpu} is free, and how long the run waits for it", "nobody can say before")
    if infra.packages or infra.system_packages:
        yield _because("whether the image can be built with the card's packages", "it is built at the launch")


def _demo(demo: Demo | None) -> Iterator[Unchecked]:
    if demo is not None and demo.world_model != Demo.model_fields["world_model"].default:
        yield _because(f"whether {demo.world_model} can be used", "the demo stage opens it")


def _because(what: str, why: str) -> Unchecked:
    return Unchecked(what=what, why=why)
