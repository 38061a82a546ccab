"""Structural similarity of every frame (Wang et al. 2004, doi 10.1109/TIP.2003.819861).

In float32 or better whatever autocast says: variances are small differences of large numbers.
"""

from typing import Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from vidpred.metrics.psnr import check_shapes

Window = Literal["gaussian", "uniform"]
MS_SSIM_SIZE = 176  # smallest side that five scales of an 11x11 window fit in
SSIM_SIZE: dict[Window, int] = {"gaussian": 11, "uniform": 7}  # pixels of the window
_UNIFORM = SSIM_SIZE["uniform"]
_AT_ONCE = 32  # frames of each clip: memory does not grow with its length


def ssim(
    predicted: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B T C H W"],
    *,
    data_range: float,
    window: Window = "gaussian",
) -> Float[Tensor, "B T"]:
    """SSIM of every frame: the mean of its map over channels and the pixels whose window lies inside the frame.

    Args and errors: those of :func:`ssim_map`.
    """
    check_shapes(predicted, target)
    pieces = zip(torch.split(predicted, _AT_ONCE, dim=1), torch.split(target, _AT_ONCE, dim=1), strict=True)
    maps = (ssim_map(*piece, data_range=data_range, window=window) for piece in pieces)
    return torch.cat([reduce(values, "b t c h w -> b t", "mean") for values in maps], dim=1)


def ssim_map(
    predicted: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B T C H W"],
    *,
    data_range: float,
    window: Window = "gaussian",
) -> Float[Tensor, "B T C h w"]:
    """SSIM at every pixel whose window lies inside the frame: (h, w) is the middle of (H, W).

    With means μ, variances σ² and covariance in a window, L = data_range,

        SSIM = (2 μ_x μ_y + (0.01 L)²) (2 σ_xy + (0.03 L)²) / ((μ_x² + μ_y² + (0.01 L)²) (σ_x² + σ_y² + (0.03 L)²)).

    Args:
        predicted: frames.
        target: frames.
        data_range: L, largest value of a pixel. Twice the true range makes 0.82 read 0.89.
        window: "gaussian" of 11×11 pixels, σ = 1.5, as in the paper; "uniform" of 7×7 with the sample covariance
            (divided by N − 1), scikit-image's default and so that of papers that used it.

    Raises:
        ValueError: if the shapes differ, ``data_range`` is not positive, or the frame is smaller than the window.
    """
    check_shapes(predicted, target)
    size = SSIM_SIZE[window]
    if data_range <= 0 or min(predicted.shape[-2:]) < size:
        raise ValueError(
            f"SSIM needs data_range > 0 and frames of {size}x{size} pixels, got {data_range} and "
            f"{predicted.shape[-2]}x{predicted.shape[-1]}"
        )
    clips = len(predicted)
    x, y = (rearrange(frames.float(), "b t c h w -> (b t) c h w") for frames in (predicted, target))
    if window == "uniform":
        values = _uniform_map(x, y, data_range=data_range)
    else:
        with torch.autocast(x.device.type, enabled=False):
            whole = structural_similarity_index_measure(
                x, y, data_range=data_range, sigma=1.5, reduction="none", return_full_image=True
            )
        assert isinstance(whole, tuple)
        edge = size // 2  # there the window sees reflections
        values = whole[1][..., edge : whole[1].shape[-2] - edge, edge : whole[1].shape[-1] - edge]
    return rearrange(values, "(b t) c h w -> b t c h w", b=clips)


def ms_ssim(
    predicted: Float[Tensor, "B T C H W"], target: Float[Tensor, "B T C H W"], *, data_range: float
) -> Float[Tensor, "B T"]:
    """Multi-scale SSIM of every frame, by torchmetrics (Wang et al. 2003, doi 10.1109/ACSSC.2003.1292216).

    Raises:
        ValueError: if the shapes differ, or a side is below ``MS_SSIM_SIZE`` pixels.
    """
    check_shapes(predicted, target)
    x, y = (rearrange(frames.float(), "b t c h w -> (b t) c h w") for frames in (predicted, target))
    with torch.autocast(x.device.type, enabled=False):
        values: Tensor = multiscale_structural_similarity_index_measure(
            x, y, data_range=data_range, reduction="none", normalize="relu"
        )
    return rearrange(values, "(b t) -> b t", b=len(predicted))


def _uniform_map(
    predicted: Float[Tensor, "N C H W"], target: Float[Tensor, "N C H W"], *, data_range: float
) -> Float[Tensor, "N C h w"]:
    """SSIM at every place of the window; torchmetrics knows no sample covariance."""
    x, y = predicted.double(), target.double()
    channels = x.shape[1]
    moments = functional.avg_pool2d(torch.cat([x, y, x * x, y * y, x * y], dim=1), _UNIFORM, stride=1)
    mean_x, mean_y, xx, yy, xy = torch.split(moments, channels, dim=1)
    sample = _UNIFORM**2 / (_UNIFORM**2 - 1)
    var_x, var_y = sample * (xx - mean_x**2), sample * (yy - mean_y**2)
    covariance = sample * (xy - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    upper = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (upper / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).to(predicted.dtype)
