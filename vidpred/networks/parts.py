"""Pixels moved by the parts of the body that they belong to: looks fetched, frames warped, and what is left filled.

Pixels are kept as s = 4 subpixels of places at half the resolution, which is where features live.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def remember_looks(
    frames: Float[Tensor, "B K C s h w"], logits: Float[Tensor, "B K G s h w"]
) -> Float[Tensor, "B G C"]:
    """The colour of every part: the mean over the pixels where the part is, weighted by a softmax over pixels.

    Args:
        frames: the context frames, as s = 4 subpixels of half-resolution places.
        logits: of G parts at every pixel, from the context's poses.
    """
    weights = rearrange(logits, "b k g s h w -> b g (k s h w)").softmax(dim=-1)
    pixels = rearrange(frames, "b k c s h w -> b (k s h w) c")
    return torch.einsum("bgn, bnc -> bgc", weights.to(pixels.dtype), pixels)


def fetch_looks(looks: Float[Tensor, "N G C"], parts: Float[Tensor, "N G s h w"]) -> Float[Tensor, "N C s h w"]:
    """The colour at every pixel: the mean over the parts that are there, weighted by their probabilities.

    With ``remember_looks`` this is attention of rank G (Vaswani et al. 2017, arXiv 1706.03762) from the pixels of one
    pose to those of another. Both sides take their logits from the same network, so that a part finds itself from the
    start of training.
    """
    return torch.einsum("ngc, ngshw -> ncshw", looks.to(parts.dtype), parts)


def locate_parts(logits: Float[Tensor, "*N G s h w"]) -> Float[Tensor, "*N G 4"]:
    """Where every part is, and how it lies: x, y, and the elongation e·(cos 2θ, sin 2θ).

    Of a softmax over pixels, the centroid, x and y in [-1, 1] across the frame, and of its covariance the difference of
    the eigenvalues by their sum, e in [0, 1], with the double angle 2θ of the longer axis: without the ambiguity
    of its sign.

    Args:
        logits: of G parts at every pixel, as s = 4 subpixels of half-resolution places.
    """
    weights = rearrange(logits, "... s h w -> ... (s h w)").softmax(dim=-1)
    height, width = logits.shape[-2:]
    x, y = rearrange(_pixel_centres(height, width, like=weights), "s h w c -> c (s h w)")
    mean_x, mean_y, xx, xy, yy = (weights @ torch.stack([x, y, x * x, x * y, y * y], dim=1)).unbind(dim=-1)
    ratio = width / height  # angles are those of square pixels
    var_x, var_y, cov = (xx - mean_x**2) * ratio**2, yy - mean_y**2, (xy - mean_x * mean_y) * ratio
    total = (var_x + var_y).clamp(min=1e-4)
    return torch.stack([mean_x, mean_y, (var_x - var_y) / total, 2 * cov / total], dim=-1)


def warp_parts(
    frames: Float[Tensor, "N C H W"],
    parts: Float[Tensor, "N G s h w"],
    places: Float[Tensor, "N G 4"],
    origins: Float[Tensor, "N G 4"],
) -> Float[Tensor, "N C s h w"]:
    """Every pixel from where its parts were."""
    height, width = parts.shape[-2:]
    ratio = width / height
    # half of the angle between double angles, as far as both parts are elongated
    (a, b), (c, d) = places[..., 2:].unbind(dim=-1), origins[..., 2:].unbind(dim=-1)
    cos, sin = a * c + b * d, a * d - b * c
    sure = torch.sqrt(cos**2 + sin**2 + 1e-8)
    angle = torch.atan2(sin, cos + 1e-4) / 2 * (sure / (sure + 0.1))
    turn_x, turn_y = torch.cos(angle) - 1, torch.sin(angle)
    turn = torch.stack([torch.stack([turn_x, -turn_y / ratio], -1), torch.stack([turn_y * ratio, turn_x], -1)], -2)
    shift = origins[..., :2] - places[..., :2] - torch.einsum("ngij, ngj -> ngi", turn, places[..., :2])
    moves = torch.cat([shift[..., None], turn], dim=-1)  # (N, G, 2, 3): of 1, x, y
    centres = _pixel_centres(height, width, like=moves)
    law = torch.einsum("ngshw, ngij -> nijshw", parts.to(moves.dtype), moves)
    x, y = centres.unbind(dim=-1)
    flow = law[:, :, 0] + law[:, :, 1] * x + law[:, :, 2] * y
    grid = rearrange(rearrange(flow, "n c s h w -> n s h w c") + centres, "n s h w c -> n (s h) w c")
    moved = functional.grid_sample(frames, grid.to(frames.dtype), padding_mode="border", align_corners=False)
    return rearrange(moved, "n c (s h) w -> n c s h w", s=4)


def _pixel_centres(height: int, width: int, *, like: Tensor) -> Float[Tensor, "s h w 2"]:
    """x, y of the s = 4 subpixels of all half-resolution places, in [-1, 1] across the frame."""
    rows, columns = (
        (torch.arange(2 * places, device=like.device, dtype=like.dtype) + 0.5) / places - 1
        for places in (height, width)
    )
    centres = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1])
    return rearrange(split_pixels(centres), "c s h w -> s h w c")


def inpaint(frames: Float[Tensor, "N C H W"], hidden: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N C H W"]:
    """Fill what is hidden from what is around it, by pull and push over a pyramid.

    Pull: means over 2×2 places of the known share (1 - hidden) and of known · frame, down to one row or column. Push,
    from coarse to fine: known · frame + (1 - known) · the coarser result, enlarged (Gortler et al. 1996, "The
    Lumigraph", section 3.4).

    Args:
        frames: to be filled.
        hidden: share of every pixel that is to be replaced, in [0, 1].
    """
    known = [1 - hidden]
    means = [frames * known[0]]
    while min(means[-1].shape[-2:]) > 1:
        known.append(functional.avg_pool2d(known[-1], 2, ceil_mode=True, count_include_pad=False))
        means.append(functional.avg_pool2d(means[-1], 2, ceil_mode=True, count_include_pad=False))
    filled = means[-1] / known[-1].clamp(min=1e-3)
    for mean, share in zip(means[-2::-1], known[-2::-1], strict=True):
        coarser = functional.interpolate(filled, size=mean.shape[-2:], mode="bilinear", align_corners=False)
        filled = mean + (1 - share) * coarser
    return filled


def split_pixels(image: Float[Tensor, "*N C H W"]) -> Float[Tensor, "*N C s h w"]:
    """An image as s = 4 subpixels of places at half the resolution: a view of ``pixel_unshuffle``."""
    return rearrange(functional.pixel_unshuffle(image, 2), "... (c s) h w -> ... c s h w", s=4)


def join_pixels(places: Float[Tensor, "N C s h w"]) -> Float[Tensor, "N C 2*h 2*w"]:
    """The inverse of ``split_pixels``."""
    return functional.pixel_shuffle(rearrange(places, "n c s h w -> n (c s) h w"), 2)
