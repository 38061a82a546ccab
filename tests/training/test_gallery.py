import numpy as np
import torch

from vidpred.training.gallery import Gallery
from vidpred.training.module import Rollouts
from vidpred.types import Batch


def validate(gallery: Gallery, scores: list[float], *, first: int, frames: int = 4, size: int = 8) -> None:
    """A batch of grey clips whose predictions are as bright as their number."""
    clips = torch.arange(first, first + len(scores))
    grey = (clips / 100.0)[:, None, None, None, None].expand(-1, frames, 3, size, size)
    psnr = torch.tensor(scores)[:, None].expand(-1, frames - 1)
    batch = Batch(frames=grey * 0.5, poses=grey[:, :, :1] * 0.0, sequence=clips, start=clips * 0,
                  gap=clips * 0.0)  # fmt: skip
    gallery.add(Rollouts(clips, psnr, psnr, grey[:, 1:]), batch)


def test_the_first_the_best_and_the_worst_clip_of_all_batches_are_kept():
    gallery = Gallery(2, known=1)
    validate(gallery, [20.0, 21.0, 10.0], first=0)
    validate(gallery, [30.0, 25.0], first=3)
    arrays = gallery.to_arrays()
    assert sorted(arrays["clips"].tolist()) == [0, 1, 2, 3]
    assert (int(arrays["worst"]), int(arrays["best"])) == (2, 3)
    assert [one.clip for one in gallery.first] == [0, 1]
    assert arrays["prediction_3"].shape == (3, 8, 8, 3)
    assert arrays["prediction_3"].dtype == np.uint8
    assert arrays["prediction_3"].max() == round(0.03 * 255)
    assert int(arrays["every_3"]) == 1


def test_a_clip_whose_score_is_not_finite_is_the_worst():
    gallery = Gallery(0, known=1)
    validate(gallery, [20.0, float("nan"), 10.0], first=0)
    assert int(gallery.to_arrays()["worst"]) == 1


def test_long_and_large_films_are_thinned_and_shrunk_and_say_so():
    gallery = Gallery(1, known=1)
    validate(gallery, [20.0], first=0, frames=322, size=130)
    arrays = gallery.to_arrays()
    assert int(arrays["every_0"]) == 3
    assert arrays["truth_0"].shape == (107, 65, 65, 3)
