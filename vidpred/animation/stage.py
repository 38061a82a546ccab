"""The stage of a film: the context frames, and the pose maps of all that follows, drawn as they are needed."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from torch import Tensor

from vidpred.networks.rollout import LazyPoses
from vidpred.pose.maps import PoseMap
from vidpred.pose.skeletons import Skeleton
from vidpred.preparation.cropping import CropWindow, choose_window, cut, move_keypoints


class Stage(NamedTuple):
    """What a rollout is given, and what is known beside it."""

    context: UInt8[Tensor, "K C H W"]
    poses: Tensor | LazyPoses  # (1, T, P, H, W), those of the context first
    truth: UInt8[Tensor, "S C H W"] | None  # where it is known
    fps: float


@dataclass(frozen=True)
class DrawnPoses:
    """Pose maps of one clip, drawn from keypoints when a rollout comes to them.

    Args:
        keypoints: x, y in pixels of the maps, and confidence.
        skeleton: whose joints they are.
        draw: how.
        channels: P.
        size: height and width of the maps.
        device: where they are wanted.
    """

    keypoints: Float[Array, "T J 3"]
    skeleton: Skeleton
    draw: PoseMap
    channels: int
    size: tuple[int, int]
    device: torch.device

    @property
    def shape(self) -> tuple[int, ...]:
        """1, T, P, H, W."""
        return (1, len(self.keypoints), self.channels, *self.size)

    def __getitem__(self, place: tuple[slice, slice]) -> UInt8[Tensor, "1 t P H W"]:
        """The maps of some frames."""
        drawn = self.draw(self.keypoints[place[1]], self.skeleton, self.size)
        return torch.from_numpy(drawn)[None].to(self.device)


def frame_picture(
    picture: UInt8[Array, "H W 3"], size: tuple[int, int], *, crop: str, keypoints: Float[Array, "T J 3"] | None,
    margin: float,
) -> tuple[UInt8[Array, "3 h w"], Float[Array, "T J 3"] | None]:  # fmt: skip
    """Cut the part of a picture that is shown, and move the keypoints with it.

    Args:
        picture: at its own size.
        size: height and width of the model's frames.
        crop: "person" (around all poses), "center" (the largest window of the model's aspect in the middle), "none"
            (all of it, which distorts where aspects differ), or "x,y,w,h".
        keypoints: of all poses, in pixels of the picture.
        margin: around the person, in heights of the person.

    Raises:
        ValueError: for another ``crop``, or a window that leaves the picture.
    """
    height, width = picture.shape[:2]
    if crop == "center":
        window = _middle((height, width), size)
    else:
        joints = np.zeros((1, 1, 3), np.float32) if keypoints is None else keypoints
        window = choose_window(crop, joints, (height, width), size, margin=margin)
    moved = None if keypoints is None else move_keypoints(keypoints, window, size)
    return cut(picture, window, size), moved


def _middle(frame: tuple[int, int], target: tuple[int, int]) -> CropWindow:
    """The largest window of the target's aspect, in the middle."""
    height, width = frame
    aspect = target[1] / target[0]
    rows = min(height, round(width / aspect))
    columns = min(width, round(rows * aspect))
    return CropWindow((width - columns) // 2, (height - rows) // 2, max(1, columns), max(1, rows))
