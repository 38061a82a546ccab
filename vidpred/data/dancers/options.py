"""The embedded data as a source, from the flat options of ``conf/data/dancers.yaml``."""

from collections.abc import Mapping
from pathlib import Path

from vidpred.data.dancers.factors import Strengths
from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize
from vidpred.data.source import Split


def dancers_source(
    *,
    height: int,
    width: int,
    fps: float,
    stochastic: float,
    strengths: Mapping[str, float],
    clips_per_dancer: int,
    train_clips: int,
    train_frames: int,
    val_clips: int,
    val_frames: int,
    test_clips: int,
    test_frames: int,
    futures: int,
    drawing_seed: int,
    cache: str,
) -> DancersSource:
    """Build the source; see ``Dancers`` and ``DancersSource`` for the options.

    Raises:
        ValueError: for an option out of its range.
    """
    dancers = Dancers(
        seed=drawing_seed,
        height=height,
        width=width,
        fps=fps,
        clips_per_dancer=clips_per_dancer,
        stochastic=stochastic,
        strengths=Strengths(**strengths),
    )
    sizes: dict[Split, SplitSize] = {
        "train": SplitSize(train_clips, train_frames),
        "val": SplitSize(val_clips, val_frames),
        "test": SplitSize(test_clips, test_frames),
    }
    return DancersSource(dancers=dancers, sizes=sizes, cache=Path(cache).expanduser(), futures=futures)
