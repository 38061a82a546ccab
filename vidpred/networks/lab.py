"""The stock networks of the university lab that students of this task know, at full resolution.

Names inside the sequences follow the lab's public checkpoints. In the notation R residual, D depth-conv block:

    frame encoder   3 → F     R(3,F/8) D R(F/8,F/4) D R(F/4,F/2) D conv3
    pose encoder    P → L     reflect-pad 3, conv7, BatchNorm, leaky slope 1, R(L/2,L)
    posterior       F+L → N   R(·,N/4) D R(N/4,N/2) D R(N/2,N) leaky slope 1, conv1 to mean and logvar
    fusion          F+L+N → D D R(·,c/4) D(c/4,c/2) R D(c/2,D/2) conv1
    generator       D → 3     D R(D,D/2) D R(D/2,D/4) D R(D/4,D/8) D conv1
"""

from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vidpred.networks.latent import PriorFactory, StandardPrior
from vidpred.types import FrameShape, Gaussian

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda frame: frame,
    "sigmoid": torch.sigmoid,
    "clamp": lambda frame: frame.clamp(0, 1),
}


class ResidualBlock(nn.Module):
    """conv3 → leaky → conv3 → leaky, plus the input (through a 1×1 where widths differ)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.leaky_relu = nn.LeakyReLU(0.01)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N E H W"]:
        """Frames of features of another width, at the same resolution."""
        inner = self.leaky_relu(self.conv2(self.leaky_relu(self.conv1(x))))
        return torch.add(inner, self.skip(x))


class DepthConv(nn.Module):
    """1×1 → leaky → depthwise 3×3 → 1×1, plus the input (through a 1×1 where widths differ)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(inputs, inputs, 1), nn.LeakyReLU(0.01))
        self.depth_conv = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1)
        self.adaptor = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N E H W"]:
        """Frames of features of another width, at the same resolution."""
        return torch.add(self.conv2(self.depth_conv(self.conv1(x))), self.adaptor(x))


class ConvFFN(nn.Module):
    """1×1 to four times the width, split, first · leaky(second), 1×1 back, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * width, 1)
        self.conv_out = nn.Conv2d(2 * width, width, 1)
        self.leaky_relu = nn.LeakyReLU(0.1)

    def forward(self, x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N D H W"]:
        """Features of the same width and resolution."""
        value, gate = self.conv(x).chunk(2, dim=1)
        return torch.add(x, self.conv_out(value * self.leaky_relu(gate)))


class DepthConvBlock(nn.Module):
    """DepthConv, then ConvFFN."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(DepthConv(inputs, outputs), ConvFFN(outputs))

    def forward(self, x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N E H W"]:
        """Frames of features of another width, at the same resolution."""
        features: Tensor = self.block(x)
        return features


class FrameNorm(nn.BatchNorm2d):
    """A BatchNorm that may take every frame's own statistics.

    Args:
        features: channels.
        mode: "running" is BatchNorm's: statistics of the batch in training, running ones in evaluation. "batch" always
            normalizes a frame by itself, with the mean and the biased variance over its pixels: what BatchNorm in
            training mode does to a batch of one frame.
    """

    def __init__(self, features: int, *, mode: str) -> None:
        super().__init__(features)
        self.mode = mode

    def forward(self, x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N D H W"]:
        """Frames of the same shape."""
        if self.mode == "batch":
            return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return super().forward(x)


def _halving(inputs: int, widths: tuple[int, ...]) -> list[nn.Module]:
    """Residual and depth-conv blocks in turn, from one width to the next."""
    layers: list[nn.Module] = []
    for before, after in zip((inputs, *widths[:-1]), widths, strict=True):
        layers += [ResidualBlock(before, after), DepthConvBlock(after, after)]
    return layers


def _gaussian_layers(inputs: int, z: int) -> nn.Sequential:
    return nn.Sequential(
        *_halving(inputs, (z // 4, z // 2)), ResidualBlock(z // 2, z), nn.LeakyReLU(1.0), nn.Conv2d(z, 2 * z, 1)
    )


class LabCVAE(nn.Module):
    """The stock conditional VAE: 1.586 M parameters at the stock widths.

    Its pose encoder has a BatchNorm. With ``bn_mode="running"`` it sees all B·T poses of a batch at once in training,
    and its running statistics in a rollout. The lab's template often left it in training mode when it tested, on one
    clip and one frame at a time: every frame then has its own statistics, and running ones do not fit the weights. Such
    checkpoints need ``bn_mode="batch"``, in which a frame is always normalized by itself.

    Args:
        shape: of frames and pose maps; any height and width from 4 pixels on.
        prior: builds the prior, standard or learned.
        frame_width: F, channels of frame features; a multiple of 8.
        pose_width: L, channels of pose features; even.
        z_channels: N, channels of z, one map a pixel; a multiple of 4.
        fused_width: D, channels of fused features; a multiple of 8.
        activation: of the output: "none" (the reference), "sigmoid" or "clamp".
        bn_mode: "running" or "batch", see above.

    Raises:
        ValueError: for widths that do not divide, an unknown activation or mode, or a frame that is too small.
    """

    parallel = True

    def __init__(
        self,
        shape: FrameShape,
        *,
        prior: PriorFactory = StandardPrior,
        frame_width: int = 128,
        pose_width: int = 32,
        z_channels: int = 12,
        fused_width: int = 192,
        activation: str = "none",
        bn_mode: str = "running",
    ) -> None:
        super().__init__()
        sizes = {"frame_width": (frame_width, 8), "pose_width": (pose_width, 2)}
        sizes |= {"z_channels": (z_channels, 4), "fused_width": (fused_width, 8)}
        for name, (width, divisor) in sizes.items():
            if width < divisor or width % divisor:
                raise ValueError(f"model.{name} must be a multiple of {divisor}, got {width}")
        fused_input = frame_width + pose_width + z_channels
        if fused_input % 4:
            raise ValueError(f"frame_width + pose_width + z_channels must be a multiple of 4, got {fused_input}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"model.activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}")
        if bn_mode not in ("running", "batch"):
            raise ValueError(f"model.bn_mode must be 'running' or 'batch', got {bn_mode!r}")
        if min(shape.height, shape.width) < 4:
            raise ValueError(f"model=lab takes frames of at least 4x4 pixels, got {shape.height}x{shape.width}")
        self.shape, self.activation = shape, activation
        self.latent_shape = (z_channels, shape.height, shape.width)
        f, d, c = frame_width, fused_width, fused_input
        self.frame_encoder = nn.Sequential(
            *_halving(shape.channels, (f // 8, f // 4, f // 2)), nn.Conv2d(f // 2, f, 3, padding=1)
        )
        self.pose_encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(shape.pose_channels, pose_width // 2, 7),
            FrameNorm(pose_width // 2, mode=bn_mode),
            nn.LeakyReLU(1.0),
            ResidualBlock(pose_width // 2, pose_width),
        )
        self.gaussian_predictor = _gaussian_layers(frame_width + pose_width, z_channels)
        self.decoder_fusion = nn.Sequential(
            DepthConvBlock(c, c), ResidualBlock(c, c // 4), DepthConvBlock(c // 4, c // 2),
            ResidualBlock(c // 2, c // 2), DepthConvBlock(c // 2, d // 2), nn.Conv2d(d // 2, d, 1),
        )  # fmt: skip
        self.generator = nn.Sequential(
            DepthConvBlock(d, d), *_halving(d, (d // 2, d // 4, d // 8)), nn.Conv2d(d // 8, shape.channels, 1)
        )
        self.prior_net = prior(partial(_gaussian_layers, frame_width + pose_width, z_channels))

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> None:
        """Nothing: the stock networks see the previous frame alone."""

    def encode_poses(
        self, poses: Float[Tensor, "B T P H W"], context: None, gap: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T L H W"]:
        """Pose features of all frames at once; the stock networks are not told of gaps."""
        features: Tensor = self.pose_encoder(rearrange(poses, "b t p h w -> (b t) p h w"))
        return rearrange(features, "(b t) l h w -> b t l h w", b=poses.shape[0])

    def encode_frames(self, frames: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F H W"]:
        """Features of true frames for the posterior, and of previous ones for decoder and prior."""
        features: Tensor = self.frame_encoder(frames)
        return features.to(frames.dtype)  # under autocast too: z and frames take their precision from here

    def posterior(self, target: Float[Tensor, "N F H W"], pose: Float[Tensor, "N L H W"]) -> Gaussian:
        """q(z_t | x_t, p_t)."""
        return Gaussian(*self.gaussian_predictor(torch.cat([target, pose], dim=1)).chunk(2, dim=1))

    def prior(self, previous: Float[Tensor, "N F H W"], pose: Float[Tensor, "N L H W"]) -> Gaussian:
        """N(0, I), or the learned prior p(z_t | x̂_t-1, p_t)."""
        features = torch.cat([previous, pose], dim=1) if self.prior_net.sees_previous else None
        gaussian: Gaussian = self.prior_net(features, previous.new_zeros(previous.shape[0], *self.latent_shape))
        return gaussian

    def decode(
        self,
        previous: Float[Tensor, "N F H W"],
        pose: Float[Tensor, "N L H W"],
        z: Float[Tensor, "N Z H W"],
        prior: Gaussian,
        carry: None,
    ) -> tuple[Float[Tensor, "N C H W"], None]:
        """Fuse previous frame, pose and z, and generate the frame."""
        fused = self.decoder_fusion(torch.cat([previous, pose, z], dim=1))
        frame: Tensor = self.generator(fused)
        return _ACTIVATIONS[self.activation](frame.to(previous.dtype)), None
