"""Tensors to pixels."""

from einops import rearrange
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from torch import Tensor


def to_pixels(frames: Float[Tensor, "T C H W"]) -> UInt8[Array, "T H W 3"]:
    """Frames in [0, 1] as RGB pixels: clipped, scaled, rounded to the nearest.

    Other numbers of channels than three, such as one for each joint, are shown as grey, by their maximum.
    """
    pixels = (frames.detach().float().clamp(0, 1) * 255).round().byte().cpu()
    if pixels.shape[1] != 3:
        pixels = pixels.amax(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    return rearrange(pixels, "t c h w -> t h w c").numpy()
