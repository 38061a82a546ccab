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
    """Where every part is and how it lies: x, y, e · cos 2θ, e · sin 2θ.

    Of a softmax over pixels: x and y are its centroid, in [-1, 1] across the frame; of its covariance, in square
    pixels, θ is the angle of the longer axis, which is the same turned by half, hence 2θ, and e in [0, 1] is the
    difference of the eigenvalues by their sum: 0 for a round part, 1 for a line.

    Args:
        logits: of G parts at every pixel, as s = 4 subpixels of half-resolution places.
    """
    weights = _precisely(rearrange(logits, "... s h w -> ... (s h w)")).softmax(dim=-1)
    height, width = logits.shape[-2:]
    x, y = rearrange(_pixel_centres(height, width, like=weights), "s h w c -> c (s h w)")
    with torch.autocast(logits.device.type, enabled=False):
        moments = weights @ torch.stack([x, y, x * x, x * y, y * y], dim=1)
    mean_x, mean_y, mean_xx, mean_xy, mean_yy = moments.unbind(dim=-1)
    aspect = width / height
    var_x, var_y = (mean_xx - mean_x**2) * aspect**2, mean_yy - mean_y**2
    covariance = (mean_xy - mean_x * mean_y) * aspect
    total = (var_x + var_y).clamp(min=1e-4)
    return torch.stack([mean_x, mean_y, (var_x - var_y) / total, 2 * covariance / total], dim=-1)


def warp_parts(
    frames: Float[Tensor, "N C H W"],
    parts: Float[Tensor, "N G s h w"],
    places: Float[Tensor, "N G 4"],
    origins: Float[Tensor, "N G 4"],
) -> Float[Tensor, "N C s h w"]:
    """Every pixel from where its parts were: frames(Σ_g p_g(x) · (origin_g + R_g (x − place_g))), bilinear.

    A part moves as its centroid does, and turns, by R_g, as its longer axis does: the principal axes of Siarohin et al.
    2021 (arXiv 2104.11280), without their scale, and with parts named by the pose instead of found. The turn is at most
    a quarter, and the less the rounder the part. Outside of the frame its edge is repeated.

    Args:
        frames: to take pixels from.
        parts: probabilities of the parts at every pixel of the result.
        places: of the parts in the result, see ``locate_parts``.
        origins: of the parts in ``frames``.
    """
    height, width = parts.shape[-2:]
    turns = _turns(places[..., 2:], origins[..., 2:], aspect=width / height)
    x, y = _pixel_centres(height, width, like=turns)[..., None].unbind(dim=-2)
    with torch.autocast(parts.device.type, enabled=False):
        shifts = origins[..., :2] - torch.einsum("ngij, ngj -> ngi", turns, places[..., :2])
        laws = torch.cat([turns, shifts[..., None]], dim=-1)  # of every part: what x, y and 1 are multiplied by
        a, b, c = torch.einsum("ngshw, ngij -> jnshwi", _precisely(parts), laws)
        grid = rearrange(a * x + b * y + c, "n s h w i -> n (s h) w i")
        moved = functional.grid_sample(_precisely(frames), grid, padding_mode="border", align_corners=False)
    return rearrange(moved, "n c (s h) w -> n c s h w", s=4)


def _precisely(value: Tensor) -> Tensor:
    """At least in float32: in bfloat16 places would be off by tenths of a pixel."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _turns(
    places: Float[Tensor, "N G 2"], origins: Float[Tensor, "N G 2"], *, aspect: float
) -> Float[Tensor, "N G 2 2"]:
    """Rotations from axes e · (cos 2θ, sin 2θ) to others, in coordinates that run over [-1, 1] across the frame."""
    (place_cos, place_sin), (origin_cos, origin_sin) = places.unbind(dim=-1), origins.unbind(dim=-1)
    cos = place_cos * origin_cos + place_sin * origin_sin
    sin = place_cos * origin_sin - place_sin * origin_cos
    sure = torch.sqrt(cos**2 + sin**2 + 1e-8)  # the product of both elongations
    angle = torch.atan2(sin, cos + 1e-4) / 2 * sure / (sure + 0.1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return rearrange(torch.stack([cos, -sin / aspect, sin * aspect, cos]), "(i j) n g -> n g i j", i=2)


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
