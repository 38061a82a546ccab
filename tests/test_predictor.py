import pytest
import torch
from samples import SHAPE, TINY, lively

from vidpred.predictor import Predictor


@pytest.fixture
def predictor():
    return Predictor(lively(TINY["cvae"]()), context_frames=1, config={})


def test_pixels_and_floats_give_the_same_film(predictor):
    pixels = torch.randint(256, (6, 3, SHAPE.height, SHAPE.width), dtype=torch.uint8)
    film = predictor.rollout(pixels[0], pixels, seed=3)
    torch.testing.assert_close(film, predictor.rollout(pixels[:1].float() / 255, pixels.float() / 255, seed=3))
    assert film.shape == (5, 3, SHAPE.height, SHAPE.width)
    assert 0 <= float(film.min()) <= float(film.max()) <= 1


def test_seeds_give_samples(predictor):
    pixels = torch.rand(6, 3, SHAPE.height, SHAPE.width)
    first, same, other = (predictor.rollout(pixels[0], pixels, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_other_sizes_are_refused(predictor):
    good = torch.rand(6, 3, SHAPE.height, SHAPE.width)
    with pytest.raises(ValueError, match="frames of 3x16x24, got 3x8x8"):
        predictor.rollout(torch.rand(3, 8, 8), good)
    with pytest.raises(ValueError, match="pose maps of 3x16x24, got 1x16x24"):
        predictor.rollout(good[0], good[:, :1])


def test_floats_that_are_bytes_are_refused(predictor):
    pixels = torch.randint(256, (6, 3, SHAPE.height, SHAPE.width)).float()
    with pytest.raises(ValueError, match=r"float frames lie in \[0, 1\].*divide bytes by 255"):
        predictor.rollout(pixels[0], pixels / 255)
