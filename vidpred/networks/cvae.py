"""The default model: a light recurrent painter, told by the pose what is where, and by the context how it looks.

What depends on poses and context alone is computed outside of the loop over time: a U-Net's features of every pose map,
and what the context shows there (see ``anchor``). A step sees the previous frame and z, and corrects; z may say which
colours its places have. Sources of features are added, not concatenated.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.anchor import Anchor, Context
from vidpred.networks.features import unfold_steps
from vidpred.networks.latent import PriorFactory, StandardPrior, bound_logvar
from vidpred.networks.layers import (
    SLOPE,
    Down,
    GapNote,
    ResBlock,
    UNet,
    Up,
    activate,
    enlarge,
    join_pixels,
    split_pixels,
)
from vidpred.types import FrameShape, Gaussian


class PoseFeatures(NamedTuple):
    """What a pose map tells, and what the context does about it; s = 4 subpixels of every half-resolution place."""

    half: Float[Tensor, "*N D h w"]
    quarter: Float[Tensor, "*N E h/2 w/2"]
    eighth: Float[Tensor, "*N F h/4 w/4"]
    body: Float[Tensor, "*N s h w"]  # logit of painting anew
    observed: Float[Tensor, "*N L h/4 w/4"]  # what posterior and prior see of it
    looks: Float[Tensor, "*N C s h w"]  # colours that painting starts from
    kept: Float[Tensor, "*N m C s h w"]  # scene and moved context, to be blended in; m = 0 without an anchor


class FrameFeatures(NamedTuple):
    """What a frame tells."""

    subpixels: Float[Tensor, "N C s h w"]  # the frame itself
    half: Float[Tensor, "N D h w"]  # what the step sees of it
    observed: Float[Tensor, "N L h/4 w/4"]  # what posterior and prior see of it
    colors: Float[Tensor, "N Z h/4 w/4"]  # mean colours of the places of z


class CVAE(nn.Module):
    """Our conditional VAE.

    Every pixel of the frame is a blend of what is painted anew, the previous frame, the scene and the moved context.
    What z tells beyond its prior's mean m_t takes part in painting, and moves the mean colours of its places, as far as
    it is to be trusted:

        painted = w₁ ⊙ (looks + ½ tanh(detail)) + w₂ ⊙ x_t-1 + w₃ ⊙ scene + w₄ ⊙ moved,
        x̂_t = painted + enlarge(trust ⊙ clamp(told(z_t − m_t), −1, 1)),

    with w a softmax over the four, scene the last context frame without the person, in the shade of the present pose,
    looks and moved what the context shows where its pose is like the present one (see ``Anchor``). Without an anchor
    there are only the first two, and looks are grey. At z = m_t no colour leaves [−½, 1½], however long a rollout: a
    residual that is added to every frame would sum up beyond the length of training clips. Whatever z is, none leaves
    [−1½, 2½]: a step that makes up for the step before, and for more than that, would otherwise be made up for in turn.

    The first step of a training clip is told how far its context is (see ``GapNote``).

    The posterior's mean starts near the colours of its places, the learned prior's near those of the previous frame,
    and told as their inverse: z lives from the first step on. Where it has to be discovered it had no part in the
    frames after hundreds of steps. That z = m_t leaves the forecast alone matters as much: where it does not, rollouts
    at the mean teach the decoder to ignore z.

    Args:
        shape: of frames and pose maps; height and width are multiples of 8, from 16 on.
        prior: builds the prior, standard or learned.
        widths: channels of the features at half, quarter and eighth resolution.
        blocks: residual blocks of the step at each resolution.
        name_channels: G, of the names by which an anchor finds places of the context.
        hint_channels: F, of what it is told of them besides their colours.
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
        name_channels: int = 16,
        hint_channels: int = 24,
        z_channels: int = 8,
        anchor: bool = True,
    ) -> None:
        super().__init__()
        _check_sizes(shape, widths, blocks, (name_channels, hint_channels, z_channels))
        half, quarter, eighth = widths
        channels, scales = shape.channels, (half, quarter, eighth)
        self.shape = shape
        self.latent_shape = (z_channels, shape.height // 8, shape.width // 8)

        self.pose_net = UNet(shape.pose_channels, scales)
        self.body_logits = nn.Conv2d(half, 4, 1)
        assert self.body_logits.bias is not None
        nn.init.constant_(self.body_logits.bias, -2.0)  # training starts near copying
        self.anchor = (
            Anchor(shape, scales, name_channels=name_channels, hint_channels=hint_channels) if anchor else None
        )

        observed = max(1, eighth // 2)
        self.observer = nn.Conv2d(64 * channels, observed, 3, padding=1)
        self.place_pose = nn.Conv2d(eighth, observed, 1)
        self.gap_half, self.gap_eighth = GapNote(half), GapNote(eighth)
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
            nn.Sequential(*(ResBlock(width) for _ in range(count))) for width, count in zip(scales, blocks, strict=True)
        )
        self.up_quarter, self.up_half = Up(eighth, quarter), Up(quarter, half)
        self.outer_quarter = ResBlock(quarter)
        self.sources = 4 if anchor else 2
        self.head = nn.Conv2d(half, 4 * (channels + self.sources), 3, padding=1)

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> Context | None:
        """The scene of the last frame, its features, and all K frames to fetch pixels from."""
        if self.anchor is None:
            return None
        return self.anchor.keep(frames, poses, self.pose_net(rearrange(poses, "b k p h w -> (b k) p h w")))

    def encode_poses(
        self, poses: Float[Tensor, "B T P H W"], context: Context | None, gap: Float[Tensor, " B"] | None = None
    ) -> PoseFeatures:
        """Features of all poses, and what the context shows at their places."""
        levels = self.pose_net(rearrange(poses, "b t p h w -> (b t) p h w"))
        body, observed = self.body_logits(activate(levels[0])), self.place_pose(activate(levels[2]))
        half, quarter, eighth, body, observed = unfold_steps((*levels, body, observed), poses.shape[0])
        if gap is not None:
            half, eighth = self.gap_half(half, gap), self.gap_eighth(eighth, gap)
        if self.anchor is None:
            looks = poses.new_full((*half.shape[:2], self.shape.channels, 4, *half.shape[-2:]), 0.5)
            nothing = looks.new_empty(*looks.shape[:2], 0, *looks.shape[2:])
            return PoseFeatures(half, quarter, eighth, body, observed, looks, kept=nothing)
        half, looks, kept = self.anchor(context, half, levels)
        return PoseFeatures(half, quarter, eighth, body, observed, looks, kept)

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
        carry: None,
    ) -> tuple[Float[Tensor, "N C H W"], None]:
        """Paint what changes, and blend."""
        before, news = previous.subpixels, z - prior.mean
        half = previous.half + pose.half
        quarter = self.paint_quarter(self.down_quarter(half) + pose.quarter)
        eighth = self.paint_eighth(self.down_eighth(quarter) + pose.eighth + self.place_z(news))
        quarter = self.outer_quarter(quarter + self.up_quarter(eighth))
        half = self.paint_half(half + self.up_half(quarter))

        # the blend is computed in the frames' precision, also under autocast
        out = rearrange(self.head(activate(half)), "n (c s) h w -> n c s h w", s=4).to(before.dtype)
        detail, weights = torch.split(out, [self.shape.channels, self.sources], dim=1)
        weights = torch.cat([weights[:, :1] + pose.body[:, None], weights[:, 1:]], dim=1).softmax(dim=1)
        frame = weights[:, :1] * (pose.looks + torch.tanh(detail) / 2) + weights[:, 1:2] * before
        if self.anchor is not None:
            frame = frame + (weights[:, 2:, None] * pose.kept).sum(dim=1)
        return join_pixels(frame) + self._shift_colors(eighth, news), None

    def _shift_colors(
        self, eighth: Float[Tensor, "N F h w"], news: Float[Tensor, "N Z h w"]
    ) -> Float[Tensor, "N C H W"]:
        """By how much the places of z change their colours: what z tells, as far as it is to be trusted, in [−1, 1]."""
        shift = torch.sigmoid(self.trust(activate(eighth))) * self.told(news).clamp(-1, 1)
        return enlarge(shift.to(news.dtype), self.shape.height, self.shape.width)


def _check_sizes(
    shape: FrameShape, widths: Sequence[int], blocks: Sequence[int], channels: tuple[int, int, int]
) -> None:
    if shape.height % 8 or shape.width % 8 or min(shape.height, shape.width) < 16:
        raise ValueError(
            f"model=cvae halves frames three times: height and width must be multiples of 8 and at least 16, "
            f"got {shape.height}x{shape.width}"
        )
    if (len(widths), len(blocks)) != (3, 3) or min(*widths, *channels) < 1 or min(blocks) < 0:
        raise ValueError(
            f"model=cvae needs three positive widths, three numbers of blocks, name_channels, hint_channels and "
            f"z_channels >= 1, got {list(widths)}, {list(blocks)}, {channels}"
        )


def _gaussian_layers(width: int, z: int) -> nn.Module:
    last = nn.Conv2d(width, 2 * z, 1)
    assert last.bias is not None
    nn.init.constant_(last.bias[z:], -4.0)  # logvar: precise at first, so that z is worth listening to
    return nn.Sequential(ResBlock(width), nn.LeakyReLU(SLOPE), last)
