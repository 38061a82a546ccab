import numpy as np
import pytest

from vidpred.pose.conversion import convert_keypoints
from vidpred.pose.skeletons import SKELETONS, build_skeleton


def random_pose(skeleton, channels=3):
    rng = np.random.default_rng(0)
    pose = rng.uniform(0, 60, (4, len(skeleton.joints), 3)).astype(np.float32)
    pose[..., 2] = rng.uniform(0.5, 1, pose.shape[:2])
    return pose[..., :channels]


@pytest.mark.parametrize("target", SKELETONS)
@pytest.mark.parametrize("source", SKELETONS)
def test_every_built_in_skeleton_drives_every_other(source, target):
    own, wanted = SKELETONS[source], SKELETONS[target]
    pose = random_pose(own)
    found = convert_keypoints(pose, own, wanted)
    assert found.shape == (4, len(wanted.joints), 3)
    assert np.isfinite(found).all()
    for number, joint in enumerate(wanted.joints):
        if joint in own.joints:
            np.testing.assert_array_equal(found[:, number], pose[:, own.joints.index(joint)])


def test_middles_are_the_middle_and_as_sure_as_the_less_sure_side():
    own, wanted = SKELETONS["coco"], SKELETONS["dancer"]
    pose = random_pose(own)
    found = convert_keypoints(pose, own, wanted)
    left, right = (pose[:, own.joints.index(f"{side}_hip")] for side in ("left", "right"))
    pelvis = found[:, wanted.joints.index("pelvis")]
    np.testing.assert_allclose(pelvis[:, :2], (left + right)[:, :2] / 2, rtol=1e-6)
    np.testing.assert_allclose(pelvis[:, 2], np.minimum(left[:, 2], right[:, 2]))
    toe = found[:, wanted.joints.index("right_toe")]
    np.testing.assert_array_equal(toe, pose[:, own.joints.index("right_ankle")])


def test_a_missing_part_leaves_the_joint_missing():
    own, wanted = SKELETONS["coco"], SKELETONS["dancer"]
    pose = random_pose(own)
    pose[1, own.joints.index("left_hip")] = (np.nan, np.nan, 0)
    found = convert_keypoints(pose, own, wanted)[:, wanted.joints.index("pelvis")]
    assert found[1, 2] == 0
    assert (found[[0, 2, 3], 2] > 0).all()


def test_without_confidence_what_is_there_is_sure():
    own = SKELETONS["coco"]
    pose = random_pose(own, channels=2)
    pose[0, 3] = np.nan
    found = convert_keypoints(pose, own, own)
    assert found[0, 3, 2] == 0
    assert (np.delete(found[..., 2], 3, axis=1) == 1).all()


def test_what_cannot_be_made_is_named():
    hand = build_skeleton(("palm", "tip"), (("palm", "tip"),))
    with pytest.raises(ValueError, match=r"another skeleton: nose, left_eye, .* cannot be made of palm, tip"):
        convert_keypoints(np.zeros((1, 2, 3), np.float32), hand, SKELETONS["coco"])
