"""Building blocks of our own networks: no normalization layers, cheap activations, few memory passes."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1


def activate(x: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Leaky ReLU of slope 0.1."""
    return functional.leaky_relu(x, SLOPE)


def enlarge(images: Float[Tensor, "N D h w"], height: int, width: int) -> Float[Tensor, "N D H W"]:
    """Images of a size, by bilinear interpolation; those that have it already, as they are."""
    if images.shape[-2:] == (height, width):
        return images
    return functional.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)


def split_pixels(image: Float[Tensor, "*N C H W"]) -> Float[Tensor, "*N C s h w"]:
    """An image as s = 4 subpixels of places at half the resolution: a view of ``pixel_unshuffle``."""
    return rearrange(functional.pixel_unshuffle(image, 2), "... (c s) h w -> ... c s h w", s=4)


def join_pixels(places: Float[Tensor, "*N C s h w"]) -> Float[Tensor, "*N C 2*h 2*w"]:
    """The inverse of ``split_pixels``."""
    return functional.pixel_shuffle(rearrange(places, "... c s h w -> ... (c s) h w"), 2)


class ResBlock(nn.Module):
    """x + conv3(activate(conv3(activate(x)))), which starts as the identity (zero last convolution)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Float[Tensor, "N D h w"]) -> Float[Tensor, "N D h w"]:
        """Features of the same shape."""
        features: Tensor = self.second(activate(self.first(activate(x))))
        return x + features


class Down(nn.Module):
    """Half the resolution: conv4(activate(x)) of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: Float[Tensor, "N D h w"]) -> Float[Tensor, "N E h/2 w/2"]:
        """Features at half the height and width."""
        features: Tensor = self.conv(activate(x))
        return features


class Up(nn.Module):
    """Twice the resolution: conv1(activate(x)) to four times the channels, shuffled into space."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Float[Tensor, "N D h w"]) -> Float[Tensor, "N E 2*h 2*w"]:
        """Features at twice the height and width."""
        return functional.pixel_shuffle(self.conv(activate(x)), 2)


class UNet(nn.Module):
    """An image to features at half, quarter and eighth resolution, the finer ones informed by the coarser.

    Args:
        channels: of the image.
        widths: of the features at the three resolutions.
    """

    def __init__(self, channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.stem = nn.Conv2d(4 * channels, half, 3, padding=1)
        self.down_quarter, self.down_eighth = Down(half, quarter), Down(quarter, eighth)
        self.inner_eighth = ResBlock(eighth)
        self.up_quarter, self.up_half = Up(eighth, quarter), Up(quarter, half)
        self.outer_quarter, self.outer_half = ResBlock(quarter), ResBlock(half)

    def forward(self, image: Float[Tensor, "N C H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, D_i, H/2^i, W/2^i) for i = 1, 2, 3."""
        half = self.stem(functional.pixel_unshuffle(image, 2))
        quarter = self.down_quarter(half)
        eighth = self.inner_eighth(self.down_eighth(quarter))
        quarter = self.outer_quarter(quarter + self.up_quarter(eighth))
        half = self.outer_half(half + self.up_half(quarter))
        return half, quarter, eighth


class GapNote(nn.Module):
    """Tells the first of a clip's features by how many steps its context is moved away.

        x_1 + W (1 − exp(−gap / τ)),    τ = 1, 4, 16 and 64 steps

    What moves by chance, such as a ball, is forgotten with a time constant of its own. A step that is not told of the
    gap learns to forget as much in every step of a rollout. Without a gap nothing is added.

    Args:
        width: channels of the features.
    """

    spans: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("spans", torch.tensor([1.0, 4.0, 16.0, 64.0]), persistent=False)
        self.told = nn.Linear(4, width, bias=False)
        nn.init.zeros_(self.told.weight)

    def forward(self, x: Float[Tensor, "B T D h w"], gap: Float[Tensor, " B"]) -> Float[Tensor, "B T D h w"]:
        """Features of the same shape."""
        note = self.told(-torch.expm1(-gap[:, None] / self.spans))
        return x + functional.pad(note[:, None], (0, 0, 0, x.shape[1] - 1))[..., None, None]
