"""The architectures of a policy: `MODELS` has a row for each, and other packages add theirs by entry point. Torch-free.

Modules that need torch are imported on use. Another package adds one in the group ``cardrunner.melee_policy_models``;
`cardrunner.workloads.melee.policy.contract` has the contract of architectures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from cardrunner.common.text import listed
from cardrunner.errors import IntegrityError, PluginFailed, UsageError
from cardrunner.plugins import Plugin, find_plugin, plugins
from cardrunner.workloads.melee.encoding.layout import ANALOG, BUTTONS, PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.arithmetic import linear
from cardrunner.workloads.melee.policy.sections import PolicyModel

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cardrunner.workloads.melee.arena.agents import Agent

KIND: Final = "melee policy model"
SIZES: Final = ("hidden_dim", "trunk_dim")
"""The fields of a card's `model` that an architecture may use."""
_PARTS: Final = {
    "name": "as cards write it",
    "about": "what it is, on the review page",
    "sizes": "the fields of a card's model that it takes",
    "model_type": "how its checkpoints name it",
    "parameters": "its trainable parameters, counted without torch",
    "formula": "what they follow from",
    "build": "the module",
    "config": "what a checkpoint says of it",
    "section": "the sizes of a checkpoint",
    "agent": "the module in play",
}


class PolicyArchitecture(ABC):
    """An architecture of a policy.

    Its module takes float_ctx float (B, K, 56) and int_ctx int (B, K, 17), the oldest frame and the predicted player's
    half first, and returns `cardrunner.workloads.melee.policy.mlp.Controls`.
    """

    name: str
    """The name in cards after `architecture:`."""
    about: str
    """A short description for the review page."""
    sizes: ClassVar[tuple[str, ...]] = SIZES
    """The fields of a card's `model` that it uses, besides `context_len` and `dropout`."""

    @property
    def model_type(self) -> str:
        """Its name in checkpoints."""
        return self.name

    @abstractmethod
    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        """Trainable parameters, embeddings included, counted without torch."""

    @abstractmethod
    def build(self, model: PolicyModel, encoding: EncodingConfig) -> nn.Module:
        """The module, with fresh weights from torch's global generator."""

    def formula(self, model: PolicyModel, encoding: EncodingConfig) -> str:
        """The sizes that determine the number of parameters, as text."""
        own = "".join(f", {name} {getattr(model, name)}" for name in self.sizes)
        return f"{self.name} with context_len {model.context_len} x {encoding.frame_width} inputs{own}"

    def config(self, model: PolicyModel) -> Mapping[str, Any]:
        """The `config` of a checkpoint: everything that `section` reads."""
        own = {name: getattr(model, name) for name in self.sizes}
        return {"context_len": model.context_len, "model_type": self.model_type, **own}

    def section(
        self,
        weights: Mapping[str, Tensor],  # noqa: ARG002
        config: Mapping[str, Any],
        encoding: EncodingConfig,  # noqa: ARG002
    ) -> PolicyModel:
        """The `model` section that describes a checkpoint.

        Args:
            weights: the weights of the checkpoint.
            config: the config of the checkpoint.
            encoding: the encoding of its frames.

        Raises:
            IntegrityError: a size is missing or not a positive whole number.
        """
        sizes: dict[str, Any] = {name: config.get(name) for name in ("context_len", *self.sizes)}
        for name, size in sizes.items():
            if type(size) is not int or size < 1:
                shown = "nothing" if size is None else repr(size)[:40]
                raise IntegrityError(f"its config says {shown} for {name}, expected a positive whole number")
        return PolicyModel.model_construct(architecture=self.name, **sizes)

    def agent(self, module: nn.Module, model: PolicyModel, player: PlayerIndex) -> Agent:
        """An agent that plays the trained module; by default it runs on all K frames in every frame."""
        from cardrunner.workloads.melee.policy.agent import WindowAgent

        return WindowAgent(module, model.context_len, player)


class _PolicyMLP(PolicyArchitecture):
    """Its checkpoints keep their original names; their sizes are derived from the weights."""

    name = "PolicyMLP"
    about = "PolicyMLP (imitation learning)"
    model_type = "policy_mlp"

    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        """1,153,781 with the usual sizes."""
        inputs, hidden, trunk = model.context_len * encoding.frame_width, model.hidden_dim, model.trunk_dim
        outputs = len(ANALOG) + len(BUTTONS)
        return encoding.embedding_parameters + linear(inputs, hidden) + linear(hidden, trunk) + linear(trunk, outputs)

    def build(self, model: PolicyModel, encoding: EncodingConfig) -> nn.Module:
        from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes

        sizes = PolicySizes(context_len=model.context_len, hidden_dim=model.hidden_dim, trunk_dim=model.trunk_dim)
        return PolicyMLP(sizes, dropout=model.dropout, encoding=encoding)

    def config(self, model: PolicyModel) -> Mapping[str, Any]:
        return {"context_len": model.context_len, "model_type": self.model_type}

    def section(
        self,
        weights: Mapping[str, Tensor],
        config: Mapping[str, Any],  # noqa: ARG002
        encoding: EncodingConfig,
    ) -> PolicyModel:
        from cardrunner.workloads.melee.policy.mlp import sizes_of

        sizes = sizes_of(weights, encoding)
        return PolicyModel.model_construct(
            architecture=self.name,
            context_len=sizes.context_len,
            hidden_dim=sizes.hidden_dim,
            trunk_dim=sizes.trunk_dim,
        )

    def agent(self, module: nn.Module, model: PolicyModel, player: PlayerIndex) -> Agent:  # noqa: ARG002
        from cardrunner.workloads.melee.policy.agent import PolicyAgent
        from cardrunner.workloads.melee.policy.mlp import PolicyMLP

        return PolicyAgent(cast("PolicyMLP", module), player)


MODELS: Final[Mapping[str, PolicyArchitecture]] = {model.name: model for model in (_PolicyMLP(),)}
USUAL: Final = MODELS["PolicyMLP"]
"""The architecture of checkpoints that do not name one."""


def model_names() -> tuple[str, ...]:
    """The names of all installed architectures."""
    return (*MODELS, *(plugin.name for plugin in plugins(KIND) if plugin.name not in MODELS))


def find_model(name: str) -> PolicyArchitecture | None:
    """The architecture of that name, or None.

    Raises:
        PluginFailed: it is a plug-in that cannot be used.
    """
    if name in MODELS:
        return MODELS[name]
    plugin = model_plugin(name)
    return None if plugin is None else _plugged(plugin)


def model_plugin(name: str) -> Plugin | None:
    """The plug-in that adds an architecture; None for those of cardrunner and for unknown ones."""
    return None if name in MODELS else find_plugin(KIND, name)


def model_named(name: str) -> PolicyArchitecture:
    """The architecture of a card.

    Raises:
        UsageError: the name is unknown.
        PluginFailed: as `find_model`.
    """
    found = find_model(name)
    if found is None:
        raise UsageError(f"unknown architecture {name!r}; install the package that has it")
    return found


def model_of_type(model_type: str) -> PolicyArchitecture | None:
    """The architecture with that name in checkpoints; raises as `find_model`."""
    return next((model for model in MODELS.values() if model.model_type == model_type), None) or find_model(model_type)


@cache
def _plugged(plugin: Plugin) -> PolicyArchitecture:
    found = cast("PolicyArchitecture", plugin.make(_PARTS))
    if foreign := [name for name in found.sizes if name not in SIZES]:
        raise PluginFailed(f"{plugin}: its sizes name {listed(foreign)}; a card's model has {listed(SIZES)}")
    return found
