import io

import numpy as np
import pytest
import torch
from PIL import Image

from vidpred.viz.figures import psnr_figure
from vidpred.viz.films import encode_gif, save_png, side_by_side, strip
from vidpred.viz.pixels import to_pixels


def film(frames=6, height=16, width=24):
    return to_pixels(torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0)))


def test_pixels_are_clipped_scaled_and_rounded():
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 2.0]).reshape(1, 1, 1, 6)
    assert to_pixels(values)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


def test_grey_is_shown_as_rgb():
    assert to_pixels(torch.rand(2, 1, 4, 4)).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("scale", [1, 3])
def test_films_stand_side_by_side(scale):
    first, second = film(), film() // 2
    out = side_by_side({"pose": first, "truth": second}, scale=scale)
    assert out.shape[0] == 6
    left = out[:, -16 * scale :: scale, : 24 * scale : scale]
    right = out[:, -16 * scale :: scale, -24 * scale :: scale]
    assert np.array_equal(left, first)
    assert np.array_equal(right, second)


def test_a_strip_shows_the_first_and_the_last_moment():
    frames = film(frames=9)
    out = strip({"truth": frames}, columns=3)
    assert np.array_equal(out[-16:, -24:], frames[-1])
    assert np.array_equal(out[-16:, -72:-48], frames[0])


def test_a_gif_has_every_frame_at_its_speed():
    with Image.open(io.BytesIO(encode_gif(film(frames=7), fps=12.5))) as gif:
        assert gif.n_frames == 7
        assert gif.info["duration"] == 80
        assert gif.info["loop"] == 0


def test_identical_frames_are_not_lost():
    still = np.repeat(film(frames=1), 5, axis=0)
    with Image.open(io.BytesIO(encode_gif(still, fps=10.0))) as gif:
        total = 0
        for number in range(gif.n_frames):
            gif.seek(number)
            total += gif.info["duration"]
    assert total == 500


def test_a_png_is_what_was_saved(tmp_path):
    picture = film()[0]
    save_png(picture, tmp_path / "frame.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "frame.png")), picture)


def test_the_figure_names_the_mean_over_clips_and_frames():
    curves = {"model": np.array([[10.0, 20.0], [30.0, np.nan], [20.0, 22.0]]), "copy": np.full((3, 2), 15.0)}
    axes = psnr_figure(curves, context_frames=1).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["model  (mean 22.00 dB)", "copy  (mean 15.00 dB)"]
    assert axes.lines[0].get_ydata().tolist() == [20.0, 21.0]


def test_no_curve_is_left_out_of_the_figure():
    curves = {f"curve {number}": np.full((2, 3), 10.0 + number) for number in range(11)}
    assert len(psnr_figure(curves, context_frames=1).axes[0].get_legend().get_texts()) == 11
