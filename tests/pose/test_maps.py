from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from vidpred.pose.drawing import cover_capsules, draw_limbs, rasterize_capsule
from vidpred.pose.keypoints import flip_keypoints, read_keypoints, scale_keypoints
from vidpred.pose.maps import Heatmaps, Limbs
from vidpred.pose.skeletons import BLAZEPOSE, DANCER, SKELETONS, build_skeleton

DANCER_VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "dancer"
SIZE = (20, 30)
MAPS = (Limbs(), Heatmaps())
ARM = build_skeleton(("shoulder", "left_hand", "right_hand"), (("shoulder", "left_hand"), ("shoulder", "right_hand")))
POINTS = st.floats(-60, 90, width=32)


def coverage_by_distance(start, end, radius, size):
    """From every pixel's distance to the nearest point start + t · (end − start), t in [0, 1]."""
    rows, columns = np.indices(size)
    pixels = np.stack([columns, rows], axis=-1)
    axis = end - start
    t = np.clip((pixels - start) @ axis / max(axis @ axis, 1e-30), 0, 1)
    distance = np.linalg.norm(pixels - start - t[..., None] * axis, axis=-1)
    return np.clip(radius + 0.5 - distance, 0, 1)


@given(arrays(np.float32, (2, 2), elements=POINTS), st.floats(0.2, 6))
def test_coverage_is_that_of_the_distance_to_the_segment(ends, radius):
    cover = cover_capsules(ends[:1], ends[1:], radius=radius, size=SIZE)
    drawn = np.zeros(SIZE)
    drawn[cover.row, cover.column] = cover.coverage
    np.testing.assert_allclose(drawn, coverage_by_distance(*ends.astype(float), radius, SIZE), atol=1e-5)


@given(arrays(np.float32, (5, 2, 2), elements=POINTS), st.floats(0.2, 6))
def test_both_ways_to_rasterize_agree(ends, radius):
    radii = np.full(5, radius)
    stroke = rasterize_capsule(ends[:, 0], ends[:, 1], radii, radii, SIZE)
    windows = np.zeros((5, *SIZE))
    windows.reshape(-1)[stroke.pixels] = stroke.coverage
    cover = cover_capsules(ends[:, 0], ends[:, 1], radius=radius, size=SIZE)
    strips = np.zeros((5, *SIZE))
    strips[cover.capsule, cover.row, cover.column] = cover.coverage
    np.testing.assert_allclose(strips, windows, atol=1 / 255)


@given(arrays(np.float32, (1, 17, 2), elements=POINTS), st.floats(0.5, 5))
def test_a_map_of_limbs_holds_the_brightest_of_its_lines(keypoints, thickness):
    size = (24, 40)
    expected = np.zeros((3, *size))
    for (first, second), color in zip(DANCER.limbs, DANCER.colors, strict=True):
        ends = keypoints[0, [first, second]].astype(float)
        line = coverage_by_distance(*ends, thickness / 2, size)
        expected = np.maximum(expected, line * np.array(color)[:, None, None])
    drawn = draw_limbs(keypoints, DANCER, size, thickness=thickness)[0]
    assert np.abs(drawn - expected).max() < 0.51


@given(arrays(np.float32, (2, 3, 2), elements=POINTS), st.floats(0.5, 20))
def test_heatmaps_are_gaussian(keypoints, sigma):
    size = (32, 20)
    rows, columns = np.indices(size)
    pixels = sigma * 32 / 64
    drawn = Heatmaps(sigma=sigma)(keypoints, ARM, size)
    for frame, joint in np.ndindex(2, 3):
        x, y = keypoints[frame, joint].astype(float)
        bell = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * pixels**2))
        assert np.abs(drawn[frame, joint] - bell).max() <= 0.501


@pytest.mark.parametrize("draw", MAPS)
@pytest.mark.parametrize("name", SKELETONS)
def test_a_map_has_its_shape(draw, name):
    skeleton = SKELETONS[name]
    keypoints = np.random.default_rng(0).uniform(0, 20, (2, len(skeleton.joints), 3)).astype(np.float32)
    drawn = draw(keypoints, skeleton, SIZE)
    assert drawn.shape == (2, draw.channels(skeleton), *SIZE)
    assert drawn.dtype == np.uint8
    assert draw.channels(skeleton) == (3 if isinstance(draw, Limbs) else len(skeleton.joints))


@pytest.mark.parametrize("draw", MAPS)
def test_every_frame_is_drawn_alone(draw):
    """More frames than are drawn together."""
    keypoints = np.random.default_rng(1).uniform(-5, 35, (150, 3, 2)).astype(np.float32)
    together = draw(keypoints, ARM, SIZE)
    for frame in (0, 63, 64, 149):
        np.testing.assert_array_equal(together[frame : frame + 1], draw(keypoints[frame : frame + 1], ARM, SIZE))


@pytest.mark.parametrize("missing", [(np.nan, np.nan, 0), (25, 15, 0), (np.nan, 15, 1), (25, np.inf, 1)])
def test_missing_joints_and_their_limbs_are_not_drawn(missing):
    keypoints = np.array([[[3, 3, 1], [20, 4, 0.1], [25, 15, 1]]], dtype=np.float32)
    without = keypoints.copy()
    without[0, 2] = missing
    only = replace(ARM, limbs=ARM.limbs[:1], colors=ARM.colors[:1])
    np.testing.assert_array_equal(Limbs()(without, ARM, SIZE), Limbs()(keypoints, only, SIZE))
    np.testing.assert_array_equal(Heatmaps()(without, ARM, SIZE)[:, :2], Heatmaps()(keypoints, ARM, SIZE)[:, :2])
    assert not Heatmaps()(without, ARM, SIZE)[:, 2].any()


@pytest.mark.parametrize("draw", MAPS)
def test_a_map_without_joints_is_black(draw):
    assert not draw(np.full((2, 3, 3), np.nan, dtype=np.float32), ARM, SIZE).any()
    assert not draw(np.full((2, 3, 2), 1e20, dtype=np.float32), ARM, SIZE).any()
    assert not draw(np.full((2, 3, 2), -50, dtype=np.float32), ARM, SIZE).any()


def test_a_limb_that_crosses_the_picture_is_drawn_inside():
    keypoints = np.array([[[-1000, 10], [1000, 10], [-3000, 10]]], dtype=np.float32)
    drawn = Limbs(thickness=6.4)(keypoints, ARM, SIZE)[0]
    np.testing.assert_array_equal(drawn[:, 10], np.tile(np.array(ARM.colors[0])[:, None], (1, 30)))
    assert not drawn[:, :8].any()
    assert not drawn[:, 13:].any()


@pytest.mark.parametrize("draw", [Limbs(thickness=4.0), Heatmaps(sigma=3.0)])
def test_maps_of_every_size_look_alike(draw):
    keypoints = np.array([[[8.2, 9.1], [50.5, 20.3], [30.7, 51.9]]], dtype=np.float32)
    small = draw(keypoints, ARM, (64, 72))[0]
    large = draw(scale_keypoints(keypoints, units="pixels", size=(64, 72), to=(256, 288)), ARM, (256, 288))[0]
    pooled = large.reshape(-1, 64, 4, 72, 4).mean(axis=(2, 4))
    assert np.abs(pooled - small).max() < 40
    assert np.abs(pooled - small).mean() < 0.5


@pytest.mark.parametrize("name", SKELETONS)
def test_a_flipped_map_is_the_map_of_flipped_keypoints(name):
    """Where left and right limbs share their colour; where they do not, the colours tell the sides apart."""
    skeleton = SKELETONS[name]
    keypoints = np.random.default_rng(2).uniform(-3, 33, (4, len(skeleton.joints), 2)).astype(np.float32)
    flipped = flip_keypoints(keypoints, skeleton, width=30)
    color = {frozenset(limb): hue for limb, hue in zip(skeleton.limbs, skeleton.colors, strict=True)}
    partners = [frozenset(skeleton.mirrored[joint] for joint in limb) for limb in skeleton.limbs]
    shared = [
        max(color[partner], color[frozenset(limb)]) for limb, partner in zip(skeleton.limbs, partners, strict=True)
    ]
    plain = replace(skeleton, colors=tuple(shared))
    exact = Limbs()(keypoints, plain, SIZE)[..., ::-1].astype(int)
    assert np.abs(Limbs()(flipped, plain, SIZE) - exact).max() <= 1
    colored = Limbs()(keypoints, skeleton, SIZE)[..., ::-1].astype(int)
    again = Limbs()(flipped, skeleton, SIZE)
    assert np.abs(again - colored).max() > 100
    swapped = Heatmaps()(keypoints, skeleton, SIZE)[:, list(skeleton.mirrored), :, ::-1].astype(int)
    assert np.abs(Heatmaps()(flipped, skeleton, SIZE) - swapped).max() <= 1


def test_impossible_maps_are_refused():
    keypoints = np.zeros((1, 3, 3), dtype=np.float32)
    for draw in MAPS:
        with pytest.raises(ValueError, match="at least one frame"):
            draw(keypoints[:0], ARM, SIZE)
        with pytest.raises(ValueError, match="expected 17 joints"):
            draw(keypoints, DANCER, SIZE)
        with pytest.raises(ValueError, match="size must be"):
            draw(keypoints, ARM, (0, 8))
    for length in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="thickness must be > 0"):
            Limbs(thickness=length)
        with pytest.raises(ValueError, match="sigma must be > 0"):
            Heatmaps(sigma=length)


@pytest.fixture(scope="module")
def real():
    """Frames of a real video with their pose pictures, and the maps that we draw."""
    if not DANCER_VIDEO.exists():
        pytest.skip("needs shared/data/dancer")
    keypoints = read_keypoints(DANCER_VIDEO / "keypoints.npz", joints=33)
    pixels = scale_keypoints(keypoints, units="unit", to=(128, 128))
    frames = np.arange(0, 1125, 45)
    folder = DANCER_VIDEO / "train" / "train_label"
    pictures = [np.asarray(Image.open(folder / f"frame{frame:06d}.png")) for frame in frames]
    return frames, np.stack(pictures).transpose(0, 3, 1, 2), pixels


def test_maps_of_a_real_dancer_lie_on_its_pose_pictures(real):
    frames, pictures, keypoints = real
    drawn = Limbs()(keypoints[frames], BLAZEPOSE, (128, 128)).max(axis=1) > 127
    rows, columns = np.indices((128, 128))
    for ours, picture in zip(drawn, pictures.max(axis=1) > 127, strict=True):
        for one, other in ((ours, picture), (picture, ours)):
            distance = np.hypot(rows[one][:, None] - rows[other], columns[one][:, None] - columns[other]).min(axis=1)
            assert (distance <= 1.5).mean() >= 0.99
    colors = Limbs(thickness=1.0)(keypoints[frames], BLAZEPOSE, (128, 128)).astype(float)
    assert np.abs(colors - pictures).mean() < 0.5 * pictures.mean()


def test_keypoints_belong_to_the_frame_of_their_number(real):
    frames, pictures, keypoints = real
    error = {
        shift: np.abs(
            Limbs(thickness=1.0)(keypoints[frames + shift], BLAZEPOSE, (128, 128)) - pictures.astype(float)
        ).mean()
        for shift in (0, 1, 2)
    }
    assert min(error, key=error.__getitem__) == 0
