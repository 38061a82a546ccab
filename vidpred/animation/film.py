"""The film itself: rolled out, laid out and written, some frames at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from vidpred.animation.stage import Stage
from vidpred.predictor import Predictor
from vidpred.viz.films import Rows, Upscale, side_by_side
from vidpred.viz.pixels import to_pixels
from vidpred.viz.writers import open_writer

Shown = Literal["picture", "pose", "prediction", "truth"]
_CHUNK = 16  # frames at a time
_PER_ROW = (5, 4, 3)  # films next to each other, where there are more than a row takes


def write_film(
    predictor: Predictor, stage: Stage, out: Path, *, show: Sequence[str], z: str = "sample",
    temperature: float = 1.0, samples: int = 1, seed: int = 0, fps: float | None = None, scale: int = 1,
    upscale: Upscale = "nearest", advance: Callable[[int], None] = lambda frames: None,
) -> int:  # fmt: skip
    """Roll out and write; nothing is left under the final name if it does not come to its end.

    Args:
        predictor: the model.
        stage: context and poses.
        out: the film: .mp4, .gif, .npz, or a folder of pictures.
        show: what stands side by side, in this order: of ``Shown``; the truth where it is known.
        z: "sample" from the prior, or its "mean".
        temperature: factor on the standard deviation of the samples.
        samples: films of the same picture and poses.
        seed: of the samples.
        fps: frames a second; None is the stage's.
        scale: how many times frames are enlarged.
        upscale: how: "nearest" or "bicubic".
        advance: is told of every frame that has been written.

    Returns:
        The number of frames.

    Raises:
        ValueError: if nothing is to be shown, or something unknown, or the place cannot be written to.
    """
    unknown = [name for name in show if name not in get_args(Shown)]
    if unknown:
        raise ValueError(f"show={list(show)}: {unknown[0]} is none of {', '.join(get_args(Shown))}")
    shown = [name for name in show if name != "truth" or stage.truth is not None]
    if not shown or samples < 1 or scale < 1:
        raise ValueError(f"there is nothing to show: show={list(show)}, samples={samples}, scale={scale}")
    known, total = len(stage.context), int(stage.poses.shape[1]) - len(stage.context)
    size = predictor.model.shape
    with open_writer(out, fps=fps or stage.fps, shape=(total, samples, size.channels, size.height, size.width)) as film:
        first = 0
        pieces = predictor.stream(stage.context, stage.poses, z=z, temperature=temperature, seed=seed, samples=samples,
                                  chunk=_CHUNK)  # fmt: skip
        for predicted in pieces:
            rows = _lay_out(stage, shown, predicted, known, first)
            columns = min(_PER_ROW, key=lambda columns: -len(rows) % columns)  # the fewest empty places
            film.add(side_by_side(rows, scale=scale, per_row=columns, upscale=upscale), predicted.numpy())
            first += predicted.shape[1]
            advance(predicted.shape[1])
    return total


def _lay_out(stage: Stage, shown: Sequence[str], predicted: Float[Tensor, "N s C H W"], known: int, first: int) -> Rows:
    """The films of some frames, by the names that stand above them."""
    samples, frames = predicted.shape[:2]
    rows: Rows = {}
    for name in shown:
        if name == "picture":
            picture = stage.context[-1:].float().cpu() / 255
            rows[name] = to_pixels(picture.expand(frames, -1, -1, -1))
        elif name == "pose":
            maps = stage.poses[slice(None), slice(known + first, known + first + frames)][0]
            rows[name] = to_pixels(maps.float() / 255 if maps.dtype == torch.uint8 else maps)
        elif name == "truth":
            assert stage.truth is not None
            rows[name] = to_pixels(stage.truth[first : first + frames].float() / 255)
        else:
            names = ["prediction"] if samples == 1 else [f"sample {number}" for number in range(samples)]
            rows |= {name: to_pixels(film) for name, film in zip(names, predicted, strict=True)}
    return rows
