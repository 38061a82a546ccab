"""Averages over clips, their intervals, and what several samples of a clip tell."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy.special import comb
from scipy.stats import bootstrap

DRAWS = 2000  # of a bootstrap


class Interval(NamedTuple):
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def interval(values: Float[Array, " B"], *, seed: int = 0) -> Interval:
    """Mean over clips with its 95 % bootstrap interval: clips are drawn, not frames, which are not independent.

    Bias-corrected and accelerated (Efron 1987, doi 10.1080/01621459.1987.10478410), by SciPy; percentiles where all
    clips score alike. One clip has no interval: NaN.

    Args:
        values: a number per clip.
        seed: of the draws.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate draws; the result is checked
        found = bootstrap(
            (values,), np.mean, n_resamples=DRAWS, method="BCa", rng=np.random.default_rng(seed)
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not np.isfinite([low, high]).all():
        draws = np.random.default_rng(seed).choice(values, (DRAWS, len(values))).mean(axis=1)
        low, high = (float(value) for value in np.quantile(draws, [0.025, 0.975]))
    return Interval(mean, low, high)


def paired_interval(first: Float[Array, "R B"], second: Float[Array, "Q B"], *, seed: int = 0) -> Interval:
    """Mean difference of two settings on the same clips, first less second, with its 95 % bootstrap interval.

    Clips are drawn for both at once, since a clip that is hard is hard for both; the runs of each setting are drawn
    apart, since seeds have nothing in common (percentiles; Davison and Hinkley 1997, section 3.8). A single run of a
    setting tells nothing of other seeds, and is taken as it is. One clip has no interval: NaN.

    Args:
        first: a number per run and clip.
        second: likewise, of another setting.
        seed: of the draws.
    """
    mean = float(first.mean() - second.mean())
    clips = first.shape[1]
    if clips < 2:
        return Interval(mean, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    drawn = _draw_shares(rng, clips)
    means = [np.einsum("dr,rb,db->d", _draw_shares(rng, len(scores)), scores, drawn) for scores in (first, second)]
    low, high = (float(value) for value in np.quantile(means[0] - means[1], [0.025, 0.975]))
    return Interval(mean, low, high)


def _draw_shares(rng: np.random.Generator, count: int) -> Float[Array, "draws count"]:
    """Of every bootstrap draw the share of each member."""
    return rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count


def interval_band(scores: Float[Array, "B S"], *, seed: int = 0) -> tuple[Float[Array, " S"], Float[Array, " S"]]:
    """The 95 % percentile bootstrap interval of the mean over clips, frame by frame, for a figure's band.

    Args:
        scores: per clip and frame; NaN where a clip has ended.
        seed: of the draws.

    Returns:
        Low and high; NaN where fewer than two clips are left.
    """
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=DRAWS).astype(float)
    there = np.isfinite(scores)
    total, count = weights @ np.where(there, scores, 0), weights @ there
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    means[:, there.sum(axis=0) < 2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of frames that too few clips have
        low, high = np.nanquantile(means, [0.025, 0.975], axis=0)
    return low, high


def best_of_k(scores: Float[Array, "B N"]) -> Float[Array, " N"]:
    """The expected best of k samples for k = 1 … N, averaged over clips; larger is better.

    Without bias from all N samples: with x_(1) ≤ … ≤ x_(N),

        E[best of k] = Σ_i x_(i) · C(i − 1, k − 1) / C(N, k),

    the mean over all subsets of k samples.
    """
    samples = scores.shape[1]
    ranks = np.arange(1, samples + 1)
    weights = np.array([comb(ranks - 1, k - 1) / comb(samples, k) for k in ranks])
    curve: Array = (np.sort(scores, axis=1) @ weights.T).mean(axis=0)
    return curve


def slope(curve: Float[Array, " S"]) -> float:
    """Least-squares slope of a curve over its frames, per frame; NaN are left out."""
    frames = np.flatnonzero(np.isfinite(curve))
    return float(np.polyfit(frames, curve[frames], 1)[0]) if len(frames) > 1 else 0.0
