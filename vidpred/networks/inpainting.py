"""What a mask hides, filled from what is around it or from what repeats: the scene behind a person."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SHARPNESS = 20.0  # of the choice between shifts
NEAREST = 3.0  # pixels: under a shorter shift every image is like itself
OVERLAP = 0.1  # of a frame, at least, that must be known at both ends of a shift
SHARE = 1e-5  # of the best shift's weight, at least, that any other has: for what the best ones do not reach


def inpaint(
    frames: Float[Tensor, "N C H W"], hidden: Float[Tensor, "N 1 H W"], *, pool: tuple[int, int] = (2, 2)
) -> Float[Tensor, "N C H W"]:
    """Fill what is hidden from what is around it, by pull and push over a pyramid.

    Pull: means over ``pool`` places of the known share (1 - hidden) and of known · frame, until there is one row or
    column. Push, from coarse to fine: known · frame + (1 - known) · the coarser result, enlarged (Gortler et al. 1996,
    "The Lumigraph", section 3.4).

    Args:
        frames: to be filled.
        hidden: share of every pixel that is to be replaced, in [0, 1].
        pool: rows and columns that become one: (2, 2) fills from all around, (1, 2) along rows, which goes on with a
            skirting board, and (2, 1) along columns, which goes on with stripes. A row or column of which nothing is
            known becomes black.
    """
    known = [1 - hidden]
    means = [frames * known[0]]
    while all(size > 1 for size, pooled in zip(means[-1].shape[-2:], pool, strict=True) if pooled > 1):
        known.append(functional.avg_pool2d(known[-1], pool, ceil_mode=True, count_include_pad=False))
        means.append(functional.avg_pool2d(means[-1], pool, ceil_mode=True, count_include_pad=False))
    filled = means[-1] / known[-1].clamp(min=1e-3)
    for mean, share in zip(means[-2::-1], known[-2::-1], strict=True):
        coarser = functional.interpolate(filled, size=mean.shape[-2:], mode="bilinear", align_corners=False)
        filled = mean + (1 - share) * coarser
    return filled


def repeat_pattern(frames: Float[Tensor, "N C H W"], hidden: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N C H W"]:
    """Fill what is hidden with what the frame shows a shift away, for all shifts d under which it repeats itself.

    With k = 1 − hidden and the frame I less the mean of what is known,

        unlike(d) = Σ_x k(x) k(x+d) |I(x) − I(x+d)|² / Σ_x k(x) k(x+d),
        w(d) ∝ exp(−20 (unlike(d) − least) / (mean − least)) + 10⁻⁵,
        repeated(x) = Σ_d w(d) k(x+d) I(x+d) / Σ_d w(d) k(x+d),

    and what is known but not as repeated, such as a change of light, is carried into the hole: repeated + inpaint(I −
    repeated). Wallpaper and boards go on behind a person that way, which no mean of what is around can do. That few
    shifts tell what is missing was found by He & Sun 2012 ("Statistics of patch offsets for image completion", doi
    10.1007/978-3-642-33709-3_2). All sums are correlations, by Fourier transforms of twice the size. Gradients reach
    frames and mask, but not the choice of shifts.

    Args:
        frames: to be filled; computed in float32 at least.
        hidden: share of every pixel that is to be replaced, in [0, 1].
    """
    kind = torch.promote_types(frames.dtype, torch.float32)
    known = 1 - hidden.to(kind)
    size = (2 * frames.shape[-2], 2 * frames.shape[-1])
    mean = _mean(frames.to(kind), known)
    centred = frames.to(kind) - mean
    shares, pixels = (torch.fft.rfft2(image, s=size) for image in (known, known * centred))
    with torch.no_grad():
        squares = torch.fft.rfft2((known * centred.square()).sum(dim=1, keepdim=True), s=size)
        overlap = _correlate(shares, shares, size)
        products = _correlate(pixels, pixels, size).sum(dim=1, keepdim=True)
        unlike = _correlate(squares, shares, size) + _correlate(shares, squares, size) - 2 * products
        weights = torch.fft.rfft2(_weigh_shifts(unlike / overlap.clamp(min=1), overlap))
    sums, counts = (
        _correlate(weights, image, size)[..., : frames.shape[-2], : frames.shape[-1]] for image in (pixels, shares)
    )
    repeated = (sums / counts.clamp(min=SHARE / 10) + mean).to(frames.dtype)
    return repeated + inpaint(frames - repeated, hidden)


def _mean(frames: Float[Tensor, "N C H W"], known: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N C 1 1"]:
    """Mean colours of what is known."""
    return (known * frames).sum(dim=(-2, -1), keepdim=True) / known.sum(dim=(-2, -1), keepdim=True).clamp(min=1)


def _correlate(first: Tensor, second: Tensor, size: tuple[int, int]) -> Float[Tensor, "N C h w"]:
    """Σ_x first(x) second(x+d) for all shifts d, negative ones at the end, from the transforms of both."""
    sums: Tensor = torch.fft.irfft2(first.conj() * second, s=size)
    return sums


def _weigh_shifts(unlike: Float[Tensor, "N 1 h w"], overlap: Float[Tensor, "N 1 h w"]) -> Float[Tensor, "N 1 h w"]:
    """w(d) of ``repeat_pattern``, of sum 1: zero where a shift is short, or too little is known at both of its ends."""
    steps = (torch.arange(length, device=unlike.device) for length in unlike.shape[-2:])
    down, right = (torch.minimum(step, len(step) - step) for step in steps)  # or up, and left
    long = down[:, None] ** 2 + right**2 > NEAREST**2
    allowed = long & (overlap > OVERLAP * overlap.shape[-2] * overlap.shape[-1] / 4)
    least = torch.where(allowed, unlike, torch.inf).amin(dim=(-2, -1), keepdim=True)
    mean = (unlike * allowed).sum(dim=(-2, -1), keepdim=True) / allowed.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    likeness = torch.exp(-SHARPNESS * (unlike - least) / (mean - least).clamp(min=1e-8))
    weights = torch.where(allowed, likeness + SHARE, 0.0)
    return weights / weights.sum(dim=(-2, -1), keepdim=True).clamp(min=SHARE)
