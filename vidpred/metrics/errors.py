"""Errors of every frame, over the whole frame or a part of it."""

from einops import reduce
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.metrics.psnr import check_shapes


def mean_squared_error(
    predicted: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B T C H W"],
    mask: Bool[Tensor, "B T 1 H W"] | None = None,
) -> Float[Tensor, "B T"]:
    """Squared error of every frame, averaged over channels and the pixels of the mask.

    Args:
        predicted: frames.
        target: frames.
        mask: pixels that count; None is all. A frame without any has no error: NaN.

    Raises:
        ValueError: if the shapes differ.
    """
    check_shapes(predicted, target)
    return average((predicted - target).square(), mask)


def mean_absolute_error(
    predicted: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B T C H W"],
    mask: Bool[Tensor, "B T 1 H W"] | None = None,
) -> Float[Tensor, "B T"]:
    """Absolute error of every frame, averaged over channels and the pixels of the mask.

    Raises:
        ValueError: if the shapes differ.
    """
    check_shapes(predicted, target)
    return average((predicted - target).abs(), mask)


def moving_pixels(
    target: Float[Tensor, "B T C H W"], context: Float[Tensor, "B C H W"], *, threshold: float = 0.05
) -> Bool[Tensor, "B T 1 H W"]:
    """Where the true frame is no longer the context frame: some channel differs by more than the threshold.

    What is still there can be copied, and most of a frame is; the others are where prediction is decided.

    Args:
        target: true frames in [0, 1].
        context: the last context frame.
        threshold: in units of the range; 0.05 is 13 grey levels.
    """
    return (target - context[:, None]).abs().amax(dim=2, keepdim=True) > threshold


def average(values: Float[Tensor, "B T C h w"], mask: Bool[Tensor, "B T 1 H W"] | None = None) -> Float[Tensor, "B T"]:
    """Mean of every frame over channels and the pixels of a mask.

    Args:
        values: of pixels; a map that is smaller than the mask lies in its middle, as one of windows inside the frame.
        mask: pixels that count; None is all. A frame without any has no mean: NaN.
    """
    if mask is None:
        return reduce(values, "b t c h w -> b t", "mean")
    top, left = ((mask.shape[axis] - values.shape[axis]) // 2 for axis in (-2, -1))
    weights = mask[..., top : top + values.shape[-2], left : left + values.shape[-1]].to(values.dtype)
    return reduce(values * weights, "b t c h w -> b t", "sum") / (
        reduce(weights, "b t c h w -> b t", "sum") * values.shape[2]
    )
