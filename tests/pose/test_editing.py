import numpy as np
import pytest

from vidpred.pose.editing import change_speed, interpolate, mirror, reverse, swap_sides
from vidpred.pose.skeletons import build_skeleton

ARMS = build_skeleton(("neck", "left_hand", "right_hand"), (("neck", "left_hand"), ("neck", "right_hand")))


@pytest.fixture
def walk():
    """Seven frames; joint j of frame t is at (10 t, t²)."""
    steps = np.arange(7.0)
    places = np.stack([10 * steps, steps**2, np.full(7, 0.9)], axis=1).astype(np.float32)
    return places[:, None].repeat(3, axis=1) + np.array([[0, 0, 0], [-4, 0, 0], [4, 0, 0]], np.float32)


def test_half_speed_shows_every_moment_twice_as_long(walk):
    slow = change_speed(walk, 0.5)
    assert len(slow) == 13
    np.testing.assert_array_equal(slow[::2], walk)
    np.testing.assert_allclose(slow[1, 0], [5, 0.5, 0.9])


@pytest.mark.parametrize(("speed", "moments"), [(2.0, [0, 2, 4, 6]), (3.0, [0, 3, 6]), (1.0, range(7)), (9.0, [0])])
def test_faster_leaves_frames_out(walk, speed, moments):
    np.testing.assert_array_equal(change_speed(walk, speed), walk[list(moments)])


def test_what_is_missing_on_one_side_is_missing_between(walk):
    walk[3, 1] = (np.nan, np.nan, 0)
    slow = change_speed(walk, 0.5)
    assert slow[[5, 6, 7], 1, 2].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(slow[4, 1], walk[2, 1])
    assert np.isfinite(slow[:, 0]).all()


def test_the_way_between_two_poses_is_straight_and_even(walk):
    way = interpolate(walk, 6, 2, 5)
    np.testing.assert_allclose(way[0], walk[6])
    np.testing.assert_allclose(way[-1], walk[2])
    np.testing.assert_allclose(np.diff(way[:, 0, 1]), -8.0)  # from 36 to 4


def test_backwards_and_back(walk):
    np.testing.assert_array_equal(reverse(walk)[0], walk[-1])
    np.testing.assert_array_equal(reverse(reverse(walk)), walk)


def test_sides_change_places(walk):
    swapped = swap_sides(walk, ARMS)
    np.testing.assert_array_equal(swapped[:, 1], walk[:, 2])
    np.testing.assert_array_equal(swapped[:, 0], walk[:, 0])
    np.testing.assert_array_equal(swap_sides(swapped, ARMS), walk)


def test_a_mirror_keeps_where_the_dance_is(walk):
    mirrored = mirror(walk, ARMS)
    assert mirrored[..., 0].min() == walk[..., 0].min()
    assert mirrored[..., 0].max() == walk[..., 0].max()
    np.testing.assert_allclose(mirrored[:, 0, 0], walk[::-1, 0, 0])  # it went right, now it goes left
    np.testing.assert_array_equal(mirrored[..., 1], walk[..., 1])
    assert (mirrored[:, 1, 0] < mirrored[:, 2, 0]).all()  # its left hand is still on the left
    np.testing.assert_allclose(mirror(mirrored, ARMS), walk, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [(lambda walk: change_speed(walk, 0.0), "speed must be > 0"), (lambda walk: interpolate(walk, 0, 7, 5), "0 to 6"),
     (lambda walk: interpolate(walk, 0, 1, 1), "at least 2"), (lambda walk: mirror(walk[:, :2], ARMS), "joints")],
)  # fmt: skip
def test_what_cannot_be_is_refused(walk, change, word):
    with pytest.raises(ValueError, match=word):
        change(walk)
