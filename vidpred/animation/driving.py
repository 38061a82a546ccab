"""Where the poses of a film come from: pose images, keypoints in files, or a video of somebody else's dance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array

from vidpred.data.pictures import list_pictures
from vidpred.pose.cleaning import clean
from vidpred.pose.conversion import convert_keypoints
from vidpred.pose.editing import change_speed, interpolate, mirror, reverse, swap_sides
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.keypoints import read_keypoints
from vidpred.pose.skeletons import SKELETONS, Skeleton
from vidpred.preparation.films import VIDEOS, Film

_MIN_CONFIDENCE = 0.3  # joints below are missing
Kind = Literal["images", "keypoints", "video"]


class DrivingError(ValueError):
    """Poses cannot drive a film as asked."""


class Driving(NamedTuple):
    """The poses of a dance."""

    keypoints: Float[Array, "T J 3"]  # x, y in pixels of whatever they were found in, and confidence
    skeleton: Skeleton
    fps: float | None  # None where nobody knows


@dataclass(frozen=True, kw_only=True)
class Edits:
    """Changes to the poses of a dance, in the order in which they are made.

    Args:
        between: two frames; the film goes from the pose of the first to that of the second, and shows nothing else.
        between_frames: how many frames that takes.
        swap_sides: left limbs do what right ones did.
        mirror: as a mirror shows it.
        reverse: backwards.
        speed: how many times as fast.

    Raises:
        DrivingError: if ``between`` is not two frames.
    """

    between: Sequence[int] | None = None
    between_frames: int = 24
    swap_sides: bool = False
    mirror: bool = False
    reverse: bool = False
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.between is not None and len(self.between) != 2:
            raise DrivingError(f"edit.between must be two frames, such as [0,40], got {list(self.between)}")

    @property
    def any(self) -> bool:
        """Whether something is changed."""
        return self != Edits(between_frames=self.between_frames)

    def __call__(self, keypoints: Float[Array, "T J 3"], skeleton: Skeleton) -> Float[Array, "S J 3"]:
        """Change keypoints.

        Raises:
            ValueError: for what the sequence or the skeleton does not allow.
        """
        if self.between is not None:
            first, last = self.between
            keypoints = interpolate(keypoints, first, last, self.between_frames)
        keypoints = swap_sides(keypoints, skeleton) if self.swap_sides else keypoints
        keypoints = mirror(keypoints, skeleton) if self.mirror else keypoints
        keypoints = reverse(keypoints) if self.reverse else keypoints
        return keypoints if self.speed == 1 else change_speed(keypoints, self.speed)

    def of_images(self, maps: UInt8[Array, "T P H W"]) -> UInt8[Array, "S P H W"]:
        """Change pose images, which can be played backwards, and faster or slower by leaving out or repeating some.

        Raises:
            DrivingError: for what takes keypoints.
        """
        if self.between is not None or self.swap_sides or self.mirror:
            raise DrivingError("edit.between, edit.swap_sides and edit.mirror take keypoints: pose images do not tell "
                               "joints apart")  # fmt: skip
        maps = maps[::-1] if self.reverse else maps
        places = np.arange(len(maps), dtype=np.float32)[:, None, None].repeat(3, axis=2)
        moments = change_speed(places, self.speed)[:, 0, 0].round().astype(int)
        return np.ascontiguousarray(maps[moments])


def find_kind(path: Path) -> Kind:
    """What a path holds: a folder of pose images, keypoints (a file, or a folder of OpenPose's), or a video.

    Raises:
        DrivingError: if it is none of these.
    """
    if path.is_dir():
        if any(file.suffix.lower() == ".json" for file in path.iterdir()):
            return "keypoints"
        if list_pictures(path.iterdir()):
            return "images"
        raise DrivingError(f"poses={path} holds neither pictures nor JSON files of keypoints")
    if not path.is_file():
        raise DrivingError(f"poses={path}: there is no such file or folder")
    if path.suffix.lower() in (".npy", ".npz", ".json"):
        return "keypoints"
    if path.suffix.lower() in VIDEOS:
        return "video"
    raise DrivingError(f"poses={path} is no folder of pose images, no keypoints (.npy, .npz, .json, OpenPose's folder) "
                       f"and no video ({', '.join(sorted(VIDEOS))})")  # fmt: skip


def read_driving(path: Path, wanted: Skeleton, *, skeleton: Skeleton | None) -> Driving:
    """Keypoints from a file, or a folder of OpenPose's JSON files, for a skeleton.

    Args:
        path: of the keypoints.
        wanted: the skeleton that is to be driven.
        skeleton: that the keypoints are of; None is the wanted one, or else the built-in one with as many joints.

    Raises:
        ValueError: if they cannot be read, or are of another skeleton.
    """
    keypoints = read_keypoints(path)
    return _as_wanted(keypoints, wanted, skeleton or _guess(keypoints.shape[1], wanted, path), None)


def estimate_driving(film: Film, numbers: Sequence[int], estimator: PoseEstimator, wanted: Skeleton) -> Driving:
    """The poses of the person in a video; where nobody is found, the pose stays between those before and after.

    Args:
        film: a video, or a folder of pictures.
        numbers: of the frames that are looked at, ascending and evenly spaced.
        estimator: finds people.
        wanted: the skeleton that is to be driven.

    Raises:
        DrivingError: if nobody is found at all.
        ValueError: if the film cannot be read.
    """
    found = estimator.estimate(film.frames(numbers))
    if not (found[..., 2] >= _MIN_CONFIDENCE).any():
        raise DrivingError(f"{film.path}: no person was found in any of {len(numbers)} frames")
    cleaned = clean(found, min_confidence=_MIN_CONFIDENCE, max_gap=len(found), min_stretch=1).keypoints
    times = [film.times[number] for number in numbers]
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
    return _as_wanted(_hold(cleaned), wanted, _skeleton_of(estimator), rate)


def estimate_person(
    picture: UInt8[Array, "H W 3"], estimator: PoseEstimator, wanted: Skeleton, *, name: str
) -> Float[Array, "J 3"]:
    """The pose of the person in a picture.

    Raises:
        DrivingError: if nobody is found.
    """
    found = estimator.estimate([picture])
    if not (found[..., 2] >= _MIN_CONFIDENCE).any():
        raise DrivingError(f"image={name}: no person was found in the picture. Use one that shows the whole person, or "
                           f"fit=none with poses that are in the picture's own pixels")  # fmt: skip
    person: Float[Array, "J 3"] = _as_wanted(found, wanted, _skeleton_of(estimator), None).keypoints[0]
    return person


def _as_wanted(keypoints: Array, wanted: Skeleton, own: Skeleton, fps: float | None) -> Driving:
    return Driving(convert_keypoints(keypoints, own, wanted), wanted, fps)


def _skeleton_of(estimator: PoseEstimator) -> Skeleton:
    for skeleton in SKELETONS.values():
        if skeleton.joints == tuple(estimator.joints):
            return skeleton
    raise DrivingError(f"joints of this pose_estimator are of no known skeleton: {', '.join(estimator.joints)}")


def _guess(joints: int, wanted: Skeleton, path: Path) -> Skeleton:
    if joints == len(wanted.joints):
        return wanted
    fitting = [skeleton for skeleton in SKELETONS.values() if len(skeleton.joints) == joints]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{name} ({len(skeleton.joints)})" for name, skeleton in SKELETONS.items())
    raise DrivingError(f"poses={path} has {joints} joints: skeleton=… says whose, one of {known}, or a file")


def _hold(keypoints: Float[Array, "T J 3"]) -> Float[Array, "T J 3"]:
    """Before a joint is first seen it is where it will be, after the last time where it was."""
    held = keypoints.copy()
    for joint in range(held.shape[1]):
        there = np.flatnonzero(held[:, joint, 2] > 0)
        if len(there):
            held[: there[0], joint] = held[there[0], joint]
            held[there[-1] + 1 :, joint] = held[there[-1], joint]
    return held
