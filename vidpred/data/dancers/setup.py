"""The data module of the embedded data, from the options of ``conf/data/dancers.yaml``."""

from collections.abc import Mapping
from pathlib import Path

from vidpred.data.dancers.factors import Strengths
from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import Split


def dancers_data(
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
    clip_length: int,
    batch_size: int,
    clips_per_epoch: int | None,
    random_start: bool,
    eval_batch_size: int,
    num_workers: int,
    seed: int,
) -> ClipDataModule:
    """Build the data module; see ``Dancers``, ``DancersSource`` and ``ClipDataModule`` for the options.

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
    return ClipDataModule(
        DancersSource(dancers=dancers, sizes=sizes, cache=Path(cache).expanduser(), futures=futures),
        clip_length=clip_length,
        batch_size=batch_size,
        clips_per_epoch=clips_per_epoch,
        random_start=random_start,
        eval_batch_size=eval_batch_size,
        num_workers=num_workers,
        seed=seed,
    )
