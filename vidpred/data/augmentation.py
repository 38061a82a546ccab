"""Changes of a training clip: random ones, the same for all of its frames, and the light of a far context."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional


class Change(NamedTuple):
    """What is done to one clip."""

    flip: bool = False
    brightness: float = 1.0  # factors, 1 changes nothing
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0  # shift, in turns of the colour circle


UNCHANGED = Change()


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Draws changes.

    Args:
        flip: probability of mirroring a clip; left and right limbs are exchanged, so pose maps must be drawn.
        brightness: the factor is uniform in [1 - brightness, 1 + brightness]; likewise
        contrast: and
        saturation: (colour frames only).
        hue: the shift is uniform in [-hue, hue] turns, at most half a turn (colour frames only).

    Raises:
        ValueError: for a probability outside of [0, 1], a factor's range outside of [0, 1], a hue outside of [0, 0.5].
    """

    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("flip", 1.0), ("brightness", 1.0), ("contrast", 1.0), ("saturation", 1.0), ("hue", 0.5)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"data.augment.{name} must lie in [0, {most:g}], got {value}")

    def draw(self, rng: np.random.Generator) -> Change:
        """The change of one clip; always as many draws, so that one option does not move the others' luck."""
        flip, *uniform = rng.random(5)
        spread = (self.brightness, self.contrast, self.saturation, self.hue)
        shift = [(2 * draw - 1) * most for draw, most in zip(uniform, spread, strict=True)]
        return Change(bool(flip < self.flip), 1 + shift[0], 1 + shift[1], 1 + shift[2], shift[3])


def recolor(frames: UInt8[Tensor, "T C H W"], change: Change) -> UInt8[Tensor, "T C H W"]:
    """Frames with another brightness, contrast, saturation and hue, by torchvision's adjustments."""
    if change.brightness != 1:
        frames = functional.adjust_brightness(frames, change.brightness)
    if change.contrast != 1:
        frames = functional.adjust_contrast(frames, change.contrast)
    if frames.shape[1] == 3 and change.saturation != 1:
        frames = functional.adjust_saturation(frames, change.saturation)
    if frames.shape[1] == 3 and change.hue != 0:
        frames = functional.adjust_hue(frames, change.hue)
    return frames


def relight(
    frames: UInt8[Tensor, "K C H W"], *, shown: UInt8[Tensor, "C H W"], wanted: UInt8[Tensor, "C H W"]
) -> UInt8[Tensor, "K C H W"]:
    """Frames in another light: every channel times the median, over pixels, of ``wanted`` / ``shown``.

    The diagonal model of von Kries (Finlayson et al. 1994, doi 10.1364/JOSAA.11.003011): another light scales each
    channel by a factor of its own. The median is the background's where what moves covers less than half of a frame.
    Factors are kept within [½, 2]. Both frames are taken one level of 255 brighter, so that black is no division.
    """
    ratio = (wanted.float() + 1) / (shown.float() + 1)
    gain = ratio.flatten(1).median(dim=1).values.clamp(0.5, 2)
    return (frames * gain[:, None, None]).round().clamp(0, 255).to(torch.uint8)
