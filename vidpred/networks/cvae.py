"""The default model: a light recurrent painter, told by the pose what is where, and by the context how it looks.

What depends on poses and context alone is computed outside of the loop over time: a U-Net names the parts of the body
at every pixel, the looks of the parts are gathered from the context frames, and a second U-Net takes the person out of
the last of them. A step moves the parts of that frame, and their looks, to where the pose puts them, sees the previous
frame and z, and corrects; z may say which colours its places have. Sources of features are added, not concatenated.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.latent import PriorFactory, StandardPrior, bound_logvar
from vidpred.networks.layers import Down, ResBlock, UNet, Up, activate
from vidpred.networks.parts import (
    fetch_looks,
    inpaint,
    join_pixels,
    locate_parts,
    remember_looks,
    split_pixels,
    warp_parts,
)
from vidpred.types import FrameShape, Gaussian

PART_SPREAD = 22.6  # of the weights that name parts, at the start, by √D: parts that start alike stay alike


class PoseFeatures(NamedTuple):
    """What a pose map tells; s = 4 subpixels of every half-resolution place."""

    half: Float[Tensor, "*N D h w"]
    quarter: Float[Tensor, "*N E h/2 w/2"]
    eighth: Float[Tensor, "*N F h/4 w/4"]
    parts: Float[Tensor, "*N G s h w"]  # probabilities of the parts that looks are fetched by; G = 0 without an anchor
    places: Float[Tensor, "*N G 4"]  # of the parts, and how they lie; see `locate_parts`
    body: Float[Tensor, "*N s h w"]  # logit of painting anew
    observed: Float[Tensor, "*N L h/4 w/4"]  # what posterior and prior see of it


class FrameFeatures(NamedTuple):
    """What a frame tells."""

    subpixels: Float[Tensor, "N C s h w"]  # the frame itself
    half: Float[Tensor, "N D h w"]  # what the step sees of it
    observed: Float[Tensor, "N L h/4 w/4"]  # what posterior and prior see of it
    colors: Float[Tensor, "N Z h/4 w/4"]  # mean colours of the places of z


class Anchor(NamedTuple):
    """What is kept from the context."""

    frame: Float[Tensor, "N C H W"]  # the last context frame
    scene: Float[Tensor, "N C s h w"]  # the same with the person taken out
    features: Float[Tensor, "N D h w"]
    looks: Float[Tensor, "N G C"]  # mean colour of every part
    places: Float[Tensor, "N G 4"]  # of the parts in the last context frame, and how they lie


class CVAE(nn.Module):
    """Our conditional VAE.

    Every pixel of the frame is a blend of what is painted anew, the previous frame, the scene and the moved context,
    and a small residual. What z tells beyond its prior's mean m_t takes part in painting, and moves the mean colours of
    its places, as far as it is to be trusted:

        painted = w₁ ⊙ (looks + ½ tanh(detail)) + w₂ ⊙ x_t-1 + w₃ ⊙ scene + w₄ ⊙ moved + residual / 10,
        x̂_t = painted + enlarge(trust ⊙ told(z_t − m_t)),

    with w a softmax over the four, looks the mean colours of the body's parts, fetched to where the pose puts them,
    scene the last context frame without the person, and moved the same frame with every part where the pose puts it.
    Without an anchor there are only the first two, and no looks.

    The posterior's mean starts near the colours of its places, the learned prior's near those of the previous frame,
    and told as their inverse: z lives from the first step on. Where it has to be discovered it had no part in the
    frames after hundreds of steps. That z = m_t leaves the forecast alone matters as much: where it does not, rollouts
    at the mean teach the decoder to ignore z.

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
        widths: Sequence[int] = (32, 64, 96),
        blocks: Sequence[int] = (1, 0, 1),
        slots: int = 16,
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
        channels = shape.channels
        self.shape, self.anchor = shape, anchor
        self.latent_shape = (z_channels, shape.height // 8, shape.width // 8)

        self.pose_net = UNet(shape.pose_channels, (half, quarter, eighth))
        self.body_logits = nn.Conv2d(half, 4, 1)
        assert self.body_logits.bias is not None
        nn.init.constant_(self.body_logits.bias, -2.0)  # training starts near copying
        if anchor:
            self.part_logits = nn.Conv2d(half, slots, 1)
            nn.init.normal_(self.part_logits.weight, std=PART_SPREAD / half**0.5)
            self.scene_net = UNet(channels + shape.pose_channels, (half, quarter, eighth))
            self.scene_head = nn.Conv2d(half, 4 * (channels + 1), 3, padding=1)
            self.place_looks = nn.Conv2d(8 * channels, half, 3, padding=1)

        observed = max(1, eighth // 2)
        self.observer = nn.Conv2d(64 * channels, observed, 3, padding=1)
        self.place_pose = nn.Conv2d(eighth, observed, 1)
        make_gaussian = partial(_gaussian_layers, observed, z_channels)
        self.posterior_net = make_gaussian()
        self.prior_net = prior(make_gaussian)
        self.prior_net.start_as(self.posterior_net)
        self.told = nn.Conv2d(z_channels, channels, 1, bias=False)
        nn.init.dirac_(self.told.weight).data.div_(4)
        self.trust = nn.Conv2d(eighth, channels, 1)
        assert self.trust.bias is not None
        nn.init.constant_(self.trust.bias, -1.0)

        self.frame_net = nn.Conv2d(4 * channels, half, 3, padding=1)
        self.down_quarter, self.down_eighth = Down(half, quarter), Down(quarter, eighth)
        self.place_z = nn.Conv2d(z_channels, eighth, 3, padding=1, bias=False)
        self.paint_half, self.paint_quarter, self.paint_eighth = (
            nn.Sequential(*(ResBlock(width) for _ in range(count)))
            for width, count in zip((half, quarter, eighth), blocks, strict=True)
        )
        self.up_quarter, self.up_half = Up(eighth, quarter), Up(quarter, half)
        self.outer_quarter = ResBlock(quarter)
        self.sources = 4 if anchor else 2
        self.head = nn.Conv2d(half, 4 * (2 * channels + self.sources), 3, padding=1)

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> Anchor | None:
        """The scene of the last frame, its features, and the looks of all parts, gathered from all K frames."""
        if not self.anchor:
            return None
        clips = frames.shape[0]
        half, _, _ = self.pose_net(rearrange(poses, "b k p h w -> (b k) p h w"))
        logits = rearrange(self._name_parts(half), "(b k) g s h w -> b k g s h w", b=clips)
        features, _, _ = self.scene_net(torch.cat([frames[:, -1], poses[:, -1]], dim=1))
        out = rearrange(self.scene_head(activate(features)), "b (c s) h w -> b c s h w", s=4).to(frames.dtype)
        hidden = torch.sigmoid(out[:, -1:] - 2)
        scene = split_pixels(inpaint(frames[:, -1], join_pixels(hidden))) + hidden * torch.tanh(out[:, :-1]) / 2
        looks, places = remember_looks(split_pixels(frames), logits), locate_parts(logits[:, -1])
        return Anchor(frames[:, -1], scene, features, looks, places)

    def encode_poses(self, poses: Float[Tensor, "B T P H W"]) -> PoseFeatures:
        """Features of all poses, and which part is where."""
        half, quarter, eighth = self.pose_net(rearrange(poses, "b t p h w -> (b t) p h w"))
        body = self.body_logits(activate(half))
        logits = self._name_parts(half) if self.anchor else half.new_empty(half.shape[0], 0, 4, *half.shape[2:])
        features = PoseFeatures(
            half, quarter, eighth, parts=logits.softmax(dim=1).to(logits.dtype), places=locate_parts(logits), body=body,
            observed=self.place_pose(activate(eighth)),
        )  # fmt: skip
        return PoseFeatures(*(rearrange(level, "(b t) ... -> b t ...", b=poses.shape[0]) for level in features))

    def _name_parts(self, half: Float[Tensor, "N D h w"]) -> Float[Tensor, "N G s h w"]:
        """Logits of the parts at every pixel."""
        logits = self.part_logits(activate(half))
        return split_pixels(functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False))

    def encode_frames(self, frames: Float[Tensor, "N C H W"]) -> FrameFeatures:
        """What posterior, prior and decoder see of frames."""
        subpixels = split_pixels(frames)
        return FrameFeatures(
            subpixels,
            half=self.frame_net(rearrange(subpixels, "n c s h w -> n (c s) h w")),
            observed=self.observer(functional.pixel_unshuffle(frames, 8)),
            colors=self._colors(frames),
        )

    def posterior(self, target: FrameFeatures, pose: PoseFeatures) -> Gaussian:
        """q(z_t | x_t, p_t)."""
        features = self.posterior_net(target.observed + pose.observed)
        mean, logvar = features.to(target.colors.dtype).chunk(2, dim=1)
        return Gaussian(mean + target.colors, bound_logvar(logvar))

    def prior(self, previous: FrameFeatures, pose: PoseFeatures) -> Gaussian:
        """N(0, I), or the learned prior p(z_t | x̂_t-1, p_t)."""
        zeros = torch.zeros_like(previous.colors)
        if not self.prior_net.sees_previous:
            return Gaussian(*self.prior_net(None, zeros))
        mean, logvar = self.prior_net(previous.observed + pose.observed, zeros)
        return Gaussian(mean + previous.colors, logvar)

    def _colors(self, frame: Float[Tensor, "N C H W"]) -> Float[Tensor, "N Z h w"]:
        """Mean colours of the places of z, in about [-2, 2], in its first channels; zeros in the others."""
        colors = 4 * (functional.avg_pool2d(frame, 8) - 0.5)
        return functional.pad(colors, (0, 0, 0, 0, 0, self.latent_shape[0] - colors.shape[1]))

    def decode(
        self,
        previous: FrameFeatures,
        pose: PoseFeatures,
        z: Float[Tensor, "N Z h w"],
        prior: Gaussian,
        context: Anchor | None,
        carry: None,
    ) -> tuple[Float[Tensor, "N C H W"], None]:
        """Move the looks, paint what changes, and blend."""
        before, news = previous.subpixels, z - prior.mean
        half = previous.half + pose.half
        looks = torch.full_like(before, 0.5)
        if context is not None:
            looks = fetch_looks(context.looks, pose.parts)
            moved = warp_parts(context.frame, pose.parts, pose.places, context.places).to(before.dtype)
            fetched = rearrange(torch.cat([looks, moved], dim=1), "n c s h w -> n (c s) h w")
            half = half + context.features + self.place_looks(fetched)
        quarter = self.paint_quarter(self.down_quarter(half) + pose.quarter)
        eighth = self.paint_eighth(self.down_eighth(quarter) + pose.eighth + self.place_z(news))
        quarter = self.outer_quarter(quarter + self.up_quarter(eighth))
        half = self.paint_half(half + self.up_half(quarter))

        # the blend is computed in the frames' precision, also under autocast
        out = rearrange(self.head(activate(half)), "n (c s) h w -> n c s h w", s=4).to(before.dtype)
        channels = self.shape.channels
        detail, residual, weights = torch.split(out, [channels, channels, self.sources], dim=1)
        weights = torch.cat([weights[:, :1] + pose.body[:, None], weights[:, 1:]], dim=1).softmax(dim=1)
        frame = weights[:, :1] * (looks + torch.tanh(detail) / 2) + weights[:, 1:2] * before + residual / 10
        if context is not None:
            frame = frame + weights[:, 2:3] * context.scene + weights[:, 3:] * moved
        return join_pixels(frame) + self._shift_colors(eighth, news), None

    def _shift_colors(
        self, eighth: Float[Tensor, "N F h w"], news: Float[Tensor, "N Z h w"]
    ) -> Float[Tensor, "N C H W"]:
        """By how much the places of z change their colours: what z tells, as far as it is to be trusted."""
        shift = torch.sigmoid(self.trust(activate(eighth))) * self.told(news)
        return functional.interpolate(shift.to(news.dtype), scale_factor=8, mode="bilinear", align_corners=False)


def _gaussian_layers(width: int, z: int) -> nn.Module:
    last = nn.Conv2d(width, 2 * z, 1)
    assert last.bias is not None
    nn.init.constant_(last.bias[z:], -4.0)  # logvar: precise at first, so that z is worth listening to
    return nn.Sequential(ResBlock(width), nn.LeakyReLU(0.1), last)
