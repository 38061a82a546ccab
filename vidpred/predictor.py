"""A loaded model: pictures and poses in, film out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vidpred.networks import Model, stream_rollout
from vidpred.networks.rollout import LazyPoses
from vidpred.pose.skeletons import Skeleton
from vidpred.seeds import clip_generators


@dataclass(frozen=True)
class Predictor:
    """Rolls out a trained model.

    Args:
        model: the networks, on their device.
        context_frames: K, frames that the model was trained to be given.
        config: of the training, as plain containers.
        skeleton: of the training data's keypoints; None where it has none, or nobody knows.
    """

    model: Model
    context_frames: int
    config: dict[str, Any]
    skeleton: Skeleton | None = None

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        assert isinstance(self.model, nn.Module)
        return next(self.model.parameters()).device

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of frames."""
        return self.model.shape.height, self.model.shape.width

    def rollout(
        self,
        image: Shaped[Tensor, "*K C H W"],
        poses: Shaped[Tensor, "T P h w"],
        *,
        z: str = "sample",
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Float[Tensor, "S C H W"]:
        """Predict the film of one clip.

        Args:
            image: the context: one frame (C, H, W) or K frames (K, C, H, W), uint8 or float in [0, 1].
            poses: pose maps of the context and of every frame to predict, uint8 or float in [0, 1].
            z: "sample" from the prior, or its "mean".
            temperature: factor on the standard deviation of the samples.
            seed: of the samples.

        Returns:
            The S = T − K predicted frames, clipped to [0, 1], on the CPU.

        Raises:
            ValueError: if frames or poses have not the shape that the model was trained on, or floats leave [0, 1].
        """
        pieces = self.stream(image, poses[None].to(self.device), z=z, temperature=temperature, seed=seed)
        return torch.cat([piece[0] for piece in pieces])

    def stream(
        self,
        image: Shaped[Tensor, "*K C H W"],
        poses: Shaped[Tensor, "1 T P h w"] | LazyPoses,
        *,
        z: str = "sample",
        temperature: float = 1.0,
        seed: int = 0,
        samples: int = 1,
        chunk: int = 16,
    ) -> Iterator[Float[Tensor, "samples s C H W"]]:
        """Predict several films of one clip, some frames at a time: memory does not grow with their length.

        Args:
            image: as for ``rollout``.
            poses: pose maps of the clip, or what draws them, on the model's device.
            z: as for ``rollout``.
            temperature: likewise.
            seed: of the samples; sample 0 is what ``rollout`` gives.
            samples: how many.
            chunk: frames at a time.

        Yields:
            The next frames of every sample, clipped to [0, 1], on the CPU.

        Raises:
            ValueError: as for ``rollout``.
        """
        frames = image[None] if image.ndim == 3 else image
        self._check(frames, poses)
        context = _to_float(frames).to(self.device)[None].repeat_interleave(samples, dim=0)
        generators = clip_generators(seed, [0], samples=range(samples))
        shared = _Shared(poses, samples)
        with torch.no_grad():
            for piece in stream_rollout(self.model, context, shared, z=z, temperature=temperature,
                                        generators=generators, chunk=chunk):  # fmt: skip
                yield piece.clamp(0, 1).cpu()

    def _check(self, frames: Shaped[Tensor, "K C H W"], poses: Shaped[Tensor, "1 T P h w"] | LazyPoses) -> None:
        """Refuse what the model was not trained on."""
        shape = self.model.shape
        if tuple(frames.shape[1:]) != (shape.channels, shape.height, shape.width):
            raise ValueError(f"the model takes frames of {shape.channels}x{shape.height}x{shape.width}, got "
                             f"{'x'.join(str(side) for side in frames.shape[1:])}")  # fmt: skip
        if tuple(poses.shape[2:]) != (shape.pose_channels, shape.height, shape.width):
            raise ValueError(f"the model takes pose maps of {shape.pose_channels}x{shape.height}x{shape.width}, got "
                             f"{'x'.join(str(side) for side in poses.shape[2:])}")  # fmt: skip
        if frames.is_floating_point() and not (frames.min() >= 0 and frames.max() <= 1):
            raise ValueError(f"float frames lie in [0, 1], got {float(frames.min()):.4g} to {float(frames.max()):.4g}: "
                             f"divide bytes by 255")  # fmt: skip


@dataclass(frozen=True)
class _Shared:
    """The pose maps of one clip, for several samples of it."""

    poses: Tensor | LazyPoses
    samples: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples, *self.poses.shape[1:])

    def __getitem__(self, place: tuple[slice, slice]) -> Tensor:
        maps = self.poses[place]
        return maps.expand(self.samples, *maps.shape[1:])


def _to_float(pixels: Tensor) -> Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
