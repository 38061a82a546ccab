"""Baselines: what costs nothing and needs no model, scored on the same clips.

===================  =======================================================================================
name                 prediction of frame t
===================  =======================================================================================
``copy_context``     the last context frame
``nearest_pose``     the training frame whose pose map is nearest
``mean_frame``       the mean of the training frames
``copy_previous``    the true frame t − 1: it sees the target's past, which no rollout does
``oracle``           the mean of many drawings with the same first frame and poses (embedded data only): the
                     best that can be said without knowing the random factors
===================  =======================================================================================
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor
from torch.nn import functional

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.posing import PoseInput
from vidpred.data.source import Split
from vidpred.data.store import Store
from vidpred.metrics import psnr

Frames = Float[Tensor, "S C H W"]
Score = Callable[[Frames, Frames, int], dict[str, Float[Tensor, " S"]]]  # of prediction, truth and the clip's place
_POOLED = 16  # pose maps are compared at 16×16
_BANK = 4096  # training frames that are compared with, spread evenly over all


def psnr_of_baselines(
    data: ClipDataModule, split: Split, windows: Sequence[Window], *, context_frames: int
) -> dict[str, list[Float[Array, " S"]]]:
    """PSNR of every baseline, per clip and predicted frame, in dB."""

    def score(predicted: Frames, target: Frames, _: int) -> dict[str, Float[Tensor, " S"]]:
        return {"psnr": psnr(predicted[None], target[None], data_range=1.0)[0]}

    scores = score_baselines(data, split, windows, score, context_frames=context_frames)
    return {name: metrics["psnr"] for name, metrics in scores.items()}


def score_baselines(
    data: ClipDataModule, split: Split, windows: Sequence[Window], score: Score, *, context_frames: int
) -> dict[str, dict[str, list[Float[Array, " S"]]]]:
    """Every metric of every baseline, per clip and predicted frame.

    Args:
        data: where training frames and oracle come from.
        split: of the clips.
        windows: the clips.
        score: gives the metrics of a clip's predicted frames.
        context_frames: K.
    """
    store, train = data.store(split), data.store("train")
    rows = np.linspace(0, len(train.frames) - 1, min(_BANK, len(train.frames))).round().astype(int)
    bank = torch.cat(list(_pool(train, data.poses, rows)))
    mean = _read(train, rows[:: max(1, len(rows) // 512)]).mean(dim=0)
    oracles = data.source.oracles(
        split, [(window.sequence, (window.length - 1) * window.step + 1) for window in windows]
    )
    scores: dict[str, dict[str, list[Array]]] = {}
    for number, window in enumerate(windows):
        first = store.sequences[window.sequence].first + window.start
        own = first + window.step * np.arange(window.length)
        frames, steps = _read(store, own), window.length - context_frames
        nearest = _nearest(torch.cat(list(_pool(store, data.poses, own[context_frames:]))), bank).numpy()
        predictions = {
            "copy_context": frames[context_frames - 1].expand(steps, -1, -1, -1),
            "nearest_pose": _read(train, rows[nearest]),
            "mean_frame": mean.expand(steps, -1, -1, -1),
            "copy_previous": frames[context_frames - 1 : -1],
        }
        if oracles is not None:
            predictions["oracle"] = torch.from_numpy(oracles[number][:: window.step][context_frames:])
        for name, predicted in predictions.items():
            for metric, values in score(predicted, frames[context_frames:], number).items():
                scores.setdefault(name, {}).setdefault(metric, []).append(values.numpy())
    return scores


def _read(store: Store, rows: Int[np.ndarray, " N"]) -> Float[Tensor, "N C H W"]:
    """Frames in [0, 1]."""
    return torch.from_numpy(store.frames[rows]).float() / 255


def _pool(store: Store, poses: PoseInput, rows: Int[np.ndarray, " N"]) -> Iterator[Float[Tensor, "n D"]]:
    """Pose maps at low resolution, as vectors."""
    for part in np.array_split(rows, max(1, len(rows) // 256)):
        maps = torch.from_numpy(poses.read(store, part)).float()
        size = (min(_POOLED, maps.shape[2]), min(_POOLED, maps.shape[3]))
        yield rearrange(functional.adaptive_avg_pool2d(maps, size), "n p h w -> n (p h w)")


def _nearest(queries: Float[Tensor, "n D"], bank: Float[Tensor, "m D"]) -> Int[Tensor, " n"]:
    return torch.cdist(queries, bank).argmin(dim=1)
