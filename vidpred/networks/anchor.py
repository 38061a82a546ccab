"""What the context shows at the places of every pose: its scene, and its pixels, found by the names of places."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.correspondence import Fetched, Memory, fetch, fetch_hints, remember
from vidpred.networks.features import unfold_steps
from vidpred.networks.layers import ResBlock, UNet, activate, enlarge, split_pixels
from vidpred.networks.scene import Scene, Shade
from vidpred.types import FrameShape

PLACES = 1024  # in a frame that have a name, at most, where a resolution allows it: attention costs their square
SHARPNESS = 20.0  # of attention between names, at the start


class Context(NamedTuple):
    """What is kept from the context."""

    scene: Float[Tensor, "N C s h w"]  # the last context frame, with the person and the person's shade taken out
    features: Float[Tensor, "N D h w"]
    memory: Memory  # the context frames, and in a last channel what was taken out of them


class Shown(NamedTuple):
    """What the context shows at the places of poses; s = 4 subpixels of every half-resolution place."""

    half: Float[Tensor, "B T D h w"]  # features, of the pose and of all that was found
    looks: Float[Tensor, "B T C s h w"]  # colours, on average
    kept: Float[Tensor, "B T 2 C s h w"]  # the scene in the pose's shade; the context, moved


class Anchor(nn.Module):
    """The scene and the looks of the context's person, for every pose.

    A network gives every place i of a pose map a name n_i. Those of the context's poses become keys, which see its
    frames as well (which limb is in front, and what is worn), and have hints: features of pose and frame. The context
    is looked at twice (see ``fetch``),

        first_i = Σ_j a(n̄_i)_j · hint_j,    n̄ the mean names of 2×2 places,
        found_i = fetch(n_i + δ(features, first)_i),

    with a the attention, δ a network, and features those of the pose: what is seen at the first look tells where to
    look again, as optical flow is refined in Teed & Deng 2020 (arXiv 2003.12039). As built, δ = 0, and keys are names.

    Shade goes with the pose: with s(p) as in ``Shade``,

        scene_t = Scene(context · exp(−s(context's pose))) · exp(s(pose_t)),

    so that the context's shadow does not stay where the person has been, and the scene is not touched where the two
    poses have nothing different to say. It stays in [−½, 1½].

    Args:
        shape: of frames and pose maps.
        widths: channels of a pose's features at half, quarter and eighth resolution.
        name_channels: G, of a name. A place is 2×2 pixels of a 64×64 frame; in larger ones it is 4×4, or 8×8 where
            even those are more than 1024.
        hint_channels: F, of a hint.
    """

    def __init__(
        self, shape: FrameShape, widths: tuple[int, int, int], *, name_channels: int, hint_channels: int
    ) -> None:
        super().__init__()
        half, channels = widths[0], shape.channels
        self.height, self.width = shape.height, shape.width
        sizes = [shape.height * shape.width // stride**2 for stride in (2, 4, 8)]
        self.level = next((level for level, size in enumerate(sizes) if size <= PLACES), 2)
        width = widths[self.level]
        self.namer = nn.Conv2d(width, name_channels, 1)
        self.keyer = nn.Conv2d(width, name_channels, 1, bias=False)
        nn.init.zeros_(self.keyer.weight)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.frame_net = UNet(channels + shape.pose_channels, widths)
        self.scene = Scene(channels, half)
        self.place_looks = nn.Conv2d(4 * (2 * channels + 1), half, 3, padding=1)
        self.shade = Shade(half)
        self.hint_net = nn.Conv2d(width, hint_channels, 1)
        self.hint_first, self.hint_again = (nn.Conv2d(hint_channels, half, 3, padding=1) for _ in range(2))
        self.hint_block = ResBlock(half)
        self.hint_names = nn.Conv2d(half, name_channels, 1, bias=False)
        nn.init.zeros_(self.hint_names.weight)

    def keep(
        self,
        frames: Float[Tensor, "B K C H W"],
        poses: Float[Tensor, "B K P H W"],
        levels: tuple[Tensor, Tensor, Tensor],
    ) -> Context:
        """The scene of the last frame, and all K frames to fetch pixels from; ``levels`` are the poses' features."""
        seen = self.frame_net(rearrange(torch.cat([frames, poses], dim=2), "b k c h w -> (b k) c h w"))
        of_pose, of_frame = (activate(features[self.level]) for features in (levels, seen))
        found = (
            _to_unit(self.namer(of_pose) + self.keyer(of_frame)),
            self.hint_net(of_pose + of_frame),
            self.scene.hide(seen[0], frames.dtype),
            self.shade(levels[0], frames.dtype),
            seen[0],
        )
        names, hints, hidden, shade, features = unfold_steps(found, frames.shape[0])
        unshaded = frames[:, -1] * torch.exp(-shade[:, -1])
        scene, last = self.scene(unshaded, hidden[:, -1], features[:, -1])
        images = torch.cat([frames, hidden], dim=2)
        return Context(scene, last, remember(images, names, hints, colors=frames.shape[2]))

    def forward(
        self, context: Context, half: Float[Tensor, "B T D h w"], levels: tuple[Tensor, Tensor, Tensor]
    ) -> Shown:
        """What the context shows at T poses; ``half`` and ``levels`` are their features."""
        clips = half.shape[0]
        half, found = self._look_twice(context.memory, half + context.features[:, None], levels[self.level])
        enlarged = enlarge(found.looks.flatten(0, 1), self.height, self.width)
        looks, moved = split_pixels(unfold_steps(enlarged, clips)), split_pixels(found.moved)
        colors = rearrange(torch.cat([looks, moved], dim=2), "b t c s h w -> (b t) (c s) h w")
        half = half + unfold_steps(self.place_looks(colors), clips) + self._to_half(self.hint_again, found.hints)
        light = split_pixels(unfold_steps(torch.exp(self.shade(levels[0], moved.dtype)), clips))
        scene = (context.scene[:, None] * light).clamp(-0.5, 1.5)
        return Shown(half, looks, torch.stack([scene, moved[:, :, :-1]], dim=2))  # without what was taken out

    def _look_twice(
        self, memory: Memory, half: Float[Tensor, "B T D h w"], places: Float[Tensor, "N E i j"]
    ) -> tuple[Float[Tensor, "B T D h w"], Fetched]:
        """Features that know what a first, coarse look has found, and what a second one finds by their names."""
        clips, names = half.shape[0], self.namer(activate(places))
        coarse = functional.avg_pool2d(names, 2, ceil_mode=True)
        first = fetch_hints(memory, unfold_steps(_to_unit(coarse), clips), self.sharpness)
        flat = self.hint_block((half + self._to_half(self.hint_first, first)).flatten(0, 1))
        ratio = flat.shape[-1] // names.shape[-1]
        names = names + functional.avg_pool2d(self.hint_names(activate(flat)), ratio)
        found = fetch(memory, unfold_steps(_to_unit(names), clips), self.sharpness)
        return unfold_steps(flat, clips), found

    def _to_half(self, layer: nn.Module, hints: Float[Tensor, "B T F i j"]) -> Float[Tensor, "B T D h w"]:
        """Hints as features at half resolution."""
        features = enlarge(layer(hints.flatten(0, 1)), self.height // 2, self.width // 2)
        return rearrange(features, "(b t) ... -> b t ...", b=hints.shape[0])


def _to_unit(names: Float[Tensor, "N G h w"]) -> Float[Tensor, "N G h w"]:
    """Names of length 1, in float32 at least."""
    return functional.normalize(names.to(torch.promote_types(names.dtype, torch.float32)), dim=1)
