"""Does the person in a film take the poses asked for? Joints are found in it, and compared with those poses.

- **AKD**, average keypoint distance, in pixels, of the joints that are found (Siarohin et al. 2019, arXiv 2003.00196).
- **MKR**, missing keypoint rate: the share of the joints found in the true frame that are not found in the film's.
- **PCK**, percentage of correct keypoints: the share of those joints that are found within 0.1 of the longer side of
  the person's box (Yang & Ramanan 2013, doi 10.1109/TPAMI.2012.261). A missing joint is not correct.

The estimator errs too, so the true frames are scored beside the film, and the copied context frame, which follows
nothing.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.posing import skeleton_of
from vidpred.data.source import Split
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.keypoints import present
from vidpred.viz.pixels import to_pixels

CORRECT = 0.1  # of the longer side of the person's box


class Joints(NamedTuple):
    """A film's joints against those asked for."""

    distance: Float[Array, "S J"]  # pixels; NaN where a joint was not found
    counted: Bool[Array, "S J"]  # joints that were asked for and are found in the true frame
    size: Float[Array, " S"]  # longer side of the box of all joints asked for, pixels


class Following(NamedTuple):
    """How well films follow their poses."""

    akd: float  # pixels
    mkr: float  # 0 to 1
    pck: float  # 0 to 1


class Follower:
    """Compares the joints of films with those that were asked for.

    Those are the keypoints of the data where they are of the estimator's joints; else the ones that the estimator finds
    in the true frames.

    Args:
        estimator: finds joints.
        data: knows what was asked for.
    """

    def __init__(self, estimator: PoseEstimator, data: ClipDataModule) -> None:
        self.estimator, self.data = estimator, data

    def __call__(
        self, films: dict[str, Float[Tensor, "S C H W"]], window: Window, split: Split, context_frames: int
    ) -> dict[str, Joints]:
        """Every film's joints.

        Args:
            films: of the same frames of one clip; one of them is the "truth".
            window: the clip.
            split: that it is of.
            context_frames: K, which precede the films.
        """
        found = {name: self.estimator.estimate(to_pixels(film.nan_to_num())) for name, film in films.items()}
        asked = self._asked(window, split)
        asked = found["truth"] if asked is None else asked[context_frames:]
        counted = present(asked) & np.isfinite(found["truth"][..., 0])
        there, places = present(asked)[..., None], asked[..., :2]
        box = np.where(there, places, -np.inf).max(axis=1) - np.where(there, places, np.inf).min(axis=1)
        size = box.max(axis=1)  # -inf without a joint
        return {name: Joints(np.linalg.norm(joints[..., :2] - asked[..., :2], axis=2), counted, size)
                for name, joints in found.items()}  # fmt: skip

    def _asked(self, window: Window, split: Split) -> Float[Array, "T J 3"] | None:
        store = self.data.store(split)
        if store.keypoints is None or skeleton_of(store).joints != tuple(self.estimator.joints):
            return None
        first = store.sequences[window.sequence].first + window.start
        rows = np.array(store.keypoints[first : first + (window.length - 1) * window.step + 1 : window.step])
        ones = np.ones((*rows.shape[:2], 1), dtype=rows.dtype)
        return rows if rows.shape[2] == 3 else np.concatenate([rows, ones], axis=2)


def follow(clips: list[Joints]) -> Following:
    """AKD, MKR and PCK over all joints of all clips that count; NaN where none does."""
    distance = np.concatenate([clip.distance[clip.counted] for clip in clips])
    near = np.concatenate([(clip.distance <= CORRECT * clip.size[:, None])[clip.counted] for clip in clips])
    found = np.isfinite(distance)
    if not found.any():
        return Following(float("nan"), 1.0 if len(distance) else float("nan"), 0.0 if len(distance) else float("nan"))
    return Following(float(distance[found].mean()), float(1 - found.mean()), float(near.mean()))
