"""The default model: a light recurrent painter, told by the pose what is where, and by the context how it looks.

What depends on poses and context alone is computed outside of the loop over time: a U-Net gives every place of a pose
map a name; a second U-Net, which sees the context's frames, corrects the names there, takes the person out of the last
frame and paints what is behind; the context's pixels are fetched to the places of the same names, at a second look,
which knows what the first has found. A step sees the previous frame and z, and corrects; z may say which colours its
places have. Sources of features are added, not concatenated.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.correspondence import Fetched, Memory, fetch, fetch_hints, join_pixels, remember, split_pixels
from vidpred.networks.inpainting import inpaint, repeat_pattern
from vidpred.networks.latent import PriorFactory, StandardPrior, bound_logvar
from vidpred.networks.layers import Down, GapNote, ResBlock, UNet, Up, activate
from vidpred.types import FrameShape, Gaussian

PLACES = 1024  # in a frame that have a name, at most, where a resolution allows it: attention costs their square
SHARPNESS = 20.0  # of attention between names, at the start
FILLS = (  # of the scene where the person is: what repeats, then what is around, along rows, along columns
    repeat_pattern,
    inpaint,
    partial(inpaint, pool=(1, 2)),
    partial(inpaint, pool=(2, 1)),
)


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


class Anchor(NamedTuple):
    """What is kept from the context."""

    scene: Float[Tensor, "N C s h w"]  # the last context frame, with the person and the person's shade taken out
    features: Float[Tensor, "N D h w"]
    memory: Memory  # the context frames, and in a last channel what was taken out of them


class CVAE(nn.Module):
    """Our conditional VAE.

    Every pixel of the frame is a blend of what is painted anew, the previous frame, the scene and the moved context.
    What z tells beyond its prior's mean m_t takes part in painting, and moves the mean colours of its places, as far as
    it is to be trusted:

        painted = w₁ ⊙ (looks + ½ tanh(detail)) + w₂ ⊙ x_t-1 + w₃ ⊙ scene + w₄ ⊙ moved,
        x̂_t = painted + enlarge(trust ⊙ told(z_t − m_t)),

    with w a softmax over the four, scene the last context frame without the person, in the shade of the present pose,
    looks and moved what the context shows where its pose is like the present one (see ``fetch``). Without an anchor
    there are only the first two, and looks are grey. At z = m_t no colour leaves [−½, 1½], however long a rollout: a
    residual that is added to every frame would sum up beyond the length of training clips.

    Shade goes with the pose: with s a network's image of the pose alone, in [−½, ½],

        scene_t = fill(context · exp(−s(context's pose))) · exp(s(pose_t)),

    so that the context's shadow does not stay where the person has been, and the scene is not touched where the two
    poses have nothing different to say.

    The first step of a training clip may have frames left out before it, and is told how many (see ``GapNote``).

    The posterior's mean starts near the colours of its places, the learned prior's near those of the previous frame,
    and told as their inverse: z lives from the first step on. Where it has to be discovered it had no part in the
    frames after hundreds of steps. That z = m_t leaves the forecast alone matters as much: where it does not, rollouts
    at the mean teach the decoder to ignore z.

    Args:
        shape: of frames and pose maps; height and width are multiples of 8, from 16 on.
        prior: builds the prior, standard or learned.
        widths: channels of the features at half, quarter and eighth resolution.
        blocks: residual blocks of the step at each resolution.
        name_channels: G, of the names by which places of the context are found. A place is 2×2 pixels of a 64×64 frame;
            in larger ones it is 4×4 or 8×8, so that there are 1024 if possible.
        hint_channels: F, of what is told of the context's places besides their colours.
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
        channels = shape.channels
        self.shape, self.anchor = shape, anchor
        self.latent_shape = (z_channels, shape.height // 8, shape.width // 8)

        self.pose_net = UNet(shape.pose_channels, (half, quarter, eighth))
        self.body_logits = nn.Conv2d(half, 4, 1)
        assert self.body_logits.bias is not None
        nn.init.constant_(self.body_logits.bias, -2.0)  # training starts near copying
        if anchor:
            sizes = [shape.height * shape.width // stride**2 for stride in (2, 4, 8)]
            self._named = next((level for level, size in enumerate(sizes) if size <= PLACES), 2)
            self.namer = nn.Conv2d(widths[self._named], name_channels, 1)
            self.keyer = nn.Conv2d(widths[self._named], name_channels, 1, bias=False)
            nn.init.zeros_(self.keyer.weight)
            self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
            self.scene_net = UNet(channels + shape.pose_channels, (half, quarter, eighth))
            self.hider = nn.Conv2d(half, 4, 3, padding=1)
            self.place_fills = nn.Conv2d(4 * channels * len(FILLS), half, 3, padding=1)
            self.refine_scene = ResBlock(half)
            self.scene_head = nn.Conv2d(half, 4 * (channels + len(FILLS)), 3, padding=1)
            self.place_looks = nn.Conv2d(4 * (2 * channels + 1), half, 3, padding=1)
            self.shade_net = nn.Conv2d(half, 1, 3, padding=1, bias=False)
            nn.init.zeros_(self.shade_net.weight)
            self.hint_net = nn.Conv2d(widths[self._named], hint_channels, 1)
            self.hint_first, self.hint_again = (nn.Conv2d(hint_channels, half, 3, padding=1) for _ in range(2))
            self.hint_block = ResBlock(half)
            self.hint_names = nn.Conv2d(half, name_channels, 1, bias=False)
            nn.init.zeros_(self.hint_names.weight)

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
            nn.Sequential(*(ResBlock(width) for _ in range(count)))
            for width, count in zip((half, quarter, eighth), blocks, strict=True)
        )
        self.up_quarter, self.up_half = Up(eighth, quarter), Up(quarter, half)
        self.outer_quarter = ResBlock(quarter)
        self.sources = 4 if anchor else 2
        self.head = nn.Conv2d(half, 4 * (channels + self.sources), 3, padding=1)

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> Anchor | None:
        """The scene of the last frame, its features, and all K frames to fetch pixels from."""
        if not self.anchor:
            return None
        clips = frames.shape[0]
        levels = self.pose_net(rearrange(poses, "b k p h w -> (b k) p h w"))
        seen = self.scene_net(rearrange(torch.cat([frames, poses], dim=2), "b k c h w -> (b k) c h w"))
        by_clip = partial(rearrange, pattern="(b k) ... -> b k ...", b=clips)
        place, look = (activate(features[self._named]) for features in (levels, seen))
        names = _to_unit(self.namer(place) + self.keyer(look))  # seen: which limb is in front, and what is worn
        hints = self.hint_net(place + look)
        hidden = torch.sigmoid(self.hider(activate(seen[0])).to(frames.dtype) - 2)
        masks, features = by_clip(functional.pixel_shuffle(hidden, 2)), by_clip(seen[0])[:, -1]
        unshaded = frames[:, -1] * torch.exp(-by_clip(self._shade(levels, frames.dtype))[:, -1])
        scene, features = self._paint_scene(unshaded, masks[:, -1], features)
        images = torch.cat([frames, masks], dim=2)
        return Anchor(scene, features, remember(images, by_clip(names), by_clip(hints), colors=frames.shape[2]))

    def _paint_scene(
        self, frame: Float[Tensor, "B C H W"], hidden: Float[Tensor, "B 1 H W"], features: Float[Tensor, "B D h w"]
    ) -> tuple[Float[Tensor, "B C s h w"], Float[Tensor, "B D h w"]]:
        """A frame with what is hidden painted over, Σ w_i ⊙ fill_i + hidden ⊙ ½ tanh(painted), and its features.

        First filled, then refined by a network that sees the fills, as in Yu et al. 2018 (arXiv 1801.07892).
        """
        fills = torch.stack([split_pixels(fill(frame, hidden)) for fill in FILLS], dim=1)
        features = self.refine_scene(features + self.place_fills(rearrange(fills, "b f c s h w -> b (f c s) h w")))
        out = rearrange(self.scene_head(activate(features)), "b (c s) h w -> b c s h w", s=4)
        weights, painted = torch.split(out.to(frame.dtype), [len(FILLS), self.shape.channels], dim=1)
        blend = (weights.softmax(dim=1)[:, :, None] * fills).sum(dim=1)
        return blend + split_pixels(hidden) * torch.tanh(painted) / 2, features

    def encode_poses(
        self, poses: Float[Tensor, "B T P H W"], context: Anchor | None, skipped: Float[Tensor, " B"] | None = None
    ) -> PoseFeatures:
        """Features of all poses, and what the context shows at their places."""
        clips = poses.shape[0]
        levels = self.pose_net(rearrange(poses, "b t p h w -> (b t) p h w"))
        by_clip = partial(rearrange, pattern="(b t) ... -> b t ...", b=clips)
        body, observed = self.body_logits(activate(levels[0])), self.place_pose(activate(levels[2]))
        half, quarter, eighth, body, observed = map(by_clip, (*levels, body, observed))
        if skipped is not None:
            half, eighth = self.gap_half(half, skipped), self.gap_eighth(eighth, skipped)
        if context is None:
            looks = poses.new_full((*half.shape[:2], self.shape.channels, 4, *half.shape[-2:]), 0.5)
            nothing = looks.new_empty(*looks.shape[:2], 0, *looks.shape[2:])
            return PoseFeatures(half, quarter, eighth, body, observed, looks, kept=nothing)
        half, fetched = self._look_back(context, levels[self._named], half + context.features[:, None])
        looks = by_clip(_enlarge(fetched.looks.flatten(0, 1), self.shape.height, self.shape.width))
        looks, moved = split_pixels(looks), split_pixels(fetched.moved)
        colors = rearrange(torch.cat([looks, moved], dim=2), "b t c s h w -> (b t) (c s) h w")
        half = half + by_clip(self.place_looks(colors)) + self._place(self.hint_again, fetched.hints)
        scene = context.scene[:, None] * split_pixels(by_clip(torch.exp(self._shade(levels, moved.dtype))))
        kept = torch.stack([scene.clamp(-0.5, 1.5), moved[:, :, :-1]], dim=2)  # without what was taken out
        return PoseFeatures(half, quarter, eighth, body, observed, looks, kept)

    def _shade(self, levels: Sequence[Tensor], kind: torch.dtype) -> Float[Tensor, "N 1 H W"]:
        """s, the logarithm of what a person leaves of the light, in the frames' precision."""
        shade = torch.tanh(self.shade_net(activate(levels[0])).to(kind)) / 2
        return functional.interpolate(shade, scale_factor=2, mode="bilinear", align_corners=False)

    def _look_back(
        self, context: Anchor, place: Float[Tensor, "N E i j"], half: Float[Tensor, "B T D h w"]
    ) -> tuple[Float[Tensor, "B T D h w"], Fetched]:
        """What the context shows, found by names that are corrected by a first, coarse look."""
        by_clip = partial(rearrange, pattern="(b t) ... -> b t ...", b=half.shape[0])
        names = self.namer(activate(place))
        coarse = functional.avg_pool2d(names, 2, ceil_mode=True)
        first = fetch_hints(context.memory, by_clip(_to_unit(coarse)), self.sharpness)
        half = half + self._place(self.hint_first, first)
        flat = self.hint_block(half.flatten(0, 1))
        ratio = flat.shape[-1] // names.shape[-1]
        names = names + functional.avg_pool2d(self.hint_names(activate(flat)), ratio)
        return by_clip(flat), fetch(context.memory, by_clip(_to_unit(names)), self.sharpness)

    def _place(self, layer: nn.Module, hints: Float[Tensor, "B T F i j"]) -> Float[Tensor, "B T D h w"]:
        """Hints as features at half resolution."""
        flat: Tensor = layer(hints.flatten(0, 1))
        placed = _enlarge(flat, self.shape.height // 2, self.shape.width // 2)
        return rearrange(placed, "(b t) ... -> b t ...", b=hints.shape[0])

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
        if self.anchor:
            frame = frame + (weights[:, 2:, None] * pose.kept).sum(dim=1)
        return join_pixels(frame) + self._shift_colors(eighth, news), None

    def _shift_colors(
        self, eighth: Float[Tensor, "N F h w"], news: Float[Tensor, "N Z h w"]
    ) -> Float[Tensor, "N C H W"]:
        """By how much the places of z change their colours: what z tells, as far as it is to be trusted."""
        shift = torch.sigmoid(self.trust(activate(eighth))) * self.told(news)
        return functional.interpolate(shift.to(news.dtype), scale_factor=8, mode="bilinear", align_corners=False)


def _enlarge(images: Float[Tensor, "N D i j"], height: int, width: int) -> Float[Tensor, "N D I J"]:
    """Images of a size, by bilinear interpolation; those that have it already, as they are."""
    if images.shape[-2:] == (height, width):
        return images
    return functional.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)


def _to_unit(names: Float[Tensor, "N G h w"]) -> Float[Tensor, "N G h w"]:
    """Names of length 1, in float32 at least."""
    return functional.normalize(names.to(torch.promote_types(names.dtype, torch.float32)), dim=1)


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
    return nn.Sequential(ResBlock(width), nn.LeakyReLU(0.1), last)
