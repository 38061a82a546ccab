"""Keypoints: reading them from files, changing their units, mirroring them.

Keypoints are float32 (T, J, 3): x and y of J joints in T frames and a confidence in [0, 1]. A joint that was not
found has confidence 0, and NaN for x and y where the file tells no position. In pixels, pixel centres lie at whole
numbers: a picture of width w spans x from −1/2 to w − 1/2.
"""

import re
import reprlib
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from vidpred.limits import check_archive, read_json
from vidpred.pose.skeletons import Skeleton

Person = Literal["largest", "first"]

_MOST_JSON, _MOST_ARRAYS = 250_000_000, 2_000_000_000  # bytes: hours of film
_OVERSHOOT = 0.1  # peaks of interpolated heatmaps lie a little above 1
_UNREADABLE = (  # what json, NumPy and zipfile raise for damaged files
    OSError, ValueError, EOFError, KeyError, MemoryError, RuntimeError, SyntaxError, TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class KeypointsError(ValueError):
    """A file of keypoints that cannot be used: one line with the file, what is wrong and what to do."""


def read_keypoints(path: Path, *, joints: int | None = None, person: Person = "largest") -> Float[Array, "T J 3"]:
    """Read the keypoints of one video.

    ==================  =====================================================================================
    ``.npy``            an array (T, J, 3) of x, y and confidence, or (T, J, 2) of x and y
    ``.npz``            the same, named ``keypoints`` or the only array
    ``.json``           the same as nested lists, or an object with such a list under ``keypoints``
    folder              OpenPose's ``*_keypoints.json``, one a frame, in the order of the number before that;
                        frames without a person and joints at (0, 0, 0) are missing
    ==================  =====================================================================================

    Without a confidence in the file it is 1, and 0 where x or y is NaN. One that is up to 0.1 outside of [0, 1] is
    clipped: estimators interpolate their heatmaps. Nothing is ever unpickled.

    Args:
        path: the file or folder.
        joints: J that is expected, if known.
        person: whom to follow where OpenPose found several people in a frame: the one with the largest bounding
            box of found joints, or the first.

    Raises:
        KeypointsError: if the file is missing, unreadable or malformed, holds no frames or not ``joints`` joints,
            positions that are not finite or confidences far outside of [0, 1]; or if a frame of a folder is missing.
    """
    if not path.exists():
        raise KeypointsError(f"{path}: no such file or folder of keypoints; check the path")
    try:
        raw = _read_openpose(path, joints, person) if path.is_dir() else _read_array(path)
    except KeypointsError:
        raise
    except _UNREADABLE as error:
        raise KeypointsError(f"{path}: cannot be read ({_one_line(error)}); export the keypoints again") from error
    return _check_values(path, _check_shape(path, raw, joints))


def scale_keypoints(
    keypoints: Float[Array, "T J c"],
    *,
    units: Literal["pixels", "unit"],
    size: tuple[int, int] | None = None,
    to: tuple[int, int],
) -> Float[Array, "T J c"]:
    """Keypoints in pixels of a picture of another size.

    x' = (x + 1/2) · w' / w − 1/2 from pixels, and x' = x · w' − 1/2 from units of the picture's sides, where 0 and 1
    are its edges; y likewise. What follows x and y, the confidence, stays.

    Args:
        keypoints: x, y and maybe confidence.
        units: of ``keypoints``.
        size: height and width of the picture that ``keypoints`` are pixels of; not needed for "unit".
        to: height and width of the new picture.

    Raises:
        ValueError: for other units, a size that is not positive, or pixels without a ``size``.
    """
    if units not in ("pixels", "unit"):
        raise ValueError(f"units must be 'pixels' or 'unit', got {units!r}")
    if size is None and units == "pixels":
        raise ValueError("keypoints in pixels need size, height and width of the picture that they were found in")
    if min(*to, *(size or to)) < 1:
        raise ValueError(f"sizes must be (height, width) >= 1, got size={size}, to={to}")
    height, width = size if size is not None and units == "pixels" else (1, 1)
    edge = 0.5 if units == "pixels" else 0.0
    scaled = keypoints.copy()
    scaled[..., :2] = (scaled[..., :2] + edge) * (to[1] / width, to[0] / height) - 0.5
    return scaled


def flip_keypoints(
    keypoints: Float[Array, "T J c"], skeleton: Skeleton, *, width: int | float
) -> Float[Array, "T J c"]:
    """Keypoints of the mirrored picture, in which left joints have become right ones: x' = (width − 1) − x.

    Args:
        keypoints: x, y in pixels, and maybe confidence.
        skeleton: says which joints change places.
        width: of the picture, in pixels.

    Raises:
        ValueError: if the number of joints is not the skeleton's, or it does not tell left from right.
    """
    check_joints(keypoints, skeleton)
    flipped = keypoints[:, list(skeleton.mirrored)]
    flipped[..., 0] = (width - 1) - flipped[..., 0]
    return flipped


def present(keypoints: Float[Array, "T J c"]) -> Bool[Array, "T J"]:
    """Which joints can be drawn: x and y finite and the confidence, if there is one, above 0."""
    return np.asarray(np.isfinite(keypoints[..., :2]).all(axis=2) & (keypoints[..., 2:] > 0).all(axis=2))


def check_joints(keypoints: Float[Array, "T J c"], skeleton: Skeleton) -> None:
    """Refuse keypoints of another skeleton.

    Raises:
        ValueError: if the number of joints is not the skeleton's, or there are not 2 or 3 channels.
    """
    if keypoints.shape[1] != len(skeleton.joints):
        raise ValueError(f"expected {len(skeleton.joints)} joints as in the skeleton, got {keypoints.shape[1]}")
    if keypoints.shape[2] not in (2, 3):
        raise ValueError(f"expected x, y and maybe confidence in the last axis, got shape {keypoints.shape}")


def _read_array(path: Path) -> Any:
    if path.suffix.lower() in (".npy", ".npz"):
        return _read_numpy(path)
    if path.suffix.lower() != ".json":
        raise KeypointsError(f"{path}: not a .npy, .npz or .json file nor a folder of OpenPose's; convert it to one")
    content = read_json(path, most=_MOST_JSON)
    if isinstance(content, dict):
        if "people" in content:
            raise KeypointsError(f"{path}: one frame of OpenPose's; give the folder that holds all frames")
        if "keypoints" not in content:
            raise KeypointsError(f"{path}: no 'keypoints' among its keys {list(content)}; name the array so")
        content = content["keypoints"]
    return _numbers(content)


def _numbers(content: Any) -> Any:
    """Nested lists as an array of floats; NumPy would give every string the room of the longest, and null a NaN."""
    places = [content]
    while places:
        place = places.pop()
        if isinstance(place, list):
            places += place
        elif isinstance(place, bool) or not isinstance(place, (int, float)):
            raise ValueError(f"it holds {reprlib.repr(place)}, not numbers alone")
    return np.asarray(content, dtype=np.float64)


def _read_numpy(path: Path) -> Any:
    check_archive(path, most=_MOST_ARRAYS)
    with path.open("rb") as file:  # NumPy leaves a broken archive open
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded
        names = loaded.files
        if "keypoints" not in names and len(names) != 1:
            raise KeypointsError(f"{path}: no array 'keypoints' among {names}; name one so")
        return loaded["keypoints" if "keypoints" in names else names[0]]


def _read_openpose(folder: Path, joints: int | None, person: Person) -> Float[Array, "T J 3"]:
    if person not in ("largest", "first"):
        raise KeypointsError(f"{folder}: person must be 'largest' or 'first', got {person!r}")
    frames = [_read_frame(path, person) for path in _openpose_files(folder)]
    counts = sorted({len(frame) for frame in frames if frame is not None})
    if len(counts) > 1:
        raise KeypointsError(f"{folder}: frames with {counts} joints; export all with one model")
    if not counts and joints is None:
        raise KeypointsError(f"{folder}: no person in any of {len(frames)} frames; check the video, or give joints")
    nobody = np.zeros((counts[0] if counts else joints or 0, 3))
    found = np.stack([nobody if frame is None else frame for frame in frames])
    found[(found == 0).all(axis=2)] = (np.nan, np.nan, 0)
    return found


def _openpose_files(folder: Path) -> list[Path]:
    """The folder's frames in their order, none missing."""
    numbered: dict[int, Path] = {}
    for path in sorted(folder.glob("*_keypoints.json")):
        number = re.search(r"(\d+)_keypoints\.json$", path.name)
        if number is None:
            raise KeypointsError(f"{path}: no frame number before '_keypoints.json'; rename it as OpenPose does")
        if int(number[1]) in numbered:
            other = numbered[int(number[1])].name
            raise KeypointsError(f"{path}: the same frame as {other}; keep one video a folder")
        numbered[int(number[1])] = path
    if not numbered:
        raise KeypointsError(
            f"{folder}: no frames, that is *_keypoints.json files; give the folder of OpenPose's output"
        )
    missing = sorted(set(range(min(numbered), max(numbered) + 1)) - set(numbered))
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise KeypointsError(f"{folder}: {len(missing)} frames are missing: {shown}; export the video again")
    return [numbered[number] for number in sorted(numbered)]


def _read_frame(path: Path, person: Person) -> Float[Array, "J 3"] | None:
    """x, y and confidence of one person, None where nobody was found."""
    try:
        people = [_read_person(described) for described in read_json(path)["people"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeypointsError(f"{path}: not OpenPose's JSON ({_one_line(error)}); export the video again") from error
    if not people:
        return None
    return max(people, key=_box_area) if person == "largest" else people[0]


def _read_person(described: dict[str, Any]) -> Float[Array, "J 3"]:
    flat: Array = _numbers(described["pose_keypoints_2d"])
    if flat.ndim != 1 or len(flat) == 0 or len(flat) % 3:
        raise ValueError(f"pose_keypoints_2d must be a flat list of x, y, confidence, got shape {flat.shape}")
    return flat.reshape(-1, 3)


def _box_area(joints: Float[Array, "J 3"]) -> float:
    """Area of the bounding box of the found joints, in squared pixels; 0 where none was found."""
    found = joints[(joints != 0).any(axis=1), :2]
    return float(np.ptp(found, axis=0).prod()) if len(found) else 0.0


def _check_shape(path: Path, raw: Any, joints: int | None) -> Float[Array, "T J c"]:
    if raw.dtype.kind not in "iuf":
        raise KeypointsError(f"{path}: holds {raw.dtype}, not numbers; export the keypoints as floats")
    expected = f"(T, {'J' if joints is None else joints}, 3) or (T, {'J' if joints is None else joints}, 2)"
    if raw.ndim != 3 or raw.shape[2] not in (2, 3) or raw.shape[1] == 0:
        raise KeypointsError(f"{path}: shape {raw.shape}, expected {expected}; reorder its axes")
    if raw.shape[0] == 0:
        raise KeypointsError(f"{path}: no frames, shape {raw.shape}, expected {expected}; export the keypoints again")
    if joints is not None and raw.shape[1] != joints:
        raise KeypointsError(
            f"{path}: {raw.shape[1]} joints, shape {raw.shape}, expected {expected}; choose the skeleton of the file"
        )
    return np.asarray(raw, dtype=np.float32)


def _check_values(path: Path, keypoints: Float[Array, "T J c"]) -> Float[Array, "T J 3"]:
    """Add what is missing and refuse what cannot be; see ``read_keypoints``."""
    position = keypoints[..., :2]
    unknown = np.isnan(position).any(axis=2)
    confidence = keypoints[..., 2] if keypoints.shape[2] == 3 else np.where(unknown, 0, 1).astype(np.float32)
    outside = ~((confidence >= -_OVERSHOOT) & (confidence <= 1 + _OVERSHOOT))
    if outside.any():
        where = _first(outside)
        raise KeypointsError(
            f"{path}: confidence {confidence[outside][0]} of {where}; it must be in [0, 1], rescale it"
        )
    confidence = np.clip(confidence, 0, 1)
    wrong = ~np.isfinite(position).all(axis=2) & (confidence > 0)
    if wrong.any():
        where = _first(wrong)
        raise KeypointsError(f"{path}: x, y = {position[wrong][0]} of {where}; give missing joints confidence 0")
    read = np.concatenate([position, confidence[..., None]], axis=2)
    read[unknown, :2] = np.nan
    return read


def _first(marked: Bool[Array, "T J"]) -> str:
    frame, joint = np.argwhere(marked)[0]
    return f"frame {frame}, joint {joint} ({marked.sum()} in all)"


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
