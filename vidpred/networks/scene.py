"""The scene: a context frame without the person, and the shade that a person leaves on it."""

from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.inpainting import inpaint, repeat_pattern
from vidpred.networks.layers import ResBlock, activate, enlarge, split_pixels

FILLS = (  # of what is hidden: what repeats, then what is around, along rows, along columns
    repeat_pattern,
    inpaint,
    partial(inpaint, pool=(1, 2)),
    partial(inpaint, pool=(2, 1)),
)


class Scene(nn.Module):
    """A frame from which the person is taken out, by a mask h in [0, 1] of what is hidden.

        scene = Σ_i w_i ⊙ fill_i(frame, h) + h ⊙ ½ tanh(painted),

    with w a softmax over fills, which leave what is not hidden as it is. First filled, then refined by a network that
    sees the fills, as in Yu et al. 2018 (arXiv 1801.07892).

    Args:
        channels: C, of a frame.
        width: D, of the features at half resolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.hider = nn.Conv2d(width, 4, 3, padding=1)
        self.place_fills = nn.Conv2d(4 * channels * len(FILLS), width, 3, padding=1)
        self.refine = ResBlock(width)
        self.head = nn.Conv2d(width, 4 * (channels + len(FILLS)), 3, padding=1)

    def hide(self, features: Float[Tensor, "N D h w"], dtype: torch.dtype) -> Float[Tensor, "N 1 2*h 2*w"]:
        """The mask h, in the precision of the frames; training starts with little of it."""
        return functional.pixel_shuffle(torch.sigmoid(self.hider(activate(features)).to(dtype) - 2), 2)

    def forward(
        self, frame: Float[Tensor, "N C H W"], hidden: Float[Tensor, "N 1 H W"], features: Float[Tensor, "N D h w"]
    ) -> tuple[Float[Tensor, "N C s h w"], Float[Tensor, "N D h w"]]:
        """The scene, in s = 4 subpixels of every place, and its features."""
        fills = torch.stack([split_pixels(fill(frame, hidden)) for fill in FILLS], dim=1)
        features = self.refine(features + self.place_fills(rearrange(fills, "n f c s h w -> n (f c s) h w")))
        out = rearrange(self.head(activate(features)), "n (c s) h w -> n c s h w", s=4)
        weights, painted = torch.split(out.to(frame.dtype), [len(FILLS), frame.shape[1]], dim=1)
        blend = (weights.softmax(dim=1)[:, :, None] * fills).sum(dim=1)
        return blend + split_pixels(hidden) * torch.tanh(painted) / 2, features


class Shade(nn.Module):
    """What a pose does to a scene: its light is multiplied by exp(s), with s = ½ tanh(…) in [−½, ½].

    An image as that of another one times a quotient of shades: Shashua & Riklin-Raviv 2001 (doi 10.1109/34.908964).
    There is one shade for all colours. As built, s = 0.

    Args:
        width: D, of the features of a pose at half resolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv.weight)

    def forward(self, features: Float[Tensor, "N D h w"], dtype: torch.dtype) -> Float[Tensor, "N 1 2*h 2*w"]:
        """The s of every pixel, in the precision of the frames."""
        shade = torch.tanh(self.conv(activate(features)).to(dtype)) / 2
        return enlarge(shade, 2 * shade.shape[-2], 2 * shade.shape[-1])
