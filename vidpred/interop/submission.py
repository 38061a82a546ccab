"""The lab's submission: a CSV of frames, and the score that it gets.

The header is ``id,0,…,D − 1`` with D = C·H·W. A row is a frame, flattened as C, H, W, each value rint(255 x) in
0 … 255; ids count through all sequences, each of which begins with its given frame.
"""

import os
import warnings
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray as Array
from torch import Tensor

from vidpred.metrics import MAX_PSNR

_LONGEST = 50_000_000  # characters of a header, for frames of 1000x1000 pixels and more


class SubmissionError(ValueError):
    """A file is no submission, or does not fit another."""


class Score(NamedTuple):
    """PSNR of a submission, in dB."""

    mean: float
    per_sequence: list[float]


class SubmissionWriter:
    """Writes rows as they come, under a temporary name until all are there.

    Args:
        path: of the file.

    Raises:
        SubmissionError: if it cannot be written, or no frame was added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}-{os.getpid()}")
        self._rows = 0
        self._shape: torch.Size | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("w", newline="", encoding="ascii")
        except OSError as error:
            raise SubmissionError(f"out={path} cannot be written: {error.strerror or error}") from None

    def __enter__(self) -> "SubmissionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None and not self._rows:
                raise SubmissionError(f"out={self.path} is not written: no frame was added")
            if kind is None:
                os.replace(self._temporary, self.path)
        except OSError as failure:
            reason = failure.strerror or failure
            raise SubmissionError(f"out={self.path} cannot be written: {reason}") from error
        finally:
            self._temporary.unlink(missing_ok=True)

    def add(self, frames: Float[Tensor, "s C H W"]) -> None:
        """Write the next frames; values are clipped to [0, 1].

        Raises:
            SubmissionError: if a value is not finite, or the frames are of another size than those before.
        """
        if self._shape not in (None, frames.shape[1:]):
            raise SubmissionError(f"frames of {tuple(frames.shape[1:])} cannot follow frames of "
                                  f"{tuple(self._shape or ())}: a submission has one size")  # fmt: skip
        if not frames.isfinite().all():
            raise SubmissionError("a predicted frame holds values that are not finite: no submission can say so")
        rows = rearrange((255 * frames.float().clamp(0, 1)).round().long().cpu().numpy(), "s c h w -> s (c h w)")
        if self._shape is None:
            self._shape = frames.shape[1:]
            self._file.write(f"id,{','.join(str(column) for column in range(rows.shape[1]))}\n")
        for row in rows:
            self._file.write(f"{self._rows},{','.join(map(str, row))}\n")
            self._rows += 1


def read_submission(path: Path) -> UInt8[Array, "N D"]:
    """The frames of a submission.

    Raises:
        SubmissionError: if the file is missing, or is not what a submission is, with the reason.
    """
    try:
        with path.open(encoding="ascii") as file:
            header = file.readline(_LONGEST).strip().split(",")
            if header != ["id", *(str(column) for column in range(len(header) - 1))] or len(header) < 2:
                raise SubmissionError(f"{path} is no submission: its header must be id,0,1,…")
            cells = _read_cells(file)
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read: {error.strerror or error}") from None
    except SubmissionError:
        raise
    except (ValueError, DeprecationWarning) as error:
        reason = " ".join(str(error).partition(";")[0].split())
        raise SubmissionError(f"{path} is no submission: {reason}") from None
    if not cells.size:
        raise SubmissionError(f"{path} is no submission: there are no rows below its header")
    if cells.shape[1] != len(header):
        raise SubmissionError(f"{path}: rows have {cells.shape[1]} columns, the header {len(header)}")
    if not np.array_equal(cells[:, 0], np.arange(len(cells))):
        raise SubmissionError(f"{path}: ids must count from 0 to {len(cells) - 1}")
    pixels = cells[:, 1:]
    if pixels.min() < 0 or pixels.max() > 255:
        raise SubmissionError(f"{path}: values must lie in 0 … 255, got {pixels.min()} to {pixels.max()}")
    return pixels.astype(np.uint8)


def _read_cells(file: TextIO) -> Int64[Array, "N columns"]:
    """Whole numbers, and nothing else: what numpy 1 reads as one with a warning, as 2.5, is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.filterwarnings("ignore", "loadtxt: input contained no data", UserWarning)
        return np.loadtxt(file, delimiter=",", dtype=np.int64, ndmin=2, comments=None)


def score_submission(
    mine: UInt8[Array, "N D"], truth: UInt8[Array, "M E"], *, length: int = 630, counted: int = 600
) -> Score:
    """The lab's score: mean PSNR of the predicted frames 1 … counted of every sequence, with range 255.

    A frame without error has ``MAX_PSNR``.

    Args:
        mine: rows of a submission.
        truth: the true ones.
        length: rows of a sequence, the given frame included.
        counted: predicted frames that count.

    Raises:
        SubmissionError: if the two differ in shape, or rows are no whole sequences of that length.
    """
    if mine.shape != truth.shape:
        raise SubmissionError(f"the submission has {mine.shape[0]} rows of {mine.shape[1]} values, the truth "
                              f"{truth.shape[0]} of {truth.shape[1]}")  # fmt: skip
    if not 1 <= counted < length or not len(mine) or len(mine) % length:
        raise SubmissionError(f"{len(mine)} rows are no sequences of sequence_length={length} with counted={counted} "
                              f"predicted frames")  # fmt: skip
    made, true = (rearrange(rows, "(q t) d -> q t d", t=length)[:, 1 : counted + 1] for rows in (mine, truth))
    error = np.stack([((a.astype(np.float64) - b) ** 2).mean(axis=1) for a, b in zip(made, true, strict=True)])
    with np.errstate(divide="ignore"):
        psnr = np.minimum(10 * np.log10(255**2 / error), MAX_PSNR)
    return Score(float(psnr.mean()), [float(sequence) for sequence in psnr.mean(axis=1)])
