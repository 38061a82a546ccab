"""Pose following with an estimator that sees the joints as bright pixels."""

import numpy as np
import pytest
import torch

from vidpred.data.clips import Window
from vidpred.data.posing import skeleton_of
from vidpred.evaluation.pose_following import Follower, Joints, follow


class Bright:
    """Finds joint j at the brightest pixel of value j + 1 in the red channel; missing where there is none."""

    def __init__(self, joints: tuple[str, ...]) -> None:
        self.joints = joints

    def estimate(self, frames):
        found = []
        for frame in frames:
            places = [np.argwhere(frame[..., 0] == number + 1) for number in range(len(self.joints))]
            found.append([(*place[0][::-1], 1.0) if len(place) else (np.nan, np.nan, 0.0) for place in places])
        return np.array(found, dtype=np.float32)


def film(places: list[list[tuple[int, int] | None]]) -> torch.Tensor:
    """Frames whose joints are marked."""
    frames = torch.zeros(len(places), 3, 16, 24)
    for step, joints in enumerate(places):
        for number, place in enumerate(joints):
            if place is not None:
                frames[step, :, place[1], place[0]] = (number + 1) / 255
    return frames


def test_distances_are_from_what_the_true_frames_show_where_joints_differ(data):
    truth = film([[(2, 3), (10, 3)], [(2, 3), None]])
    model = film([[(2, 6), None], [(5, 7), (9, 9)]])
    found = Follower(Bright(("a", "b")), data)({"model": model, "truth": truth}, Window(0, 0, 3), "val", 1)
    assert found["truth"].distance[0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found["model"].distance, [[3.0, np.nan], [5.0, np.nan]])
    assert found["model"].counted.tolist() == [[True, True], [True, False]]
    assert found["model"].size.tolist() == [8.0, 0.0]


def test_distances_are_from_the_keypoints_of_the_data_where_joints_are_theirs(data):
    store = data.store("val")
    joints = skeleton_of(store).joints
    truth = film([[(3, 4)] * len(joints)] * 4)
    window = Window(1, 2, 3, 2)
    found = Follower(Bright(joints), data)({"truth": truth[:2]}, window, "val", 1)
    first = store.sequences[1].first
    asked = np.array(store.keypoints)[[first + 4, first + 6], -1, :2]  # the last joint is the one that stays visible
    np.testing.assert_allclose(found["truth"].distance[:, -1], np.hypot(*(asked - [3, 4]).T), atol=1e-5)


def test_akd_mkr_and_pck():
    """Two clips by hand: distances 1, 3 and 1 of five joints that count, one of which is missing."""
    nan = np.nan
    one = Joints(np.array([[1.0, 3.0], [nan, 9.0]]), np.array([[True, True], [True, False]]), np.array([20.0, 20.0]))
    two = Joints(np.array([[1.0, 5.0]]), np.array([[True, True]]), np.array([5.0]))
    found = follow([one, two])
    assert found.akd == pytest.approx((1 + 3 + 1 + 5) / 4)
    assert found.mkr == pytest.approx(1 / 5)
    assert found.pck == pytest.approx(1 / 5)  # within 2, 2, 2 and 0.5, 0.5 pixels
    nothing = Joints(np.full((1, 2), nan), np.ones((1, 2), bool), np.array([5.0]))
    assert follow([nothing])[1:] == (1.0, 0.0)
    assert np.isnan(follow([nothing]).akd)
