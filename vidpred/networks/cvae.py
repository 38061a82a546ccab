"""The default model: a light recurrent painter, told by the pose what is where, and by the context how it looks.

What depends on poses and context alone is computed outside of the loop over time: a U-Net names the parts of the body
at every place, and the looks of the parts are gathered from the context frames once. A step fetches the looks of the
parts to where the pose puts them, sees the previous frame and z, and paints what changes. Sources of features are
added, not concatenated.
"""

from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.latent import PriorFactory, StandardPrior, bound_logvar
from vidpred.networks.layers import Down, ResBlock, UNet, Up, activate, fetch_looks, remember_looks
from vidpred.types import FrameShape, Gaussian


class PoseFeatures(NamedTuple):
    """What a pose map tells, at half, quarter and eighth resolution."""

    half: Float[Tensor, "*N D h w"]
    quarter: Float[Tensor, "*N E h/2 w/2"]
    eighth: Float[Tensor, "*N F h/4 w/4"]
    parts: Float[Tensor, "*N G h w"]  # logits of the parts that looks are fetched by


class Anchor(NamedTuple):
    """What is kept from the context."""

    frame: Float[Tensor, "N C H W"]  # the last context frame
    features: Float[Tensor, "N D h w"]
    looks: Float[Tensor, "N D G"]


class CVAE(nn.Module):
    """Our conditional VAE.

    The frame is a blend of what is painted anew, the previous frame and the anchor (the last context frame), and a
    small residual:

        x̂_t = w₁ ⊙ paint + w₂ ⊙ x_t-1 + w₃ ⊙ anchor + residual / 10,    w = softmax over the three, per pixel.

    Args:
        shape: of frames and pose maps; height and width are multiples of 8, from 16 on.
        prior: builds the prior, standard or learned.
        widths: channels of the features at half, quarter and eighth resolution.
        blocks: residual blocks of the step at each resolution.
        slots: G, parts whose looks are fetched from the context.
        z_channels: Z, channels of z, which lives at an eighth of the resolution.
        anchor: see the context; otherwise the step knows the previous frame alone, and paints against it.

    Raises:
        ValueError: for a frame size that does not divide, or a number that is not positive.
    """

    parallel = True

    def __init__(
        self,
        shape: FrameShape,
        *,
        prior: PriorFactory = StandardPrior,
        widths: tuple[int, int, int] = (32, 64, 96),
        blocks: tuple[int, int, int] = (1, 0, 1),
        slots: int = 32,
        z_channels: int = 8,
        anchor: bool = True,
    ) -> None:
        super().__init__()
        if shape.height % 8 or shape.width % 8 or min(shape.height, shape.width) < 16:
            raise ValueError(
                f"model=cvae halves frames three times: height and width must be multiples of 8 and at least 16, "
                f"got {shape.height}x{shape.width}"
            )
        if (len(widths), len(blocks)) != (3, 3) or min(*widths, slots, z_channels) < 1 or min(blocks) < 0:
            raise ValueError(
                f"model=cvae needs three positive widths, three numbers of blocks, slots and z_channels >= 1, "
                f"got {list(widths)}, {list(blocks)}, {slots}, {z_channels}"
            )
        half, quarter, eighth = widths
        self.shape, self.anchor = shape, anchor
        self.latent_shape = (z_channels, shape.height // 8, shape.width // 8)

        self.pose_net = UNet(shape.pose_channels, (half, quarter, eighth))
        self.part_logits = nn.Conv2d(half, slots, 1)
        if anchor:
            self.look_net = nn.Sequential(nn.Conv2d(4 * shape.channels, half, 3, padding=1), ResBlock(half))
            self.place_looks = nn.Conv2d(half, half, 1)
            self.anchor_net = nn.Conv2d(4 * (shape.channels + shape.pose_channels), half, 3, padding=1)

        self.observer = nn.Sequential(nn.PixelUnshuffle(8), nn.Conv2d(64 * shape.channels, eighth, 3, padding=1))
        make_gaussian = partial(_gaussian_layers, eighth, z_channels)
        self.posterior_net = make_gaussian()
        self.prior_net = prior(make_gaussian)

        self.frame_net = nn.Conv2d(4 * shape.channels, half, 3, padding=1)
        self.down_quarter, self.down_eighth = Down(half, quarter), Down(quarter, eighth)
        self.place_z = nn.Conv2d(z_channels, eighth, 3, padding=1)
        self.paint_half, self.paint_quarter, self.paint_eighth = (
            nn.Sequential(*(ResBlock(width) for _ in range(count)))
            for width, count in zip((half, quarter, eighth), blocks, strict=True)
        )
        self.up_quarter, self.up_half = Up(eighth, quarter), Up(quarter, half)
        self.outer_quarter = ResBlock(quarter)
        self.sources = 3 if anchor else 2
        self.head = nn.Conv2d(half, 4 * (2 * shape.channels + self.sources), 3, padding=1)

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> Anchor | None:
        """The last frame, its features, and the looks of all parts, gathered from all K frames."""
        if not self.anchor:
            return None
        parts = self.encode_poses(poses).parts
        looks = self.look_net(functional.pixel_unshuffle(rearrange(frames, "b k c h w -> (b k) c h w"), 2))
        looks = rearrange(looks, "(b k) d h w -> b k d h w", b=len(frames))
        last = torch.cat([frames[:, -1], poses[:, -1]], dim=1)
        features = self.anchor_net(functional.pixel_unshuffle(last, 2))
        return Anchor(frames[:, -1], features, remember_looks(looks, parts))

    def encode_poses(self, poses: Float[Tensor, "B T P H W"]) -> PoseFeatures:
        """Features of all poses, and which part is where."""
        half, quarter, eighth = self.pose_net(rearrange(poses, "b t p h w -> (b t) p h w"))
        levels = (half, quarter, eighth, self.part_logits(half))
        return PoseFeatures(*(rearrange(level, "(b t) d h w -> b t d h w", b=len(poses)) for level in levels))

    def posterior(self, target: Float[Tensor, "N C H W"], pose: PoseFeatures) -> Gaussian:
        """q(z_t | x_t, p_t)."""
        mean, logvar = self.posterior_net(self.observer(target) + pose.eighth).chunk(2, dim=1)
        return Gaussian(mean, bound_logvar(logvar))

    def prior(self, previous: Float[Tensor, "N C H W"], pose: PoseFeatures) -> Gaussian:
        """N(0, I), or the learned prior p(z_t | x̂_t-1, p_t)."""
        features = self.observer(previous) + pose.eighth if self.prior_net.sees_previous else None
        gaussian: Gaussian = self.prior_net(features, previous.new_zeros(len(previous), *self.latent_shape))
        return gaussian

    def decode(
        self,
        previous: Float[Tensor, "N C H W"],
        pose: PoseFeatures,
        z: Float[Tensor, "N Z h w"],
        context: Anchor | None,
        carry: None,
    ) -> tuple[Float[Tensor, "N C H W"], None]:
        """Paint what changes."""
        half = self.frame_net(functional.pixel_unshuffle(previous, 2)) + pose.half
        if context is not None:
            half = half + context.features + self.place_looks(fetch_looks(context.looks, pose.parts))
        quarter = self.paint_quarter(self.down_quarter(half) + pose.quarter)
        eighth = self.paint_eighth(self.down_eighth(quarter) + pose.eighth + self.place_z(z))
        quarter = self.outer_quarter(quarter + self.up_quarter(eighth))
        half = self.paint_half(half + self.up_half(quarter))
        out = functional.pixel_shuffle(self.head(activate(half)), 2).to(previous.dtype)  # blend in full precision
        channels = self.shape.channels
        paint, residual, weights = torch.split(out, [channels, channels, self.sources], dim=1)
        sources = [torch.sigmoid(paint), previous] + ([] if context is None else [context.frame])
        blend = torch.stack([weight[:, None] * source for weight, source in
                             zip(weights.softmax(dim=1).unbind(dim=1), sources, strict=True)]).sum(dim=0)  # fmt: skip
        return blend + residual / 10, None


def _gaussian_layers(width: int, z: int) -> nn.Module:
    return nn.Sequential(ResBlock(width), nn.LeakyReLU(0.1), nn.Conv2d(width, 2 * z, 1))
