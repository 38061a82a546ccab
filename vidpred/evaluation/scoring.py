"""Scores of a model on the clips of a split, by the one rollout."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor
from torch.utils.data import DataLoader

from vidpred.data.clips import Window, keep_batch
from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.data.source import Split
from vidpred.metrics import psnr
from vidpred.networks import rollout
from vidpred.predictor import Predictor
from vidpred.seeds import clip_generators
from vidpred.types import Batch, Clip


def score_model(
    predictor: Predictor, data: ClipDataModule, split: Split, *, z: str = "sample", seed: int = 0
) -> tuple[list[Window], list[Float[Tensor, " S"]]]:
    """Roll out every clip of a split from its context frames.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        z: "sample" from the prior, or its "mean".
        seed: of the samples.

    Returns:
        The clips, and the PSNR of every predicted frame of each, in dB.
    """
    sampler = data.eval_sampler(split)
    loader: DataLoader[Clip] = DataLoader(data.clips(split), batch_sampler=sampler, collate_fn=keep_batch)
    scores: list[Tensor] = []
    for clips in loader:
        batch = Batch(*(value.to(predictor.device) for value in to_batch(clips)))
        known = predictor.context_frames
        generators = clip_generators(seed, batch.sequence.tolist())
        predicted = rollout(predictor.model, batch.frames[:, :known], batch.poses, z=z, generators=generators)
        scores += psnr(predicted, batch.frames[:, known:], data_range=1.0).cpu().unbind()
    return sampler.windows, scores


def as_matrix(rows: list[Float[Tensor, " _"]]) -> Float[Array, "B S"]:
    """Scores of clips in rows, padded with NaN past a clip's end."""
    padded: Array = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=float("nan")).numpy()
    return padded.astype(np.float32)
