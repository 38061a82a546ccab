"""A loaded model: pictures and poses in, film out."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vidpred.networks import Model, rollout


@dataclass(frozen=True)
class Predictor:
    """Rolls out a trained model.

    Args:
        model: the networks, on their device.
        context_frames: K, frames that the model was trained to be given.
        config: of the training, as plain containers.
    """

    model: Model
    context_frames: int
    config: dict[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        assert isinstance(self.model, nn.Module)
        return next(self.model.parameters()).device

    def rollout(
        self, image: Shaped[Tensor, "*K C H W"], poses: Shaped[Tensor, "T P h w"], *, z: str = "sample", seed: int = 0
    ) -> Float[Tensor, "S C H W"]:
        """Predict the film of one clip.

        Args:
            image: the context: one frame (C, H, W) or K frames (K, C, H, W), uint8 or float in [0, 1].
            poses: pose maps of the context and of every frame to predict, uint8 or float in [0, 1].
            z: "sample" from the prior, or its "mean".
            seed: of the samples.

        Returns:
            The S = T − K predicted frames, clipped to [0, 1], on the CPU.

        Raises:
            ValueError: if frames or poses have not the shape that the model was trained on.
        """
        frames = image[None] if image.ndim == 3 else image
        shape = self.model.shape
        if tuple(frames.shape[1:]) != (shape.channels, shape.height, shape.width):
            raise ValueError(f"the model takes frames of {shape.channels}x{shape.height}x{shape.width}, got "
                             f"{'x'.join(str(side) for side in frames.shape[1:])}")  # fmt: skip
        if tuple(poses.shape[1:]) != (shape.pose_channels, shape.height, shape.width):
            raise ValueError(f"the model takes pose maps of {shape.pose_channels}x{shape.height}x{shape.width}, got "
                             f"{'x'.join(str(side) for side in poses.shape[1:])}")  # fmt: skip
        if frames.is_floating_point() and not (frames.min() >= 0 and frames.max() <= 1):
            raise ValueError(f"float frames lie in [0, 1], got {float(frames.min()):.4g} to {float(frames.max()):.4g}: "
                             f"divide bytes by 255")  # fmt: skip
        context = _to_float(frames).to(self.device)[None]
        generators = [torch.Generator().manual_seed(seed)]
        film = rollout(self.model, context, _to_float(poses).to(self.device)[None], z=z, generators=generators)
        return film[0].clamp(0, 1).cpu()


def _to_float(pixels: Tensor) -> Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
