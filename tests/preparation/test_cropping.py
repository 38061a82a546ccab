import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.preparation.cropping import CropWindow, choose_window, cut, move_keypoints


def person(left, top, right, bottom, frames=50):
    """Keypoints at the corners of a box, with confidence 1."""
    corners = np.array([[left, top, 1], [right, bottom, 1], [left, bottom, 1]], dtype=np.float32)
    return np.broadcast_to(corners, (frames, 3, 3)).copy()


def test_the_window_holds_the_person_with_a_margin_and_has_the_aspect():
    window = choose_window("person", person(300, 100, 340, 200), (480, 640), (64, 64), margin=0.1)
    assert window.width == window.height == 120
    assert window.x + window.width / 2 == pytest.approx(320, abs=1)
    assert window.y + window.height / 2 == pytest.approx(150, abs=1)
    wide = choose_window("person", person(300, 100, 340, 200), (480, 640), (32, 64), margin=0.1)
    assert (wide.width, wide.height) == (240, 120)


def test_one_wrong_frame_does_not_move_the_window():
    keypoints = person(300, 100, 340, 200, frames=100)
    keypoints[10] += 200
    keypoints[20] = np.nan
    assert choose_window("person", keypoints, (480, 640), (64, 64), margin=0.1).width == 120


@given(st.integers(0, 500), st.integers(0, 300), st.integers(10, 400), st.integers(10, 400), st.floats(0, 1))
def test_the_window_stays_inside_of_the_frame(left, top, width, height, margin):
    window = choose_window("person", person(left, top, left + width, top + height), (300, 400), (32, 64), margin=margin)
    assert 0 <= window.x <= window.x + window.width <= 400
    assert 0 <= window.y <= window.y + window.height <= 300
    assert min(window.width, window.height) >= 8


def test_other_crops():
    keypoints = person(0, 0, 10, 10)
    assert choose_window("none", keypoints, (48, 64), (8, 8), margin=0.0) == CropWindow(0, 0, 64, 48)
    assert choose_window("4,2,20,30", keypoints, (48, 64), (8, 8), margin=0.0) == CropWindow(4, 2, 20, 30)
    for crop, word in (("face", "none, person or x,y,w,h"), ("50,2,20,30", "inside of 64x48"), ("1,1,2,2", "8x8")):
        with pytest.raises(ValueError, match=word):
            choose_window(crop, keypoints, (48, 64), (8, 8), margin=0.0)


def test_keypoints_stay_on_what_they_mark():
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[30:34, 40:44] = 255  # its centre is at x = 41.5, y = 31.5
    window = CropWindow(20, 10, 40, 40)
    small = cut(picture, window, (20, 20))
    keypoints = np.array([[[41.5, 31.5, 1.0]]], dtype=np.float32)
    x, y, confidence = move_keypoints(keypoints, window, (20, 20))[0, 0]
    rows, columns = np.nonzero(small[0] > 128)
    assert (x, y) == pytest.approx((columns.mean(), rows.mean()), abs=1e-3)
    assert confidence == 1
