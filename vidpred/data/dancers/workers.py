"""What a drawing process does. It imports NumPy alone, so that it starts at once."""

from pathlib import Path

from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.dancers.film import Dancers
from vidpred.data.draft import open_array


def draw_clip(job: tuple[Dancers, Path, str, int, int]) -> None:
    """Draw one clip into the arrays of a store that is being written: (dancers, folder, split, index, frames)."""
    dancers, folder, split, index, frames = job
    film = dancers.film(split, index, frames)
    rows = slice(index * frames, (index + 1) * frames)
    for name in ("frames", "poses", "keypoints"):
        open_array(folder, name)[rows] = getattr(film, name)


def draw_oracle(job: tuple[Dancers, str, int, int, int]) -> Float[Array, "T 3 H W"]:
    """Draw the oracle of one clip: (dancers, split, sequence, frames, futures)."""
    dancers, split, sequence, frames, futures = job
    return dancers.oracle(split, sequence, frames, futures=futures)
