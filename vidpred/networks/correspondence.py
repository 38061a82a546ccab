"""Pixels fetched from the context, from the places that correspond to those of a pose.

Correspondence is attention between places of two images. A place is a square of pixels, two by two or more, with a name
of unit length that a network gives it.
"""

from typing import NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_SCORES = 2**24  # of attention, in memory at once where no fused kernel computes them


class Memory(NamedTuple):
    """K images, and by what their n places are found."""

    images: Float[Tensor, "N K C H W"]
    keys: Float[Tensor, "N K*n D"]  # names of the places
    hints: Float[Tensor, "N K*n F"]  # features of the places
    values: Float[Tensor, "N K*n V"]  # of the places: colours, two by two; x in each image, 0 in the others; y; and 1


class Fetched(NamedTuple):
    """What a memory shows at T results' places."""

    hints: Float[Tensor, "N T F h w"]  # features, on average
    looks: Float[Tensor, "N T E 2*h 2*w"]  # colours, on average, two by two for every place
    moved: Float[Tensor, "N T C H W"]  # the images


def remember(
    images: Float[Tensor, "N K C H W"],
    names: Float[Tensor, "N K D h w"],
    hints: Float[Tensor, "N K F h w"],
    *,
    colors: int,
) -> Memory:
    """Keep images, with names and features of their places. Looks have their first ``colors`` channels."""
    count, height, width = names.shape[1], *names.shape[-2:]
    shown = rearrange(images[:, :, :colors], "n k c h w -> (n k) c h w")
    halves = functional.avg_pool2d(shown, images.shape[-1] // width // 2)
    quarters = functional.pixel_unshuffle(halves, 2)
    centres = _centres(height, width, like=quarters)
    here = torch.cat([centres, torch.ones_like(centres[:1])])
    own = torch.eye(count, device=here.device, dtype=here.dtype)
    places = repeat(torch.einsum("kl, vhw -> kvlhw", own, here), "k v l h w -> n k (v l) h w", n=images.shape[0])
    values = torch.cat([rearrange(quarters, "(n k) c h w -> n k c h w", k=count), places], dim=2)
    keys, told, values = (rearrange(part, "n k v h w -> n (k h w) v") for part in (names, hints, values))
    return Memory(images, keys, told.to(values.dtype), values)


def fetch_hints(
    memory: Memory, names: Float[Tensor, "N T D h w"], sharpness: Float[Tensor, ""]
) -> Float[Tensor, "N T F h w"]:
    """The features alone of what ``fetch`` gives: a first look, which moves no image."""
    return _look(memory.hints, memory, names, sharpness)


def fetch(memory: Memory, names: Float[Tensor, "N T D h w"], sharpness: Float[Tensor, ""]) -> Fetched:
    """What a memory shows where the names are like those of the result: on average, and moved.

        a_ij = softmax_j(sharpness · ⟨name_i, key_j⟩) over the places j of all K images,
        hints_i = Σ_j a_ij · features_j,
        looks_i = Σ_j a_ij · colours_j, the mean colours of the four quarters of a place,
        moved(x) = Σ_k share_k(x) · image_k(x + shift_k(x)), bicubic.

    share_k = Σ_{j in k} a_ij is how much attention falls on image k; shift_k, the way from place i to the mean of the
    places attended to there, is interpolated between places, so that limbs turn and stretch. Bilinear pixels would
    blur at every half pixel's shift; bicubic ones (Keys 1981, doi 10.1109/TASSP.1981.1163711) leave the range of an
    image's colours by at most 0.45 of it. Attention is that of Vaswani et al. 2017 (arXiv 1706.03762), between
    normalized names as in Zhang et al. 2020 (arXiv 2004.05571), who fetch the colours alone. Outside of an image its
    edge is repeated.

    Args:
        memory: the images to take pixels from.
        names: of the places of T results, of length 1.
        sharpness: factor on the likeness of names.
    """
    count, steps, (height, width) = memory.images.shape[1], names.shape[1], names.shape[-2:]
    told, colors = memory.hints.shape[-1], memory.values.shape[-1] - 3 * count
    found = _look(torch.cat([memory.hints, memory.values], dim=2), memory, names, sharpness)
    hints, found = found[:, :, :told], found[:, :, told:]
    looks = functional.pixel_shuffle(found[:, :, :colors], 2)
    shares = rearrange(found[:, :, -count:], "n t k h w -> (n k t) 1 h w")
    places = rearrange(found[:, :, colors:-count], "n t (xy k) h w -> (n k t) xy h w", k=count)
    shifts = places / shares.clamp(min=1e-4) - _centres(height, width, like=places)
    fine = memory.images.shape[-2:]
    field = functional.interpolate(torch.cat([shifts, shares], dim=1), size=fine, mode="bilinear", align_corners=False)
    grid = rearrange(field[:, :2] + _centres(*fine, like=field), "(nk t) xy h w -> nk (t h) w xy", t=steps)
    moved = functional.grid_sample(
        memory.images.flatten(0, 1), grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    moved = rearrange(moved, "(n k) c (t h) w -> n k t c h w", k=count, t=steps)
    moved = (moved * rearrange(field[:, 2:], "(n k t) 1 h w -> n k t 1 h w", k=count, t=steps)).sum(dim=1)
    return Fetched(hints, looks, moved)


def _look(
    values: Float[Tensor, "N n V"], memory: Memory, names: Float[Tensor, "N T D h w"], sharpness: Float[Tensor, ""]
) -> Float[Tensor, "N T V h w"]:
    """Values of a memory's places, on average over those that names are like."""
    found = _attend(rearrange(names * sharpness, "n t d h w -> n (t h w) d"), memory.keys, values)
    return rearrange(found, "n (t h w) v -> n t v h w", t=names.shape[1], h=names.shape[-2])


def _attend(
    queries: Float[Tensor, "N m D"], keys: Float[Tensor, "N n D"], values: Float[Tensor, "N n V"]
) -> Float[Tensor, "N m V"]:
    """softmax(queries · keysᵀ) · values, in the precision of ``values``; under autocast on the CPU in bfloat16.

    There two matrix products are faster than the fused kernel. Elsewhere bfloat16 would round positions to tenths of a
    pixel for no gain.
    """
    kind = queries.device.type
    if kind == "cpu" and torch.is_autocast_enabled(kind):
        pieces = torch.split(queries, max(1, _SCORES // (len(keys) * keys.shape[1])), dim=1)
        found = torch.cat([(piece @ keys.mT).softmax(dim=-1) @ values for piece in pieces], dim=1)
        return found.to(values.dtype)
    size = max(queries.shape[-1], values.shape[-1])
    size += -size % 8  # what fused kernels want
    queries, keys, padded = (
        functional.pad(part.to(values.dtype), (0, size - part.shape[-1]))[:, None] for part in (queries, keys, values)
    )
    with torch.autocast(kind, enabled=False):
        found = functional.scaled_dot_product_attention(queries, keys, padded, scale=1.0)
    return found[:, 0, :, : values.shape[-1]]


def _centres(height: int, width: int, *, like: Tensor) -> Float[Tensor, "2 h w"]:
    """x, y of all places, in [-1, 1] across the frame."""
    rows, columns = (
        (2 * torch.arange(places, device=like.device, dtype=like.dtype) + 1) / places - 1 for places in (height, width)
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1])
