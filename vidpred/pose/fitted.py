"""A pose estimator that learns from frames with known keypoints: for pictures that no public one was made for.

A small encoder-decoder with skip connections gives every joint a distribution over the frame's pixels, as heatmaps do
(Tompson et al. 2014, arXiv 1406.2984), and "nowhere". Where most of it lies within a few pixels, the joint is found
there, at their mean (Sun et al. 2018, arXiv 1711.08229); where it does not, the joint is missing. What a missing joint
looks like is learned from frames a part of which is blurred away (after Zhong et al. 2017, arXiv 1708.04896).
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray as Array
from torch import Generator, Tensor, nn
from torch.nn import functional

from vidpred.pose.estimator import PoseError, stack_poses
from vidpred.pose.keypoints import present

VERSION = 1  # counts up when the same options come to learn something else
_TARGET = 1.0  # pixels, standard deviation of what the distribution of a joint should be
_NEAR = 3  # pixels around the best place that count to it
_BATCH = 32


class HeatmapNetwork(nn.Module):
    """Frames (N, 3, H, W) in [0, 1] to logits (N, J, H, W) of every joint's place.

    Args:
        joints: J.
        widths: channels at half, a quarter, … of the resolution.
    """

    def __init__(self, joints: int, *, widths: tuple[int, ...] = (32, 48, 64, 96)) -> None:
        super().__init__()
        inputs = (12, *widths[:-1])
        self.down = nn.ModuleList(_block(given, width) for given, width in zip(inputs, widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_block(deep + wide, wide) for deep, wide in pairs)
        self.head = nn.Conv2d(widths[0], joints, 1)

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N J H W"]:
        """Logits at every pixel."""
        height, width = frames.shape[-2:]
        even = functional.pad(frames - 0.5, (0, width % 2, 0, height % 2))
        features, kept = functional.pixel_unshuffle(even, 2), []
        for number, block in enumerate(self.down):
            features = block(functional.avg_pool2d(features, 2, ceil_mode=True) if number else features)
            kept.append(features)
        for block in self.up:
            kept.pop()
            large = functional.interpolate(features, size=kept[-1].shape[-2:], mode="bilinear")
            features = block(torch.cat([large, kept[-1]], dim=1))
        logits = functional.interpolate(self.head(features), scale_factor=2, mode="bilinear")
        return logits[..., :height, :width]


class FittedEstimator:
    """Learns to find the joints in frames of one size, from frames where they are known.

    Args:
        steps: of the optimizer, with 32 frames each.
        lr: highest learning rate.
        min_confidence: part of a joint's distribution that must lie around one place for it to be found.
        seed: of weights and batches.

    Raises:
        PoseError: for options out of their range.
    """

    def __init__(self, *, steps: int = 400, lr: float = 3e-3, min_confidence: float = 0.5, seed: int = 0) -> None:
        if steps < 1 or lr <= 0 or not 0 <= min_confidence <= 1:
            raise PoseError(f"pose_estimator needs steps >= 1, lr > 0 and min_confidence in [0, 1], got {steps}, {lr}, "
                            f"{min_confidence}")  # fmt: skip
        self.steps, self.lr, self.min_confidence, self.seed = steps, lr, min_confidence, seed
        self.joints: tuple[str, ...] = ()
        self._network: HeatmapNetwork | None = None

    def fit(
        self, frames: UInt8[Array, "N 3 H W"], keypoints: Float[Array, "N J _"], joints: tuple[str, ...], *,
        fingerprint: str, device: torch.device,
    ) -> None:  # fmt: skip
        """Learn, or read from the cache what was learned from the same frames.

        Args:
            frames: memory-mapped, or in memory.
            keypoints: x, y in pixels, and confidence if there is one.
            joints: their names.
            fingerprint: of the frames.
            device: to compute on.

        Raises:
            PoseError: if no frame has a joint that is present.
        """
        self.joints = joints
        torch.manual_seed(self.seed)
        network = HeatmapNetwork(len(joints)).to(device).to(memory_format=torch.channels_last)
        options = (VERSION, self.steps, self.lr, self.seed, joints, frames.shape, fingerprint)
        file = _cache_folder() / f"{hashlib.sha256(repr(options).encode()).hexdigest()[:16]}.pt"
        if file.is_file():
            network.load_state_dict(torch.load(file, map_location=device, weights_only=True))
        else:
            _learn(network, frames, keypoints, steps=self.steps, lr=self.lr, seed=self.seed)
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}-{os.getpid()}")
            torch.save(network.state_dict(), temporary)
            temporary.replace(file)
        self._network = network.eval()

    @torch.no_grad()
    def estimate(self, frames: Iterable[UInt8[Array, "H W 3"]]) -> Float[Array, "T J 3"]:
        """The joints of every frame: x, y and confidence; NaN, NaN, confidence where one is missing.

        Raises:
            PoseError: if nothing was learned yet.
        """
        if self._network is None:
            raise PoseError("this estimator has learned nothing yet: it needs frames whose keypoints are known, "
                            "choose pose_estimator=blazepose or keypoint_rcnn for others")  # fmt: skip
        weight = next(self._network.parameters())
        pixels = [rearrange(torch.from_numpy(np.array(frame)), "h w c -> c h w") for frame in frames]
        found = [
            locate(self._network(torch.stack(pixels[first : first + _BATCH]).to(weight) / 255))
            for first in range(0, len(pixels), _BATCH)
        ]
        poses = torch.cat(found).cpu().numpy() if found else np.empty((0, len(self.joints), 3), np.float32)
        poses[poses[..., 2] < self.min_confidence, :2] = np.nan
        return stack_poses(list(poses), len(self.joints))


def locate(logits: Float[Tensor, "N J H W"]) -> Float[Tensor, "N J 3"]:
    """The place around which most of each distribution lies: x, y in pixels, and that part of it."""
    frames, _, height, width = logits.shape
    mass = rearrange(_log_mass(logits)[..., :-1].exp(), "n j (h w) -> n j h w", h=height)
    kernel = mass.new_ones(1, 1, 2 * _NEAR + 1, 2 * _NEAR + 1)
    near = functional.conv2d(rearrange(mass, "n j h w -> (n j) 1 h w"), kernel, padding=_NEAR)
    part, best = near.flatten(1).max(dim=1)
    rows, columns = torch.arange(height, device=mass.device), torch.arange(width, device=mass.device)
    top, left = (rearrange(value, "(n j) -> n j 1", n=frames) for value in (best // width, best % width))
    weights = mass * ((rows - top).abs() <= _NEAR)[..., None] * ((columns - left).abs() <= _NEAR)[..., None, :]
    total = reduce(weights, "n j h w -> n j", "sum").clamp(min=1e-12)
    x, y = (weights.sum(dim=axis) @ places.float() / total for axis, places in ((2, columns), (3, rows)))
    return torch.stack([x, y, rearrange(part, "(n j) -> n j", n=frames).clamp(max=1)], dim=2)


def _learn(network: HeatmapNetwork, frames: Any, keypoints: Array, *, steps: int, lr: float, seed: int) -> None:
    """Cross-entropy against Gaussians around the joints, or nowhere, on frames that are changed at random."""
    height, width = frames.shape[-2:]
    there = present(keypoints) & _inside(keypoints, height, width)
    rows = np.flatnonzero(there.any(axis=1))
    if not len(rows):
        raise PoseError("no frame has a joint: there is nothing to learn poses from")
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    rng, generator = np.random.default_rng(seed), Generator().manual_seed(seed)
    weight = next(network.parameters())
    for _ in range(steps):
        chosen = np.sort(rng.choice(rows, _BATCH))
        pixels, blurred = _blur_away(_soften(torch.from_numpy(frames[chosen]).float() / 255, generator), generator)
        places = torch.nan_to_num(torch.from_numpy(keypoints[chosen, :, :2]).float())
        visible = torch.from_numpy(there[chosen]) & ~_look_up(blurred, places)
        logits = network(pixels.to(weight.device, memory_format=torch.channels_last))
        target = _gaussians(places, visible, height, width).to(logits)
        optimizer.zero_grad()
        torch.autograd.backward(-(target * _log_mass(logits)).sum(dim=2).mean())
        optimizer.step()
        schedule.step()


def _inside(keypoints: Array, height: int, width: int) -> Array:
    x, y = keypoints[..., 0], keypoints[..., 1]
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _log_mass(logits: Float[Tensor, "N J H W"]) -> Float[Tensor, "N J P"]:
    """The logarithm of a distribution over all pixels and, at the end, nowhere, whose logit is 0."""
    return functional.pad(logits.flatten(2).float(), (0, 1)).log_softmax(dim=2)


def _gaussians(
    places: Float[Tensor, "N J 2"], visible: Bool[Tensor, "N J"], height: int, width: int
) -> Float[Tensor, "N J P"]:
    """A distribution over the pixels around every place, or all of it nowhere."""
    across, down = (
        -((torch.arange(size) - places[..., axis, None]).square()) / (2 * _TARGET**2)
        for axis, size in ((0, width), (1, height))
    )
    around = (down[..., :, None] + across[..., None, :]).flatten(2).softmax(dim=2) * visible[..., None]
    return torch.cat([around, (~visible)[..., None].to(around)], dim=2)


def _soften(frames: Float[Tensor, "N 3 H W"], generator: Generator) -> Float[Tensor, "N 3 H W"]:
    """Half of the frames blurred, all in other light: predicted frames are softer than true ones, and off in colour."""
    count = len(frames)
    blurred = functional.avg_pool2d(frames, 3, stride=1, padding=1, count_include_pad=False)
    share = (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1).clamp(min=0)
    gain, shift = (torch.rand(count, 3, 1, 1, generator=generator) - 0.5 for _ in range(2))
    return (frames.lerp(blurred, share) * (1 + 0.4 * gain) + 0.2 * shift).clamp(0, 1)


def _blur_away(
    frames: Float[Tensor, "N 3 H W"], generator: Generator
) -> tuple[Float[Tensor, "N 3 H W"], Bool[Tensor, "N H W"]]:
    """In half of the frames a box in which only the mean colours around every pixel are left; and where it is."""
    count, _, height, width = frames.shape
    centre, extent = (torch.rand(2, count, 1, generator=generator) for _ in range(2))
    rows, columns = (
        (torch.arange(size) / size - middle).abs() < 0.05 + 0.15 * half
        for size, middle, half in zip((height, width), centre, extent, strict=True)
    )
    chosen = torch.rand(count, 1, 1, generator=generator) < 0.5
    box = rows[:, :, None] & columns[:, None, :] & chosen
    radius = max(2, min(height, width) // 10)
    mean = functional.avg_pool2d(frames, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)
    return torch.where(box[:, None], mean, frames), box


def _look_up(mask: Bool[Tensor, "N H W"], places: Float[Tensor, "N J 2"]) -> Bool[Tensor, "N J"]:
    """The mask at the pixel of every place; places outside are at the border."""
    rows = places[..., 1].round().long().clamp(0, mask.shape[1] - 1)
    columns = places[..., 0].round().long().clamp(0, mask.shape[2] - 1)
    return mask[torch.arange(len(mask))[:, None], rows, columns]


def _block(given: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (given, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
    return nn.Sequential(*layers)


def _cache_folder() -> Path:
    return Path(os.environ.get("VIDPRED_CACHE") or "~/.cache/vidpred").expanduser() / "fitted"
