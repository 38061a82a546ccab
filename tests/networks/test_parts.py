import math

import numpy as np
import pytest
import torch

from vidpred.networks.parts import inpaint, join_pixels, locate_parts, split_pixels, warp_parts

H, W = 16, 24


def test_subpixels_are_split_and_joined():
    image = torch.rand(2, 3, H, W)
    assert torch.equal(join_pixels(split_pixels(image)), image)


@pytest.mark.parametrize("place", [(0, 0), (15, 23), (6, 11)])
def test_a_part_on_one_pixel_is_located_there(place):
    logits = torch.full((1, 2, H, W), -1e4)
    logits[0, 1, *place] = 0.0
    x, y, *axis = locate_parts(split_pixels(logits))[0, 1].tolist()
    assert ((x + 1) * W / 2 - 0.5, (y + 1) * H / 2 - 0.5) == pytest.approx((place[1], place[0]), abs=1e-4)
    assert axis == pytest.approx([0, 0], abs=1e-3)  # round


def bar(angle: float, centre: tuple[float, float], *, length: float = 10.0, thickness: float = 3.0) -> torch.Tensor:
    """Where a bar is, and how far along it: two pictures of 2H x 2W pixels; centre and lengths in pixels."""
    y, x = torch.meshgrid(torch.arange(2.0 * H) - centre[1], torch.arange(2.0 * W) - centre[0], indexing="ij")
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return torch.stack([(along.abs() < length) & (across.abs() < thickness), along])


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, math.pi / 2, 2.5])
def test_a_bars_axis_is_its_principal_component(angle):
    """Also where the frame is not square; NumPy's eigenvectors are the oracle."""
    (inside, _), logits = bar(angle, (23.5, 15.5)), torch.full((1, 1, 2 * H, 2 * W), -1e4)
    logits[0, 0][inside.bool()] = 0.0
    values, vectors = np.linalg.eigh(np.cov(np.argwhere(inside.bool().numpy())[:, ::-1].T))
    elongation = (values[1] - values[0]) / values.sum()
    double = 2 * math.atan2(*vectors[::-1, 1])
    axis = locate_parts(split_pixels(logits))[0, 0, 2:].tolist()
    assert axis == pytest.approx([elongation * math.cos(double), elongation * math.sin(double)], abs=1e-3)


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.3), (0.2, 1.0), (2.9, 0.2), (1.4, 0.6)])
def test_a_bar_that_turns_and_moves_takes_its_picture_with_it(before, after):
    old, new = bar(before, (20.0, 14.0)), bar(after, (25.0, 17.0))
    at = [locate_parts(split_pixels(100.0 * (inside - 1)[None, None])) for inside, _ in (old, new)]
    frames = (0.5 + old[1] / 40)[None, None]  # a ramp along the bar, that goes on around it
    moved = join_pixels(warp_parts(frames, split_pixels(torch.ones(1, 1, 2 * H, 2 * W)), at[1], at[0]))[0, 0]
    flipped = abs(before - after) > math.pi / 2  # the shorter turn is taken: an axis has no direction
    expected = 0.5 + (-1 if flipped else 1) * new[1] / 40
    assert (moved - expected)[new[0].bool()].abs().max() < 0.04


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (-1, 4)])
def test_one_part_everywhere_moves_the_frame(down, right):
    frames = torch.rand(1, 3, H, W)
    origin = torch.tensor([[[0.1 + 2 * right / W, 2 * down / H, 0.0, 0.0]]])
    place = torch.tensor([[[0.1, 0.0, 0.3, 0.3]]])  # the origin is round: nothing turns
    moved = join_pixels(warp_parts(frames, split_pixels(torch.ones(1, 1, H, W)), place, origin))
    expected = frames.roll((-down, -right), dims=(2, 3))
    inside = (..., slice(4, H - 4), slice(4, W - 4))
    assert torch.allclose(moved[inside], expected[inside], atol=1e-4)


def test_places_are_exact_under_autocast():
    """bfloat16 has 8 bits: it would be off by tenths of a pixel."""
    inside, along = bar(0.4, (20.0, 14.0))
    logits, frames = split_pixels(100.0 * (inside - 1)[None, None]), (0.5 + along / 40)[None, None]
    parts, turned = split_pixels(torch.ones(1, 1, 2 * H, 2 * W)), torch.tensor([[[0.1, 0.2, 0.3, -0.5]]])
    expected = [locate_parts(logits), warp_parts(frames, parts, turned, locate_parts(logits))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [locate_parts(logits), warp_parts(frames, parts, turned, locate_parts(logits))]
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))


def test_parts_move_on_their_own():
    frames = torch.rand(1, 3, H, W)
    left = torch.zeros(1, 2, H, W)
    left[:, 0, :, : W // 2], left[:, 1, :, W // 2 :] = 1, 1
    origins = torch.zeros(1, 2, 4)
    origins[0, 1, 0] = -2 * 2 / W
    moved = join_pixels(warp_parts(frames, split_pixels(left), torch.zeros(1, 2, 4), origins))
    assert torch.allclose(moved[..., : W // 2], frames[..., : W // 2], atol=1e-5)
    assert torch.allclose(moved[..., W // 2 :], frames[..., W // 2 - 2 : -2], atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (8, 40), (24, 24)])
def test_nothing_hidden_stays_and_hidden_pixels_do_not_matter(size):
    frames, hidden = torch.rand(2, 3, *size), torch.zeros(2, 1, *size)
    assert torch.allclose(inpaint(frames, hidden), frames)
    hidden[..., 2:7, 3:9] = 1
    other = torch.where(hidden.bool(), torch.rand_like(frames), frames)
    assert torch.allclose(inpaint(frames, hidden), inpaint(other, hidden))
    assert torch.allclose(inpaint(frames, hidden) * (1 - hidden), frames * (1 - hidden))


def test_a_hole_in_one_colour_is_filled_with_it_and_a_ramp_with_what_lies_between():
    hidden = torch.zeros(1, 1, H, W)
    hidden[..., 4:12, 8:16] = 1
    flat = torch.full((1, 3, H, W), 0.3)
    assert torch.allclose(inpaint(flat, hidden), flat, atol=1e-5)
    ramp = torch.linspace(0, 1, W).expand(1, 3, H, W).contiguous()
    assert (inpaint(ramp, hidden) - ramp).abs().max() < 0.2
