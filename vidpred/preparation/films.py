"""What can be prepared: videos and folders of pictures, read frame by frame at chosen moments."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray as Array
from PIL import Image

from vidpred.data.pictures import PictureError, decode, list_pictures

VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif", ".ts", ".mts"})


class FilmError(ValueError):
    """A source cannot be read as a film."""


@dataclass(frozen=True)
class VideoFile:
    """A video that PyAV decodes, turned upright as its metadata says."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name, without its suffix."""
        return self.path.stem

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, shortened."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]

    @property
    def fps(self) -> float:
        """The mean frame rate."""
        return (len(self.times) - 1) / self.times[-1] if len(self.times) > 1 else 25.0

    @property
    def times(self) -> Sequence[float]:
        """When every frame is shown, in seconds from the first."""
        stamps, unit = self._stamps
        return tuple((stamp - stamps[0]) * unit for stamp in stamps)

    @cached_property
    def _stamps(self) -> tuple[list[int], float]:
        """When every frame is shown, and the unit in seconds: from the packets, which are not decoded.

        Raises:
            FilmError: if there is no video in the file.
        """
        av = _decoder()
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                if stream.width * stream.height > (Image.MAX_IMAGE_PIXELS or 0):
                    raise FilmError(f"{self.path} claims frames of {stream.width}x{stream.height} pixels; "
                                    f"scale it down first")  # fmt: skip
                packets = [packet.pts for packet in container.demux(stream) if packet.size]
                unit = float(stream.time_base or 1)
        except (av.FFmpegError, IndexError, OSError) as error:
            raise FilmError(f"{self.path} cannot be read as a video ({_one_line(error)})") from None
        stamps = sorted(packet for packet in packets if packet is not None)
        if not stamps:
            raise FilmError(f"{self.path} holds no video frames")
        return stamps, unit

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame, upright."""
        height, width, _ = next(self.frames([0])).shape
        return height, width

    def frames(self, numbers: Sequence[int]) -> Iterator[UInt8[Array, "H W 3"]]:
        """Decode the frames of ascending numbers; from the last key frame before the first.

        Raises:
            FilmError: if the video breaks off before the last.
        """
        av = _decoder()
        stamps, _ = self._stamps
        wanted = [stamps[number] for number in numbers]
        place = 0
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                container.seek(wanted[0], stream=stream, backward=True)
                for frame in container.decode(stream):
                    while place < len(wanted) and frame.pts is not None and frame.pts >= wanted[place]:
                        yield _upright(frame.to_ndarray(format="rgb24"), frame.rotation)
                        place += 1
                    if place == len(wanted):
                        return
        except (av.FFmpegError, OSError) as error:
            raise FilmError(f"{self.path} breaks off after {numbers[0] + place} frames ({_one_line(error)})") from None
        raise FilmError(f"{self.path} ends after {numbers[0] + place} of the {len(stamps)} frames that it announces")


@dataclass(frozen=True)
class PictureFolder:
    """A folder of pictures, in the order of the numbers in their names."""

    path: Path
    fps: float = 25.0

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def digest(self) -> str:
        """Hash of names, sizes and times."""
        states = ((file.name, file.stat()) for file in self._files)
        text = "\n".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
        return hashlib.sha256(f"{self.path.resolve()}\n{text}".encode()).hexdigest()[:16]

    @property
    def times(self) -> Sequence[float]:
        """As many frames as pictures, evenly spaced."""
        return tuple(number / self.fps for number in range(len(self._files)))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first picture."""
        height, width, _ = next(self.frames([0])).shape
        return height, width

    def frames(self, numbers: Sequence[int]) -> Iterator[UInt8[Array, "H W 3"]]:
        """Decode pictures.

        Raises:
            PictureError: for one that cannot be read, or has not the size of the first asked for.
        """
        expected: tuple[int, int] | None = None
        for number in numbers:
            pixels, size = decode(self._files[number], None)
            expected = expected or size
            if size != expected:
                raise PictureError(f"{self._files[number]} has {size[1]}x{size[0]} pixels, others {expected[1]}x"
                                   f"{expected[0]}: all pictures of a sequence must have one size")  # fmt: skip
            yield np.ascontiguousarray(pixels.transpose(1, 2, 0))

    @cached_property
    def _files(self) -> list[Path]:
        return list_pictures(self.path.iterdir())


Film = VideoFile | PictureFolder


def find_films(source: str, *, fps: float) -> list[Film]:
    """The films that a source names: a video, a folder or glob of videos, a folder of pictures, or of such folders.

    Args:
        source: path or glob.
        fps: of pictures.

    Raises:
        FilmError: if there is none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [VideoFile(path)]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in VIDEOS)
        if files:
            return [VideoFile(file) for file in files]
        folders = [folder for folder in [path, *sorted(path.rglob("*"))] if folder.is_dir()]
        films: list[Film] = [PictureFolder(folder, fps) for folder in folders if list_pictures(folder.iterdir())]
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        found = sorted(anchor.glob(str(path.relative_to(anchor)))) if source else []
        films = [VideoFile(file) for file in found if file.suffix.lower() in VIDEOS]
    if not films:
        raise FilmError(f"source={source}: there is no video ({', '.join(sorted(VIDEOS))}) and no folder of pictures")
    return films


def choose_frames(times: Sequence[float], fps: float | None) -> list[int]:
    """Numbers of the frames that are shown at k / fps, k = 0, 1, …; of all frames where ``fps`` is None.

    Raises:
        ValueError: if ``fps`` is not positive.
    """
    if fps is None:
        return list(range(len(times)))
    if fps <= 0:
        raise ValueError(f"fps must be > 0, got {fps}")
    moments = np.arange(int(times[-1] * fps + 1e-6) + 1) / fps
    numbers = np.searchsorted(np.asarray(times), moments + 1e-6, side="right") - 1
    return [int(number) for number in numbers]


def _decoder() -> Any:
    """PyAV, if it is installed.

    Raises:
        FilmError: if it is not.
    """
    try:
        import av
    except ImportError:
        raise FilmError("videos are decoded by PyAV, which is not installed: pip install 'vidpred[pose]'") from None
    return av


def _upright(picture: Array, degrees: int) -> Array:
    """Turn a frame as the display matrix asks, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(picture, degrees // 90 % 4)) if degrees else picture


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
