"""Muon, which makes the update of every weight matrix orthogonal, with AdamW for all other weights."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer

SMALLEST = 24  # rank that a matrix can have, from which on Muon is worth its work


class MuonAdamW(Optimizer):
    """``torch.optim.Muon`` for matrices and convolutions, ``torch.optim.AdamW`` for small matrices, biases and scalars.

    A convolution's weight (O, I, k, k) counts as a matrix (O, I·k·k). For a matrix W with gradient G:

        M ← μ M + (1 − μ) G,  W ← (1 − lr · weight_decay) W − lr · 0.2 √max(rows, columns) · U Vᵀ,

    with U Σ Vᵀ the singular value decomposition of (1 − μ) G + μ M, by Newton-Schulz iteration (Jordan et al. 2024,
    "Muon: an optimizer for hidden layers in neural networks"). The factor 0.2 √max gives an update the size of AdamW's,
    so that both take the same learning rate (Liu et al. 2025, arXiv 2502.16982).

    Args:
        params: all weights.
        lr: learning rate of both.
        momentum: μ, of Muon.
        betas: of AdamW.
        weight_decay: of both.
        fused: whether AdamW is.

    Raises:
        ValueError: if one of the two refuses its options.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float = 3e-3,
        momentum: float = 0.95,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.01,
        fused: bool | None = None,
    ) -> None:
        weights = list(params)
        matrices = [weight for weight in weights if weight.ndim > 1 and min(_matrix(weight).shape) >= SMALLEST]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in weights if id(weight) not in chosen]
        self._parts: list[Optimizer] = []
        if matrices:
            self._parts.append(Muon([_matrix(weight) for weight in matrices], lr=lr, momentum=momentum,
                                    weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))  # fmt: skip
        if others:
            self._parts.append(AdamW(others, lr=lr, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=fused))
        groups = [{**part.param_groups[0], "params": own}
                  for part, own in zip(self._parts, filter(None, (matrices, others)), strict=True)]  # fmt: skip
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all weights that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part, group in zip(self._parts, self.param_groups, strict=True):
            weights = [weight for weight in group["params"] if weight.grad is not None]
            updated = [_with_gradient(weight) for weight in weights] if isinstance(part, Muon) else weights
            # what is learned and kept is ours, so that schedules, scalers and checkpoints find it here
            part.param_groups = [{**group, "params": updated}]
            part.state = defaultdict(
                dict, {mine: self.state[weight] for mine, weight in zip(updated, weights, strict=True)}
            )
            part.step()
        return loss


def _with_gradient(weight: Tensor) -> Tensor:
    matrix = _matrix(weight)
    assert weight.grad is not None
    matrix.grad = _matrix(weight.grad, like=weight)
    return matrix


def _matrix(weight: Tensor, like: Tensor | None = None) -> Tensor:
    """A weight as a matrix: a view, so that what is done to it is done to the weight, whatever its memory format."""
    order = weight if like is None else like
    flat = weight.detach() if order.is_contiguous() else weight.detach().movedim(1, -1)
    return flat.flatten(1) if like is not None else flat.view(len(flat), -1)
