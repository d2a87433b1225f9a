"""A recurrent policy: the last K frames one after the other, and the controller read off the last state.

Shapes:
    B  examples    K  context frames    F  numbers per frame    H  hidden_dim
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.models import PolicyArchitecture
from cardrunner.workloads.melee.policy.sections import PolicyModel

if TYPE_CHECKING:
    from torch import nn


class GRUArchitecture(PolicyArchitecture):
    """One layer of `torch.nn.GRU` and a linear layer."""

    name: str = "PolicyGRU"
    about: str = "PolicyGRU (recurrent)"
    sizes: ClassVar[tuple[str, ...]] = ("hidden_dim",)

    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        """Embeddings, three gates with two biases each, 13 outputs."""
        width, hidden = encoding.frame_width, model.hidden_dim
        return encoding.embedding_parameters + 3 * hidden * (width + hidden + 2) + (hidden + 1) * 13

    def build(self, model: PolicyModel, encoding: EncodingConfig) -> nn.Module:
        """F numbers of each frame to H, H to 13."""
        from acme_gru_module import PolicyGRU  # type: ignore[import-not-found]

        module: nn.Module = PolicyGRU(model.hidden_dim, encoding)
        return module


class Miscounted(GRUArchitecture):
    """Forgets a parameter."""

    name = "Miscounted"

    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        return super().parameters(model, encoding) - 1


class Unbuilt(PolicyArchitecture):
    """Counts what it cannot build."""

    name = "Unbuilt"
    about = "Unbuilt"

    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        return 1
