import builtins
from pathlib import Path

import numpy as np
import pytest

from vidpred.pose import blazepose
from vidpred.pose.blazepose import BlazePose
from vidpred.pose.blazepose_files import BlazePoseFiles
from vidpred.pose.blazepose_models import (
    Landmarks,
    detect,
    detection_anchors,
    load_network,
    locate,
    merge_detections,
    sigmoid,
)
from vidpred.pose.estimator import PoseError
from vidpred.pose.regions import Region

BLANK = np.zeros((120, 160, 3), np.uint8)


def test_anchors_are_those_of_the_ssd_options():
    """Layer by layer, from the options: strides 8, 16, 32, 32, 32; two anchors a cell; equal strides interleaved."""
    strides, expected = [8, 16, 32, 32, 32], []
    while strides:
        layers = strides.count(strides[0])
        cells = 224 // strides[0]
        for row in range(cells):
            for column in range(cells):
                expected += [((column + 0.5) / cells, (row + 0.5) / cells)] * (2 * layers)
        strides = strides[layers:]
    assert detection_anchors().shape == (2254, 2)
    np.testing.assert_allclose(detection_anchors(), expected, atol=1e-6)


def test_the_joints_are_33_with_as_many_left_as_right():
    sides = [name.split("_")[0] if name[:4] in ("left", "righ") else name.split("_")[-1] for name in BlazePose.joints]
    assert len(BlazePose.joints) == 33
    assert sides.count("left") == sides.count("right") == 16
    assert [BlazePose.joints.index(name) for name in ("left_shoulder", "right_hip", "left_foot_index")] == [11, 24, 31]


def test_overlapping_detections_become_their_weighted_mean():
    here = np.array([[0.5, 0.5], [0.2, 0.2], *[[0.4, 0.6]] * 4], np.float32)
    away = here + np.array([[0.4, 0], [0, 0], *[[0.4, 0]] * 4], np.float32)
    merged = list(merge_detections(np.stack([here, away, here + 0.01]), np.array([0.6, 0.7, 0.9], np.float32)))
    assert len(merged) == 2
    np.testing.assert_allclose(merged[0], here + 0.006, atol=1e-6)
    np.testing.assert_allclose(merged[1], away, atol=1e-6)


def fake_detector(hits):
    """A network that finds people at anchors: number of the anchor -> logit and 12 values in pixels of its input."""

    def run(picture):
        assert picture.shape == (1, 224, 224, 3)
        scores, values = np.full((1, 2254, 1), -9.0, np.float32), np.zeros((1, 2254, 12), np.float32)
        for anchor, (logit, numbers) in hits.items():
            scores[0, anchor], values[0, anchor] = logit, numbers
        return {scores.shape: scores, values.shape: values}

    return run


def test_a_detection_is_read_relative_to_its_anchor():
    # the first anchor of stride 32 is at (16, 16) of 224; hips 40 right and 60 below, the circle's point 30 above them
    hits = {1960: (3.0, [4, 5, 20, 20, 40, 60, 40, 30, 0, 0, 0, 0]), 1961: (-0.1, [9] * 12)}
    (region,) = detect(fake_detector(hits), BLANK, min_score=0.5)
    scale = 160 / 224  # the frame of 160 x 120 in the middle of a square
    assert (region.x, region.y) == pytest.approx((56 * scale, 76 * scale - 20))
    assert region.side == pytest.approx(2 * 1.25 * 30 * scale)
    assert region.rotation == pytest.approx(0)
    assert detect(fake_detector({}), BLANK, min_score=0.5) == []


def test_landmarks_are_mapped_from_the_region_to_the_frame():
    values = np.zeros((39, 5), np.float32)
    values[0] = (128, 128, 0, 2, 0)
    values[1] = (256, 0, 0, -2, 0)
    values[33], values[34] = (128, 192, 0, 0, 0), (192, 192, 0, 0, 0)
    outputs = {(1, 195): values.reshape(1, 195), (1, 1): np.array([[0.75]], np.float32)}
    found = locate(lambda picture: outputs, BLANK, Region(80, 60, 64.0))
    np.testing.assert_allclose(found.pose[0], (79.5, 59.5, 1 / (1 + np.exp(-2))), rtol=1e-6)
    np.testing.assert_allclose(found.pose[1], (111.5, 27.5, 1 / (1 + np.exp(2))), rtol=1e-6)
    assert found.presence == 0.75
    assert found.region == pytest.approx((80, 76, 2 * 1.25 * 16, np.pi / 2))


def test_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1e9, 0, 1e9], np.float32)).tolist() == pytest.approx([0, 0.5, 1])


class Stage:
    """Fake networks for the estimator: who is where, and how surely, in every frame."""

    def __init__(self, people, presence):
        self.people, self.presence, self.detected, self.located = people, presence, [], []

    def install(self, monkeypatch):
        monkeypatch.setattr(blazepose, "find_files", lambda files: BlazePoseFiles(Path("a"), Path("b")))
        monkeypatch.setattr(blazepose, "load_network", lambda file, threads: fake_detector({}))
        monkeypatch.setattr(blazepose, "detect", self.detect)
        monkeypatch.setattr(blazepose, "locate", self.locate)

    def detect(self, network, frame, min_score):
        self.detected.append(int(frame[0, 0, 0]))
        return self.people[self.detected[-1]]

    def locate(self, network, frame, region):
        number = int(frame[0, 0, 0])
        self.located.append((number, region.x))
        pose = np.full((33, 3), region.x, np.float32)
        return Landmarks(pose, self.presence(number, region), region._replace(x=region.x + 1))


def numbered(count):
    return [np.full((8, 8, 3), number, np.uint8) for number in range(count)]


LEFT, RIGHT = Region(10, 50, 20.0), Region(60, 50, 30.0)


def test_who_is_tracked_is_detected_once(monkeypatch):
    stage = Stage([[LEFT, RIGHT]] * 4, lambda number, region: 0.9)
    stage.install(monkeypatch)
    poses = BlazePose(person="tracked").estimate(iter(numbered(4)))
    assert stage.detected == [0]
    assert poses[:, 0, 0].tolist() == [60, 61, 62, 63]


def test_who_is_lost_is_sought_in_the_same_frame(monkeypatch):
    def presence(number, region):
        return 0.1 if number == 2 and region.x == 62 else 0.9

    stage = Stage([[RIGHT], [], [LEFT], []], presence)
    stage.install(monkeypatch)
    poses = BlazePose(person="tracked").estimate(numbered(4))
    assert stage.detected == [0, 2]
    assert poses[:, 0, 0].tolist() == [60, 61, 10, 11]


def test_the_largest_is_sought_in_every_frame(monkeypatch):
    stage = Stage([[LEFT, RIGHT], [RIGHT, LEFT], [LEFT]], lambda number, region: 0.9)
    stage.install(monkeypatch)
    poses = BlazePose(person="largest").estimate(numbered(3))
    assert stage.detected == [0, 1, 2]
    assert poses[:, 0, 0].tolist() == [60, 60, 10]


@pytest.mark.parametrize("person", ["largest", "tracked"])
def test_nobody_is_nan_and_the_search_goes_on(monkeypatch, person):
    stage = Stage([[], [LEFT], [LEFT]], lambda number, region: 0.4 if number == 1 else 0.9)
    stage.install(monkeypatch)
    poses = BlazePose(person=person).estimate(numbered(3))
    assert stage.detected == [0, 1, 2]
    assert np.isnan(poses[:2, :, :2]).all()
    assert (poses[:2, :, 2] == 0).all()
    assert poses[2, 0, 0] == 10


def test_no_frames_are_no_poses(monkeypatch):
    Stage([], None).install(monkeypatch)
    assert BlazePose().estimate([]).shape == (0, 33, 3)


def test_impossible_options_are_refused():
    for options, word in (({"threads": 0}, "threads"), ({"min_detection": 2.0}, "min_detection"),
                          ({"min_presence": -1.0}, "min_presence")):  # fmt: skip
        with pytest.raises(PoseError, match=word):
            BlazePose(**options)


def test_without_litert_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name.startswith("ai_edge_litert"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PoseError, match=r"pip install 'vidpred\[pose\]'"):
        load_network(Path("model.tflite"), threads=1)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(b"no model" * 100)
    with pytest.raises(PoseError, match=r"model\.tflite is no model"):
        load_network(file, threads=1)


def distances(poses, keypoints):
    """Median distance over frames and joints, in sides of the crop."""
    found = np.isfinite(poses[:, 0, 0])
    return np.median(np.linalg.norm(poses[found, :, :2] - keypoints[: len(poses)][found, :, :2], axis=2)) / 496


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(("person", "count"), [("tracked", 60), ("largest", 20)])
def test_the_dancer_is_found(dancer, dancer_keypoints, person, count):
    poses = BlazePose(person=person).estimate(dancer[:count])
    assert np.isfinite(poses[..., :2]).all()
    assert distances(poses, dancer_keypoints) < 0.01
    assert np.median(np.abs(poses[..., 2] - dancer_keypoints[:count, :, 2])) < 0.01


@pytest.mark.usefixtures("networks")
def test_nothing_is_kept_for_the_next_call(dancer):
    estimator = BlazePose()
    first = estimator.estimate(dancer[:5])
    estimator.estimate([np.ascontiguousarray(frame[:, ::-1]) for frame in dancer[:5]])
    np.testing.assert_array_equal(estimator.estimate(dancer[:5]), first)


@pytest.mark.usefixtures("networks")
def test_of_two_dancers_the_larger_is_found(dancer):
    one = dancer[0]
    both = np.concatenate([one[::2, ::2], one[::2, ::2] * 0], axis=0)
    both = np.concatenate([both, one], axis=1)
    alone, among = (BlazePose(person="largest").estimate([frame])[0] for frame in (one, both))
    np.testing.assert_allclose(among[:, :2] - (one.shape[1] // 2, 0), alone[:, :2], atol=0.02 * 496)


@pytest.mark.usefixtures("networks")
def test_a_dancer_who_leaves_is_lost_and_found_again(dancer):
    backdrop = np.broadcast_to(dancer[0][:1, :1], dancer[0].shape).copy()
    poses = BlazePose().estimate([dancer[0], backdrop, backdrop, dancer[1]])
    assert np.isfinite(poses[:, 0, 0]).tolist() == [True, False, False, True]


@pytest.mark.slow
@pytest.mark.usefixtures("networks")
def test_the_dancer_is_found_throughout_the_film(film, dancer_keypoints):
    poses = BlazePose().estimate(film())
    assert poses.shape == (1571, 33, 3)
    assert np.isfinite(poses[:, 0, 0]).mean() >= 0.99
    assert distances(poses, dancer_keypoints) < 0.03
