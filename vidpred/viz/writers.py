"""Films that are written while they are made: MP4, GIF, folders of PNG pictures, and NPZ arrays.

What is not finished has not the final name: a writer writes under a temporary one beside it, and renames at the end. It
is opened before anything is computed, so that a place which cannot be written to is known at once.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from PIL import Image

from vidpred.viz.films import encode_gif

_GIF_FRAMES = 2000  # more would fill the memory: a GIF's palette needs all frames


class WriterError(ValueError):
    """A film cannot be written as asked."""


class FilmWriter:
    """Writes a film under a temporary name, and renames it when all of it is there.

    Args:
        path: the final name.

    Raises:
        WriterError: if the place cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() and any(path.iterdir()):
                raise WriterError(f"out={path} is a folder that is not empty: choose another name")
            self._open()
        except OSError as error:
            raise WriterError(f"out={path} cannot be written: {error.strerror or error}") from None

    def add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        """Take in the next frames: as they are shown, and as they were predicted, in [0, 1].

        Raises:
            WriterError: if they cannot be written.
        """
        with self._telling():
            self._add(shown, predicted)

    def __enter__(self) -> "FilmWriter":
        return self

    def discard(self) -> None:
        """Leave nothing behind."""
        self.__exit__(WriterError, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._telling():
                self._close()
                if kind is None:
                    if self.path.is_dir():
                        self.path.rmdir()  # empty, see above
                    os.replace(self.temporary, self.path)
        except WriterError:
            if kind is None:  # else it is the reason that is told
                raise
        finally:
            if self.temporary.is_dir():
                shutil.rmtree(self.temporary)
            self.temporary.unlink(missing_ok=True)

    def _open(self) -> None:
        self.temporary.touch()

    def _add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        """Finish the temporary file."""

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say which film could not be written."""
        try:
            yield
        except OSError as error:
            raise WriterError(f"out={self.path} cannot be written: {error.strerror or error}") from error


class Mp4Writer(FilmWriter):
    """H.264 in MP4, which every browser plays; memory does not grow.

    Args:
        path: of the film.
        fps: frames a second.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        self._fps = Fraction(fps).limit_denominator(1000)
        self._stream: Any = None
        super().__init__(path)

    def _open(self) -> None:
        try:
            import av
        except ImportError:
            raise WriterError("MP4 is written by PyAV, which is not installed: pip install 'vidpred[pose]', or write "
                              "a .gif, a .npz or a folder of pictures") from None  # fmt: skip
        self._av = av
        super()._open()
        self._container = av.open(str(self.temporary), "w", format="mp4", options={"movflags": "+faststart"})

    def _add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        """Encode the next frames; odd sizes lose nothing, they get a row or column more."""
        even = np.pad(shown, ((0, 0), (0, shown.shape[1] % 2), (0, shown.shape[2] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            try:
                self._stream = self._container.add_stream("libx264", rate=self._fps, options={"crf": "16"})
            except (ValueError, self._av.FFmpegError) as error:
                raise WriterError(f"this PyAV has no H.264 encoder ({error}): write a .gif instead") from None
            self._stream.height, self._stream.width, self._stream.pix_fmt = *even.shape[1:3], "yuv420p"
        for frame in even:
            picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            self._container.mux(self._stream.encode(picture))

    def _close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


class GifWriter(FilmWriter):
    """A GIF; all of it is kept until the end, since its frames share one palette.

    Args:
        path: of the film.
        fps: frames a second.
        frames: how many there will be.

    Raises:
        WriterError: if those are too many to be kept.
    """

    def __init__(self, path: Path, *, fps: float, frames: int) -> None:
        if frames > _GIF_FRAMES:
            raise WriterError(f"a GIF of {frames} frames would not fit the memory: write out=….mp4 instead")
        self._fps = fps
        self._frames: list[UInt8[Array, "s H W 3"]] = []
        super().__init__(path)

    def _add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        """Keep the next frames."""
        self._frames.append(shown)

    def _close(self) -> None:
        if self._frames:
            self.temporary.write_bytes(encode_gif(np.concatenate(self._frames), fps=self._fps))


class PngWriter(FilmWriter):
    """A folder of pictures, ``000000.png`` and so on."""

    def _open(self) -> None:
        self.temporary.mkdir()
        self._count = 0

    def _add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        """Write the next pictures."""
        for frame in shown:
            Image.fromarray(frame).save(self.temporary / f"{self._count:06d}.png")
            self._count += 1


class NpzWriter(FilmWriter):
    """The predicted frames as they are, ``frames`` (S, N, C, H, W) in [0, 1], float32; memory does not grow.

    Args:
        path: of the file.
        shape: S, N, C, H, W.
    """

    def __init__(self, path: Path, *, shape: tuple[int, int, int, int, int]) -> None:
        self._shape = shape
        super().__init__(path)

    def _open(self) -> None:
        self._archive = zipfile.ZipFile(self.temporary, "w", zipfile.ZIP_DEFLATED)
        self._array = self._archive.open("frames.npy", "w", force_zip64=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._array, header)

    def _add(self, shown: UInt8[Array, "s H W 3"], predicted: Float[Array, "N s C h w"]) -> None:
        """Write the next frames of all samples."""
        self._array.write(np.ascontiguousarray(predicted.swapaxes(0, 1), dtype="<f4").tobytes())

    def _close(self) -> None:
        self._array.close()
        self._archive.close()


def check_place(path: Path) -> None:
    """Refuse now what could not be written later, after the work.

    Raises:
        WriterError: for an unknown suffix, a place that cannot be written to, or an encoder that is missing.
    """
    writer = open_writer(path, fps=1.0, shape=(1, 1, 1, 1, 1))
    writer.discard()


def open_writer(path: Path, *, fps: float, shape: tuple[int, int, int, int, int]) -> FilmWriter:
    """The writer of a file's kind: ``.mp4``, ``.gif``, ``.npz``, or a folder of pictures where there is no suffix.

    Args:
        path: of the film.
        fps: frames a second.
        shape: S, N, C, H, W of what is predicted.

    Raises:
        WriterError: for another suffix, or a place that cannot be written to.
    """
    kind = path.suffix.lower()
    if kind == ".mp4":
        return Mp4Writer(path, fps=fps)
    if kind == ".gif":
        return GifWriter(path, fps=fps, frames=shape[0])
    if kind == ".npz":
        return NpzWriter(path, shape=shape)
    if kind == "":
        return PngWriter(path)
    raise WriterError(f"out={path}: films are written as .mp4, .gif, .npz, or a folder of pictures (no suffix)")
