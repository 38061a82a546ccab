import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vidpred.pose.skeletons import (
    BLAZEPOSE,
    BODY_25,
    COCO,
    SKELETONS,
    Skeleton,
    build_skeleton,
    load_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)

HAND = {"joints": ["wrist", "left_tip", "right_tip"], "limbs": [["wrist", "left_tip"], [0, 2]]}


@st.composite
def parts_of_skeletons(draw):
    joints = draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=6, unique=True))
    pairs = st.permutations(range(len(joints))).map(lambda order: (order[0], order[1]))
    limbs = draw(st.lists(pairs, max_size=5))
    level = st.integers(0, 255)
    colors = draw(st.lists(st.tuples(level, level, level), min_size=len(limbs), max_size=len(limbs)))
    mirror = draw(st.none() | st.just(()) | pairs.map(lambda pair: (pair,)))
    return tuple(joints), tuple(limbs), tuple(colors), mirror


@given(parts_of_skeletons())
def test_a_skeleton_survives_json(parts):
    skeleton = Skeleton(*parts)
    assert skeleton_from_dict(json.loads(json.dumps(skeleton_to_dict(skeleton)))) == skeleton


@pytest.mark.parametrize("name", SKELETONS)
def test_mirroring_exchanges_left_and_right_of_every_name(name):
    skeleton = load_skeleton(name)
    for joint, partner in zip(skeleton.joints, skeleton.mirrored, strict=True):
        sides = re.sub("left|right", lambda side: {"left": "right", "right": "left"}[side[0]], joint)
        assert skeleton.joints[partner] == sides
    assert [skeleton.mirrored[joint] for joint in skeleton.mirrored] == list(range(len(skeleton.joints)))


@pytest.mark.parametrize("name", SKELETONS)
def test_mirrored_limbs_are_limbs(name):
    skeleton = load_skeleton(name)
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.mirrored[joint] for joint in limb) for limb in limbs} == limbs


def test_joints_are_where_the_estimators_put_them():
    blazepose = {
        0: "nose",
        7: "left_ear",
        11: "left_shoulder",
        16: "right_wrist",
        23: "left_hip",
        32: "right_foot_index",
    }
    coco = {0: "nose", 1: "left_eye", 5: "left_shoulder", 10: "right_wrist", 11: "left_hip", 16: "right_ankle"}
    body_25 = {1: "neck", 4: "right_wrist", 8: "mid_hip", 14: "left_ankle", 15: "right_eye", 24: "right_heel"}
    for skeleton, count, known in ((BLAZEPOSE, 33, blazepose), (COCO, 17, coco), (BODY_25, 25, body_25)):
        assert len(skeleton.joints) == count
        assert {joint: skeleton.joints[joint] for joint in known} == known


@pytest.mark.parametrize("name", ["dancer", "coco", "body_25"])
def test_limbs_join_all_joints_into_one_body(name):
    skeleton = load_skeleton(name)
    body = {0}
    for _ in skeleton.joints:
        body |= {joint for limb in skeleton.limbs if body & set(limb) for joint in limb}
    assert body == set(range(len(skeleton.joints)))


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_file_gives_its_skeleton(tmp_path, suffix):
    path = tmp_path / f"hand{suffix}"
    described = HAND | {"colors": [[1, 2, 3], [4, 5, 6]], "mirror": [["left_tip", 2]]}
    path.write_text(json.dumps(described) if suffix == ".json" else yaml.safe_dump(described))
    assert load_skeleton(str(path)) == Skeleton(
        ("wrist", "left_tip", "right_tip"), ((0, 1), (0, 2)), ((1, 2, 3), (4, 5, 6)), ((1, 2),)
    )


def test_colors_and_mirror_may_be_left_out(tmp_path):
    (tmp_path / "hand.yaml").write_text(yaml.safe_dump(HAND))
    hand = load_skeleton(str(tmp_path / "hand.yaml"))
    assert hand.colors == build_skeleton(("a", "b", "c"), (("a", "b"), ("a", "c"))).colors
    assert hand.mirrored == (0, 2, 1)


def test_an_explicit_mirror_overrules_the_names():
    assert skeleton_from_dict(HAND | {"mirror": []}).mirrored == (0, 1, 2)
    assert skeleton_from_dict(HAND | {"mirror": [["wrist", "right_tip"]]}).mirrored == (2, 1, 0)


@pytest.mark.parametrize("joints", [("a", "b"), ("left_hand", "head"), ("LHand", "RHand")])
def test_left_and_right_are_never_guessed(joints):
    with pytest.raises(ValueError, match="give the skeleton mirror"):
        _ = Skeleton(joints, (), ()).mirrored


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"joints": "wrist"}, "joints must be a list"),
        ({"joints": [True, 1]}, "joints must be a list"),
        ({"joints": []}, "unknown joint"),
        ({"joints": [], "limbs": []}, "at least one"),
        ({"joints": ["wrist", "left_tip", "wrist"], "limbs": []}, r"named twice: \['wrist'\]"),
        ({"limbs": [["wrist", "elbow"]]}, "unknown joint 'elbow'; joints are"),
        ({"limbs": [[0, 3]]}, "unknown joint 3"),
        ({"limbs": [[0, -1]]}, "unknown joint -1"),
        ({"limbs": [[0, True]]}, "unknown joint True"),
        ({"limbs": [[0, 1, 2]]}, "list of pairs"),
        ({"limbs": {"a": 1}}, "list of pairs"),
        ({"limbs": [[1, "left_tip"]]}, "two different joints"),
        ({"colors": [[255, 0, 0]]}, "1 colors for 2 limbs"),
        ({"colors": [[256, 0, 0], [0, 0, 0]]}, r"from 0 to 255, got \[256, 0, 0\]"),
        ({"colors": [[-1, 0, 0], [0, 0, 0]]}, r"from 0 to 255, got \[-1, 0, 0\]"),
        ({"colors": [[0.5, 0, 0], [0, 0, 0]]}, "whole numbers"),
        ({"colors": "red"}, "colors must be a list"),
        ({"mirror": [[0, 1], [1, 2]]}, "at most once"),
        ({"mirror": [["wrist", "thumb"]]}, "mirror has an unknown joint 'thumb'"),
        ({"colour": []}, "the keys joints and limbs"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line_with_the_file(tmp_path, change, told):
    path = tmp_path / "hand.json"
    path.write_text(json.dumps(HAND | change))
    with pytest.raises(ValueError, match=told) as refused:
        load_skeleton(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{"), ("a.yaml", "joints: [a"), ("a.yaml", ""), ("a.json", "[]"), ("a.yaml", "\x00"), ("a.json", None)],
)
def test_an_unreadable_file_is_named_in_one_line(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name) as refused:
        load_skeleton(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match=r"'open_pose'; choose one of .*'blazepose', 'coco', 'body_25'"):
        load_skeleton("open_pose")
