import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vidpred.pose.blazepose import BlazePose
from vidpred.pose.estimator import (
    PoseError,
    absent,
    check_frame,
    check_person,
    check_threshold,
    choose_person,
    overlaps,
    stack_poses,
)
from vidpred.pose.keypoint_rcnn import KeypointRCNN

CONF = Path(__file__).resolve().parents[2] / "conf" / "pose_estimator"
boxes = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def pixels(box):
    return {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}


@given(boxes, boxes)
def test_overlap_is_that_of_counted_pixels(first, second):
    counted = len(pixels(first) & pixels(second)) / len(pixels(first) | pixels(second))
    assert overlaps(np.array([first], float), np.array(second, float))[0] == pytest.approx(counted)


SMALL, BIG = (0, 0, 4, 4), (20, 0, 30, 10)


def test_largest_looks_only_at_size():
    people = np.array([SMALL, BIG], float)
    assert choose_person(people, np.array(SMALL, float), person="largest") == 1
    assert choose_person(people, None, person="largest") == 1


def test_tracked_follows_the_box_of_the_frame_before():
    people = np.array([BIG, SMALL], float)
    assert choose_person(people, np.array((0, 1, 4, 5), float), person="tracked") == 1
    assert choose_person(people, None, person="tracked") == 0


def test_who_is_lost_is_replaced_by_the_largest():
    people = np.array([SMALL, BIG], float)
    assert choose_person(people, np.array((3, 3, 9, 9), float), person="tracked") == 1


def test_nobody_can_be_chosen_from_nobody():
    with pytest.raises(PoseError, match="nobody"):
        choose_person(np.empty((0, 4)), None, person="largest")


@pytest.mark.parametrize(
    "frame",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), "frame.png",
     np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_its_number(frame):
    with pytest.raises(PoseError, match="frame 17"):
        check_frame(frame, 17)


def test_options_are_refused_by_name():
    with pytest.raises(PoseError, match=r"pose_estimator\.person must be largest or tracked, got 'both'"):
        check_person("both")
    with pytest.raises(PoseError, match=r"pose_estimator\.min_score must lie in \[0, 1\], got 1.5"):
        check_threshold("min_score", 1.5)


def test_nobody_is_nan_without_confidence():
    poses = stack_poses([absent(4), absent(4)], 4)
    assert poses.shape == (2, 4, 3)
    assert np.isnan(poses[..., :2]).all()
    assert (poses[..., 2] == 0).all()
    assert stack_poses([], 4).shape == (0, 4, 3)


@pytest.mark.parametrize(("name", "kind"), [("blazepose", BlazePose), ("keypoint_rcnn", KeypointRCNN)])
def test_options_in_the_configuration_are_those_of_the_class(name, kind):
    options = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert options.pop("_target_") == f"{kind.__module__}.{kind.__qualname__}"
    parameters = inspect.signature(kind).parameters.values()
    assert options == {parameter.name: parameter.default for parameter in parameters}
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert len(set(kind.joints)) == len(kind.joints)
