"""The window of a film that is kept: one for all of its frames, so that the room stands still."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from PIL import Image


class CropWindow(NamedTuple):
    """A window of a frame, in whole pixels."""

    x: int
    y: int
    width: int
    height: int


def choose_window(
    crop: str, keypoints: Float[Array, "T J 3"], frame: tuple[int, int], target: tuple[int, int], *, margin: float
) -> CropWindow:
    """The window that ``crop`` asks for.

    "person" takes the smallest window of the target's aspect ratio that holds the person in nearly all frames: the
    2nd to 98th percentile of the joints' extent over the film, widened on each side by ``margin`` times the person's
    median height, and moved inside of the frame. Where the frame is too small, the window is as large as fits.

    Args:
        crop: "none" (the whole frame), "person", or "x,y,w,h" in pixels.
        keypoints: of all frames that are kept; NaN where missing.
        frame: height and width of the film's frames.
        target: height and width of the frames to be stored.
        margin: see above.

    Raises:
        ValueError: for another ``crop``, or a window that leaves the frame.
    """
    height, width = frame
    if crop == "none":
        return CropWindow(0, 0, width, height)
    if crop == "person":
        return _around(keypoints, frame, target, margin)
    if not re.fullmatch(r"\d+,\d+,\d+,\d+", crop.replace(" ", "")):
        raise ValueError(f"crop must be none, person or x,y,w,h in pixels, got {crop!r}")
    window = CropWindow(*(int(number) for number in crop.split(",")))
    if window.width < 8 or window.height < 8 or window.x + window.width > width or window.y + window.height > height:
        raise ValueError(f"crop={crop} is not a window of at least 8x8 pixels inside of {width}x{height}")
    return window


def _around(
    keypoints: Float[Array, "T J 3"], frame: tuple[int, int], target: tuple[int, int], margin: float
) -> CropWindow:
    points = keypoints[np.isfinite(keypoints[..., 0]).any(axis=1), :, :2]
    tops, ends = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    border = margin * float(np.nanmedian(ends[:, 1] - tops[:, 1]))
    left, top = np.nanquantile(tops, 0.02, axis=0) - border
    right, bottom = np.nanquantile(ends, 0.98, axis=0) + border
    aspect = target[1] / target[0]
    height = max(bottom - top, (right - left) / aspect)
    height = min(height, frame[0], frame[1] / aspect)
    rows, columns = max(8, round(height)), max(8, round(height * aspect))
    x = round((left + right - columns) / 2)
    y = round((top + bottom - rows) / 2)
    columns, rows = min(columns, frame[1]), min(rows, frame[0])
    return CropWindow(int(np.clip(x, 0, frame[1] - columns)), int(np.clip(y, 0, frame[0] - rows)), columns, rows)


def move_keypoints(
    keypoints: Float[Array, "T J 3"], window: CropWindow, target: tuple[int, int]
) -> Float[Array, "T J 3"]:
    """Keypoints in pixels of a film, in pixels of the window scaled to the target's height and width.

    Pixel centres lie at whole numbers: x' = (x - x₀ + 1/2) · w'/w - 1/2.
    """
    moved = keypoints.copy()
    for axis, (start, length, pixels) in enumerate(
        ((window.x, window.width, target[1]), (window.y, window.height, target[0]))
    ):
        moved[..., axis] = (keypoints[..., axis] - start + 0.5) * pixels / length - 0.5
    return moved


def cut(picture: UInt8[Array, "H W 3"], window: CropWindow, target: tuple[int, int]) -> UInt8[Array, "3 h w"]:
    """Cut a window out of a picture and scale it to the target's height and width."""
    inside = picture[window.y : window.y + window.height, window.x : window.x + window.width]
    scaled = Image.fromarray(inside).resize((target[1], target[0]), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(scaled).transpose(2, 0, 1))
