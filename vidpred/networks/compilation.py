"""Networks compiled with ``torch.compile``, and as they are where that fails."""

import warnings
from collections.abc import Callable
from typing import Any

import torch

from vidpred.networks.step import Model

_PARTS = ("encode_poses", "encode_frames", "posterior", "prior", "decode")


def compile_networks(model: Model, *, backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile what a step calls; a part that cannot be compiled warns once, and runs as it is.

    Compilation happens at the first call of each part, and again for other shapes.

    Args:
        model: the networks; their methods are replaced on this object.
        backend: of ``torch.compile``.
    """
    for name in _PARTS:
        setattr(model, name, _compiled(getattr(model, name), name, backend))


def _compiled(plain: Callable[..., Any], name: str, backend: str | Callable[..., Any]) -> Callable[..., Any]:
    current = torch.compile(plain, backend=backend)

    def call(*arguments: Any) -> Any:
        nonlocal current
        try:
            return current(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            if current is plain:
                raise
            reason = " ".join(str(error).split("\n")[:2])
            warnings.warn(f"torch.compile of {name} failed, which goes on without it: {reason}", stacklevel=2)
            current = plain
            return plain(*arguments)

    return call
