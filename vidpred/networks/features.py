"""Rows of features, whatever a model keeps in them: tensors, tuples of tensors, or None."""

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor


def map_features(function: Callable[..., Tensor], *features: Any) -> Any:
    """Apply a function to every tensor; of several structures of one kind, to those that correspond.

    Raises:
        TypeError: if something else than tensors, tuples and None is found.
    """
    first = features[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return function(*features)
    if isinstance(first, tuple):
        parts = [map_features(function, *part) for part in zip(*features, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    raise TypeError(f"features are tensors, tuples of them or None, got {type(first).__name__}")


def unbind_steps(features: Any) -> list[Any]:
    """Features of every time step: (B, T, …) to T times (B, …).

    All at once: the gradient of ``tensor[:, step]`` would fill a whole (B, T, …) with zeros for every step.
    """
    if isinstance(features, Tensor):
        return list(features.unbind(dim=1))
    parts = [unbind_steps(part) for part in features]
    made = type(features)
    return [made(*step) if hasattr(made, "_fields") else tuple(step) for step in zip(*parts, strict=True)]


def fold_steps(features: Any, steps: slice) -> Any:
    """Features of several time steps as rows: (B, T, …) to (B·S, …)."""
    return map_features(lambda tensor: rearrange(tensor[:, steps], "b s ... -> (b s) ..."), features)


def unfold_steps(features: Any, clips: int) -> Any:
    """Rows as time steps: (B·S, …) to (B, S, …), the inverse of ``fold_steps``."""
    return map_features(lambda tensor: rearrange(tensor, "(b s) ... -> b s ...", b=clips), features)


def delay_steps(features: Any, before: Any) -> Any:
    """Features (B, S, …) one step later: ``before`` (B, …), then all but the last."""
    return map_features(lambda later, first: torch.cat([first[:, None], later[:, :-1]], dim=1), features, before)


def repeat_rows(features: Any, times: int) -> Any:
    """Every row ``times`` times in a row: (B, …) to (B·S, …), in the order of ``fold_steps``."""
    return map_features(lambda tensor: torch.repeat_interleave(tensor, times, dim=0), features)
