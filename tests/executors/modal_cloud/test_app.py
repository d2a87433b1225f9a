"""Image, app and functions, from the card alone; nothing is sent anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import image
from cardrunner.executors.modal_cloud.app import built, check_recorded, gpu_of, memory_of
from cardrunner.executors.modal_cloud.image import Contents, Requirement, declared
from cardrunner.executors.modal_cloud.spec import ModalInfra, infra_of

FAR = {
    "platform": "modal", "gpu": "T4", "timeout": "12h", "retries": 3, "cpu": 4, "memory": "16 GB",
    "volume": "training-data", "packages": ["einops==0.8.0"], "system_packages": ["ffmpeg"],
}  # fmt: skip


@pytest.fixture
def far_card(toy_card_text: Callable[..., str]) -> Callable[..., Card]:
    """A toy card for Modal: ``far_card({"infra.gpus": 8})``."""

    def make(changes: dict[str, Any] | None = None) -> Card:
        text = toy_card_text({"infra": dict(FAR), **(changes or {})})
        return load_card_bytes(text.encode(), file="far.yaml", resolve=registry.workload_spec).card

    return make


def test_the_image_has_the_versions_of_this_machine_and_the_cards_own_packages(far_card: Callable[..., Card]) -> None:
    lines = Contents(infra_of(far_card())).requirements
    assert lines[-1] == "einops==0.8.0"
    assert f"torch=={version('torch').partition('+')[0]}" in lines
    assert f"pydantic=={version('pydantic')}" in lines
    names = [re.split("[=<>]", line)[0] for line in lines]
    assert {"pytest", "modal", "wandb", "cardrunner"}.isdisjoint(names)
    assert "wandb" in " ".join(
        Contents(infra_of(far_card({"infra.tracking": {"wandb": {"project": "p"}}}))).requirements
    )


def test_a_machine_without_torch_asks_for_a_pinned_one() -> None:
    assert Requirement("torch", ">=2.10", "train").pinned.startswith("torch==")
    assert Requirement("nobody-has-this", ">=2,<3", None).pinned == "nobody-has-this>=2,<3"
    assert re.fullmatch(r"[0-9.]+", image.PINS["torch"])


def test_everything_that_is_declared_is_understood() -> None:
    found = {(each.name, each.extra): each.range for each in declared()}
    assert found["pydantic", None]
    assert found["torch", "train"]
    assert found["pytest", "test"]


def test_functions_ask_for_what_the_card_says(far_card: Callable[..., Card]) -> None:
    card = far_card({"infra.gpu": "H100", "infra.gpus": 8})
    with built(Contents(infra_of(card)), "a-run", "0" * 32) as made:
        assert made.app.name == "cardrunner-a-run"
    assert gpu_of(infra_of(card)) == "H100:8"
    assert gpu_of(infra_of(far_card())) == "T4"
    assert memory_of(infra_of(card)) == 15259


@pytest.mark.parametrize(
    ("recorded", "sentence"),
    [
        ({"gpus": [("A100", 1)]}, r"gpus \[\('A100', 1\)\] for the training function, the card says \[\('T4', 1\)\]"),
        ({"timeout": 3600}, "timeout 3600 for the training function, the card says 43200"),
        ({"max_retries": None}, "max_retries None for the training function, the card says 3"),
        ({"memory_mib": 1024}, "memory_mib 1024 for the training function, the card says 15259"),
    ],
)
def test_what_the_server_recorded_otherwise_is_refused(
    far_card: Callable[..., Card], recorded: dict[str, Any], sentence: str
) -> None:
    good = {"gpus": [("T4", 1)], "timeout": 43200, "max_retries": 3, "cpu": 4.0, "memory_mib": 15259}
    function = SimpleNamespace(info=lambda: SimpleNamespace(**good))
    check_recorded(function, far_card())
    function = SimpleNamespace(info=lambda: SimpleNamespace(**good | recorded))
    with pytest.raises(EnvironmentFailed, match=sentence):
        check_recorded(function, far_card())


def test_an_sdk_that_does_not_tell_what_was_recorded_is_believed(far_card: Callable[..., Card]) -> None:
    class Function:  # as of 1.5.4
        @property
        def info(self) -> object:
            raise AssertionError

    check_recorded(Function(), far_card())


def test_a_card_without_limits_takes_the_servers(far_card: Callable[..., Card]) -> None:
    card = far_card({"infra": {key: FAR[key] for key in ("platform", "gpu", "timeout", "volume")}})
    found = SimpleNamespace(gpus=[("T4", 1)], timeout=43200, max_retries=None, cpu=0.125, memory_mib=128)
    check_recorded(SimpleNamespace(info=lambda: found), card)


def test_only_a_card_for_modal_is_taken(toy_card: Callable[..., Any]) -> None:
    with pytest.raises(EnvironmentFailed, match="is for the platform local, not for Modal"):
        infra_of(toy_card().card)
    assert ModalInfra.model_fields["detach"].default is True
