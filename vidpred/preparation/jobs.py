"""What the processes of a preparation do: estimate the poses of some frames, or cut some frames out."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidpred.data.draft import open_array
from vidpred.pose.estimator import PoseEstimator
from vidpred.preparation.cropping import CropWindow, cut
from vidpred.preparation.films import Film


class PoseJob(NamedTuple):
    """Consecutive frames whose poses are wanted."""

    film: Film
    numbers: tuple[int, ...]
    estimator: PoseEstimator
    file: Path  # where the keypoints go


class FrameJob(NamedTuple):
    """Consecutive frames to be cut out, scaled and written into rows of a draft."""

    film: Film
    numbers: tuple[int, ...]
    window: CropWindow
    size: tuple[int, int]  # height, width of a row
    folder: Path  # of the draft
    row: int


def estimate_poses(job: PoseJob) -> None:
    """Write the keypoints of a job's frames, whole or not at all."""
    keypoints = job.estimator.estimate(job.film.frames(job.numbers))
    job.file.parent.mkdir(parents=True, exist_ok=True)
    partial = job.file.with_suffix(".partial.npy")
    np.save(partial, keypoints, allow_pickle=False)
    os.replace(partial, job.file)


def cut_frames(job: FrameJob) -> None:
    """Write a job's frames into their rows."""
    rows = open_array(job.folder, "frames")
    for place, frame in enumerate(job.film.frames(job.numbers)):
        rows[job.row + place] = cut(frame, job.window, job.size)
