import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import AffineTransform, warp

from vidpred.pose.regions import Region, crop, to_frame, upright_region

coordinates = st.floats(-500, 500)
TILTED = Region(61.3, 47.8, 30.0, 0.7)


def ramps(height=100, width=120):
    """A picture that says where it is: red is 2 · column, green 2 · row, blue their sum."""
    row, column = np.indices((height, width))
    return np.stack([2 * column, 2 * row, row + column], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("region", [TILTED, Region(60, 50, 20), Region(50.5, 40.25, 44.0, -2.5)])
def test_a_crop_shows_what_lies_there(region):
    size = 32
    picture = crop(ramps(), region, size, outside="border")
    centres = (np.arange(size) + 0.5) / size
    places = to_frame(np.stack(np.meshgrid(centres, centres), axis=-1), region) - 0.5
    np.testing.assert_allclose(picture[..., 0] * 255, 2 * places[..., 0], atol=2e-2)
    np.testing.assert_allclose(picture[..., 1] * 255, 2 * places[..., 1], atol=2e-2)
    np.testing.assert_allclose(picture[..., 2] * 255, places.sum(axis=-1), atol=2e-2)


@pytest.mark.parametrize(("outside", "mode"), [("zeros", "constant"), ("border", "edge")])
@pytest.mark.parametrize("region", [TILTED, Region(3.0, 90.0, 70.0, 1.1), Region(115.0, 10.0, 60.0, 3.0)])
def test_crops_agree_with_scikit_image(region, outside, mode):
    frame = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    size = 64
    middle = AffineTransform(translation=(0.5 - size / 2, 0.5 - size / 2))
    turn = AffineTransform(
        scale=region.side / size, rotation=region.rotation, translation=(region.x - 0.5, region.y - 0.5)
    )
    expected = warp(frame / 255, middle + turn, output_shape=(size, size), order=1, mode=mode)
    np.testing.assert_allclose(crop(frame, region, size, outside=outside), expected, atol=2e-3)


def test_points_found_in_a_turned_crop_map_back():
    frame = np.zeros((100, 120, 3), np.uint8)
    points = np.array([[55, 40], [70, 52], [61, 56]])
    for x, y in points:
        frame[y, x] = 255
        picture = crop(frame, TILTED, 256, outside="zeros")[..., 0]
        frame[y, x] = 0
        rows, columns = np.indices(picture.shape)
        found = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
        np.testing.assert_allclose(to_frame((found + 0.5) / 256, TILTED) - 0.5, (x, y), atol=0.02)


def test_a_large_region_overlooks_no_pixel():
    frame = np.zeros((400, 300, 3), np.uint8)
    frame[::2] = 200  # stripes that sampling without averaging would turn white or black
    inner = crop(frame, Region(150, 200, 280.0, 0.0), 16, outside="zeros")
    assert np.abs(inner * 255 - 100).max() < 15
    places = crop(ramps(120, 120), Region(60, 60, 96.0, 0.4), 24, outside="border")
    centres = (np.arange(24) + 0.5) / 24
    expected = to_frame(np.stack(np.meshgrid(centres, centres), axis=-1), Region(60, 60, 96.0, 0.4)) - 0.5
    near = (np.abs(expected - 59.5) < 50).all(axis=-1)
    np.testing.assert_allclose(places[near, 0] * 255, 2 * expected[near, 0], atol=0.1)


@pytest.mark.parametrize("region", [Region(-900.0, 40.0, 20.0), Region(60.0, 50.0, 1e6), Region(60.0, 50.0, 1e-3)])
def test_odd_regions_are_still_pictures(region):
    for outside in ("zeros", "border"):
        picture = crop(ramps(), region, 16, outside=outside)
        assert picture.shape == (16, 16, 3)
        assert picture.min() >= 0
        assert picture.max() <= 1


@given(coordinates, coordinates, coordinates, coordinates, st.floats(0.5, 3))
def test_the_end_stands_straight_above_the_start(x0, y0, x1, y1, scale):
    start, end = np.array([x0, y0]), np.array([x1, y1])
    region = upright_region(start, end, scale=scale)
    assert region.side == pytest.approx(2 * scale * math.dist(start, end))
    np.testing.assert_allclose(to_frame(np.array([0.5, 0.5]), region), start, atol=1e-6)
    np.testing.assert_allclose(to_frame(np.array([0.5, 0.5 - 0.5 / scale]), region), end, atol=1e-6)


def test_a_person_who_stands_is_not_turned():
    assert upright_region(np.array([5.0, 9.0]), np.array([5.0, 2.0]), scale=1.0).rotation == 0
    assert Region(5.0, 9.0, 4.0, 1.0).box.tolist() == [3, 7, 7, 11]
