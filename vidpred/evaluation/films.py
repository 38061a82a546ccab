"""The best, the median and the worst clip of an evaluation, as strips and films."""

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray as Array

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import Split
from vidpred.evaluation.assessment import Assessment
from vidpred.networks import rollout
from vidpred.predictor import Predictor
from vidpred.runfolder import RunFolder
from vidpred.seeds import clip_generators
from vidpred.viz.films import encode_gif, save_png, side_by_side, strip
from vidpred.viz.pixels import to_pixels

_SCALE = 3  # of films
FILMS = tuple(f"{clip}.{kind}" for clip in ("best", "median", "worst") for kind in ("gif", "png"))
_GAIN = 4  # on errors: a quarter of the range is white


def record_films(
    folder: RunFolder, assessment: Assessment, predictor: Predictor, data: ClipDataModule, split: Split, *, seed: int
) -> None:
    """Write ``FILMS``: the best, the median and the worst clip by PSNR; truth, pose, prediction and error.

    What is shown is sample 0 of a clip.
    """
    order = np.argsort([float(clip.mean()) for clip in assessment.curves["psnr"]])
    chosen = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    for name, number in chosen.items():
        rows = _roll_out(predictor, data, split, assessment.windows[int(number)], assessment, seed)
        folder.write(f"{name}.gif", encode_gif(side_by_side(rows, scale=_SCALE), fps=data.fps))
        save_png(strip(rows, scale=2), folder[f"{name}.png"])


def _roll_out(
    predictor: Predictor, data: ClipDataModule, split: Split, window: Window, assessment: Assessment, seed: int
) -> dict[str, UInt8[Array, "S H W 3"]]:
    """Sample 0 of a clip, again: it is a function of seed and clip."""
    known = assessment.context_frames
    clip = data.clips(split).__getitems__([window])
    frames, poses = (value.float().to(predictor.device) / 255 for value in (clip.frames, clip.poses))
    generators = clip_generators(seed, [window.sequence])
    predicted = rollout(predictor.model, frames[:, :known], poses, z=assessment.protocol.z, generators=generators)
    error = (predicted.clamp(0, 1) - frames[:, known:]).abs().mean(dim=2, keepdim=True) * _GAIN
    rows = {"truth": frames[:, known:], "pose": poses[:, known:], "prediction": predicted, f"error x{_GAIN}": error}
    return {name: to_pixels(torch.nan_to_num(value[0], nan=1.0)) for name, value in rows.items()}
