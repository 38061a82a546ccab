"""Which pose maps a model sees: the pose images of the data, or maps drawn from its keypoints."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray as Array

from vidpred.data.source import Content
from vidpred.data.store import Store
from vidpred.pose.keypoints import flip_keypoints
from vidpred.pose.maps import PoseMap
from vidpred.pose.skeletons import Skeleton, skeleton_from_dict


@dataclass(frozen=True, kw_only=True)
class PoseInput:
    """The choice of the group ``pose_map``.

    Args:
        images: whether the data's own pose images are used: always ("only"), where it has some ("prefer"), or "never".
        draw: draws maps from keypoints otherwise.
    """

    images: Literal["only", "prefer", "never"]
    draw: PoseMap | None = None

    def channels(self, content: Content) -> int:
        """P, the channels of a pose map.

        Raises:
            ValueError: if the data holds neither what ``images`` asks for nor keypoints to draw.
        """
        if content.pose_channels and self.uses_images(True):
            return content.pose_channels
        if self.images == "only" or content.skeleton is None or self.draw is None:
            has = "pose images and no keypoints" if content.pose_channels else "keypoints and no pose images"
            use = "auto or rgb" if content.pose_channels else "auto, limbs or heatmaps"
            raise ValueError(f"this data has {has}: use pose_map={use}")
        return self.draw.channels(content.skeleton)

    def uses_images(self, present: bool) -> bool:
        """Whether the data's own pose images are what the model sees."""
        return self.images == "only" or (self.images == "prefer" and present)

    def read(self, store: Store, rows: slice | Int[Array, " T"], *, flip: bool = False) -> UInt8[Array, "T P H W"]:
        """The pose maps of rows of a store.

        Args:
            store: has what ``channels`` asked for.
            rows: a slice, with a step if frames are skipped, or numbers.
            flip: mirror them, left and right limbs exchanged; only for maps that are drawn.
        """
        if self.uses_images(store.poses is not None):
            assert store.poses is not None
            assert not flip
            return np.array(store.poses[rows])
        assert store.keypoints is not None
        assert self.draw is not None
        skeleton, (height, width) = skeleton_of(store), store.frames.shape[-2:]
        keypoints = np.array(store.keypoints[rows])
        if flip:
            keypoints = flip_keypoints(keypoints, skeleton, width=width)
        return self.draw(keypoints, skeleton, (height, width))


def skeleton_of(store: Store) -> Skeleton:
    """Whose joints the keypoints of a store are."""
    return skeleton_from_dict(store.about["skeleton"])
