"""Muon, which makes the update of every weight matrix orthogonal, with AdamW for all other weights."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW, Optimizer

SMALLEST = 24  # rank that a matrix can have, from which on Muon is worth its work
_ITERATION = (3.4445, -4.7750, 2.0315)  # coefficients of Jordan et al. 2024, steep at 0
_ITERATIONS = (2, 3)  # X Xᵀ is computed anew in between


class MuonAdamW(Optimizer):
    """Muon for matrices and convolutions, ``torch.optim.AdamW`` for small matrices, biases and scalars.

    A convolution's weight (O, I, k, k) counts as a matrix (O, I·k·k). For a matrix W with gradient G:

        M ← μ M + (1 − μ) G,  W ← (1 − lr · weight_decay) W − lr · 0.2 √max(rows, columns) · U Vᵀ,

    with U Σ Vᵀ the singular value decomposition of (1 − μ) G + μ M, by ``orthogonalize`` (Jordan et al. 2024, "Muon: an
    optimizer for hidden layers in neural networks"). The factor 0.2 √max gives an update the size of AdamW's, so that
    both take the same learning rate (Liu et al. 2025, arXiv 2502.16982).

    ``torch.optim.Muon`` computes the same in bfloat16, which is slow on processors without instructions for it; here it
    is float32, and matrices of as many rows are iterated together.

    Args:
        params: all weights.
        lr: learning rate of both.
        momentum: μ, of Muon, in [0, 1).
        betas: of AdamW.
        weight_decay: of both.
        fused: whether AdamW is.

    Raises:
        ValueError: for a momentum outside of [0, 1), or if AdamW refuses its options.
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
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {momentum}")
        weights = list(params)
        matrices = [weight for weight in weights if weight.ndim > 1 and min(_matrix(weight).shape) >= SMALLEST]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in weights if id(weight) not in chosen]
        self._adamw = AdamW(  # in any case, so that it judges the options
            others or weights, lr=lr, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=fused
        )
        groups: list[dict[str, Any]] = []
        if matrices:
            groups.append({"params": matrices, "lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        if others:
            groups.append({**self._adamw.param_groups[0], "params": others})
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all weights that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "momentum" in group:
                self._step_matrices(group)
                continue
            # what is learned and kept is ours, so that schedules, scalers and checkpoints find it here
            self._adamw.param_groups, self._adamw.state = [group], self.state
            self._adamw.step()
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        momentum, lr = group["momentum"], group["lr"]
        alike: dict[tuple[torch.Size, torch.device], list[tuple[Tensor, Tensor, Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is None:
                continue
            matrix, gradient = _matrix(weight), _matrix(weight.grad, like=weight)
            state = self.state[weight]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            alike[matrix.shape, matrix.device].append((matrix, gradient, state["momentum_buffer"]))
        found = [tuple(zip(*weights, strict=True)) for weights in alike.values()]
        for _, gradients, moving in found:
            torch._foreach_lerp_(moving, gradients, 1 - momentum)
        updates = orthogonalize([
            torch.stack(torch._foreach_lerp(gradients, moving, momentum)) for _, gradients, moving in found
        ])  # fmt: skip
        for (matrices, _, _), update in zip(found, updates, strict=True):
            torch._foreach_mul_(matrices, 1 - lr * group["weight_decay"])
            torch._foreach_add_(matrices, update.unbind(), alpha=-lr * 0.2 * math.sqrt(max(update.shape[1:])))


def orthogonalize(stacks: Sequence[Float[Tensor, "_ _ _"]]) -> list[Float[Tensor, "_ _ _"]]:
    """U Vᵀ of every matrix U Σ Vᵀ, about: singular values near the largest are brought to between 0.6 and 1.3.

    Five Newton-Schulz iterations X ← P X, P = a + b X Xᵀ + c (X Xᵀ)², from X / ‖X‖, whose coefficients rather raise
    small singular values fast than bring all to 1 (Jordan et al. 2024). Below about 1/1000 of the norm they stay small.
    The P are polynomials of one symmetric matrix and commute, so that X Xᵀ ← P X Xᵀ P: iterations take place among
    matrices of rows × rows, and X meets the product of their P ("Gram Newton-Schulz", Zhang et al. 2026,
    tridao.me/blog/2026/gram-newton-schulz). Where products are rounded, as in TF32, X Xᵀ can get eigenvalues below 0,
    which the iterations would enlarge without bounds: it is computed anew after two of them.

    Args:
        stacks: matrices (n, rows, columns), those of one shape together.

    Returns:
        The same for every stack. Stacks of as many rows (of columns, where these are fewer) are iterated together.
    """
    found = []
    alike: dict[tuple[int, torch.device], list[int]] = defaultdict(list)
    for place, stack in enumerate(stacks):
        wide = (stack.mT if stack.shape[1] > stack.shape[2] else stack).float()
        found.append(wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7))
        alike[wide.shape[1], wide.device].append(place)
    for places in alike.values():
        for iterations in _ITERATIONS:
            grams = torch.cat([torch.bmm(found[place], found[place].mT) for place in places])
            products = torch.split(_iterate(grams, iterations), [len(found[place]) for place in places])
            for place, product in zip(places, products, strict=True):
                found[place] = torch.bmm(product, found[place])
    return [
        (result if result.shape == stack.shape else result.mT).to(stack.dtype)
        for result, stack in zip(found, stacks, strict=True)
    ]


def _iterate(gram: Float[Tensor, "n rows rows"], iterations: int) -> Float[Tensor, "n rows rows"]:
    """The product of the P of so many iterations."""
    polynomial = product = _polynomial(gram)
    for _ in range(iterations - 1):
        gram = torch.bmm(torch.bmm(polynomial, gram), polynomial)
        polynomial = _polynomial(gram)
        product = torch.bmm(polynomial, product)
    return product


def _polynomial(gram: Float[Tensor, "n rows rows"]) -> Float[Tensor, "n rows rows"]:
    """P of X Xᵀ."""
    linear, cubic, quintic = _ITERATION
    found = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
    found.diagonal(dim1=1, dim2=2).add_(linear)
    return found


def _matrix(weight: Tensor, like: Tensor | None = None) -> Tensor:
    """A weight as a matrix: a view, so that what is done to it is done to the weight, whatever its memory format."""
    order = weight if like is None else like
    flat = weight.detach() if order.is_contiguous() else weight.detach().movedim(1, -1)
    return flat.flatten(1) if like is not None else flat.view(len(flat), -1)
