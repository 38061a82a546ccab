"""Where poses come from."""

import json

import numpy as np
import pytest
from PIL import Image

from vidpred.animation.driving import (
    DrivingError,
    Edits,
    estimate_driving,
    estimate_person,
    find_kind,
    read_driving,
)
from vidpred.pose.skeletons import SKELETONS
from vidpred.preparation.films import PictureFolder

COCO, DANCER, BLAZEPOSE = (SKELETONS[name] for name in ("coco", "dancer", "blazepose"))


class Sees:
    """An estimator that finds everybody's joints at the level of the picture's first pixel; nobody where it is 0."""

    joints = COCO.joints

    def estimate(self, frames):
        levels = [float(frame[0, 0, 0]) for frame in frames]
        poses = np.array([[[level, 2 * level, 0.9]] * len(self.joints) for level in levels], dtype=np.float32)
        poses[np.array(levels) == 0] = (np.nan, np.nan, 0)
        return poses


def pictures(folder, levels):
    folder.mkdir()
    for number, level in enumerate(levels):
        Image.new("RGB", (16, 16), (level, level, level)).save(folder / f"{number}.png")
    return PictureFolder(folder, fps=10.0)


def test_the_kind_of_poses_is_told_by_what_is_there(tmp_path):
    pictures(tmp_path / "images", [1])
    (tmp_path / "openpose").mkdir()
    (tmp_path / "openpose" / "1_keypoints.json").write_text("{}")
    for name in ("a.npy", "a.npz", "a.json", "dance.MP4", "notes.txt"):
        (tmp_path / name).touch()
    kinds = {"images": "images", "openpose": "keypoints", "a.npy": "keypoints", "a.npz": "keypoints",
             "a.json": "keypoints", "dance.MP4": "video"}  # fmt: skip
    assert {name: find_kind(tmp_path / name) for name in kinds} == kinds
    (tmp_path / "empty").mkdir()
    for name, word in (("empty", "neither pictures nor"), ("notes.txt", "and no video"), ("none", "no such file")):
        with pytest.raises(DrivingError, match=word):
            find_kind(tmp_path / name)


def test_keypoints_of_another_skeleton_are_converted(tmp_path):
    np.save(tmp_path / "dance.npy", np.random.default_rng(0).uniform(0, 60, (5, 33, 2)))
    driving = read_driving(tmp_path / "dance.npy", DANCER, skeleton=None)  # 33 joints are BlazePose's
    assert driving.keypoints.shape == (5, 17, 3)
    np.save(tmp_path / "own.npy", np.ones((5, 17, 2)))
    assert read_driving(tmp_path / "own.npy", DANCER, skeleton=None).keypoints.shape == (5, 17, 3)
    as_coco = read_driving(tmp_path / "own.npy", BLAZEPOSE, skeleton=COCO)
    assert as_coco.keypoints.shape == (5, 33, 3)


def test_openposes_people_drive(tmp_path):
    for number in range(3):
        person = np.full((25, 3), 1.0)
        person[:, 0] = 10 * number
        (tmp_path / f"{number}_keypoints.json").write_text(
            json.dumps({"people": [{"pose_keypoints_2d": person.flatten().tolist()}]})
        )
    driving = read_driving(tmp_path, DANCER, skeleton=None)
    assert driving.keypoints[:, 0, 0].tolist() == [0, 10, 20]


def test_joints_that_nobody_knows_are_told_with_the_remedy(tmp_path):
    np.save(tmp_path / "dance.npy", np.ones((5, 7, 3)))
    with pytest.raises(DrivingError, match=r"7 joints: skeleton=… says whose, one of dancer \(17\), blazepose \(33\)"):
        read_driving(tmp_path / "dance.npy", DANCER, skeleton=None)


def test_a_video_without_the_person_for_a_while_holds_the_pose(tmp_path):
    film = pictures(tmp_path / "film", [0, 10, 0, 0, 40, 0])
    driving = estimate_driving(film, range(6), Sees(), COCO)
    assert driving.fps == pytest.approx(10.0)
    assert estimate_driving(film, [0, 2, 4], Sees(), COCO).fps == pytest.approx(5.0)
    assert driving.keypoints[:, 0, 0].tolist() == [10, 10, 20, 30, 40, 40]
    assert (driving.keypoints[..., 2] > 0).all()


def test_nobody_in_the_video_or_the_picture_is_an_error(tmp_path):
    film = pictures(tmp_path / "film", [0, 0])
    with pytest.raises(DrivingError, match=r"no person was found in any of 2 frames"):
        estimate_driving(film, [0, 1], Sees(), COCO)
    with pytest.raises(DrivingError, match=r"image=me.png: no person was found in the picture"):
        estimate_person(np.zeros((8, 8, 3), np.uint8), Sees(), COCO, name="me.png")
    person = estimate_person(np.full((8, 8, 3), 7, np.uint8), Sees(), COCO, name="me.png")
    assert person[0].tolist() == pytest.approx([7, 14, 0.9])


def test_edits_are_made_in_their_order():
    steps = np.arange(9, dtype=np.float32)
    walk = np.stack([steps, steps, np.ones(9, np.float32)], axis=1)[:, None].repeat(17, axis=1)
    assert not Edits().any
    np.testing.assert_array_equal(Edits()(walk, COCO), walk)
    edits = Edits(between=(0, 8), between_frames=5, reverse=True, speed=2.0)
    assert edits.any
    assert edits(walk, COCO)[:, 0, 0].tolist() == [8, 4, 0]
    mirrored = Edits(mirror=True)(walk, COCO)
    assert mirrored[:, 0, 0].tolist() == steps[::-1].tolist()
    left, right = (COCO.joints.index(f"{side}_wrist") for side in ("left", "right"))
    walk[:, left, 0] += 100
    assert Edits(swap_sides=True)(walk, COCO)[0, right, 0] == 100


def test_pose_images_are_played_backwards_and_at_another_speed_only():
    maps = np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(3, axis=1)
    assert Edits(reverse=True).of_images(maps)[:, 0, 0, 0].tolist() == [5, 4, 3, 2, 1, 0]
    assert Edits(speed=0.5).of_images(maps)[:, 0, 0, 0].tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5]
    assert Edits(speed=2.0).of_images(maps)[:, 0, 0, 0].tolist() == [0, 2, 4]
    for edits in (Edits(mirror=True), Edits(swap_sides=True), Edits(between=(0, 3))):
        with pytest.raises(DrivingError, match="take keypoints"):
            edits.of_images(maps)
