"""``torch.compile`` for the forward and backward pass of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cardrunner.errors import EnvironmentFailed


def compiled(module: nn.Module) -> Callable[..., Any]:
    """The module, compiled at its first call, which takes from seconds to minutes.

    Raises:
        EnvironmentFailed: when called, where torch cannot compile, such as without a C++ compiler.
    """
    from torch._dynamo.exc import TorchDynamoException  # a second of import, for whoever wants it

    function = torch.compile(module)

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except TorchDynamoException as error:
            reason = str(error).strip().split("\n")[0]
            raise EnvironmentFailed(
                f"training.compile: torch could not compile the step ({type(error).__name__}: {reason}); "
                "install a C++ compiler, or set training.compile: false"
            ) from error

    return call
