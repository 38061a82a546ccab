import contextlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from vidpred.pose.keypoints import KeypointsError, flip_keypoints, present, read_keypoints, scale_keypoints
from vidpred.pose.skeletons import BLAZEPOSE, COCO, Skeleton, build_skeleton

DANCER_VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "dancer"
TOLD = np.array([[[1, 2, 0.5], [3, 4, 1]], [[5, 6, 0], [7, 8, 0.25]], [[0, 0, 1], [-3, 99, 1]]], dtype=np.float32)
SIDES = build_skeleton(("nose", "left_eye", "right_eye"), (("nose", "left_eye"), ("nose", "right_eye")))


def write(path, array):
    """The array in the format that the file's name asks for."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, keypoints=array, other=np.zeros(3))
    else:
        path.write_text(json.dumps(np.asarray(array).tolist()))
    return path


def write_openpose(folder, frames, *, first=0, name="film_{:012d}_keypoints.json"):
    """Files as OpenPose writes them: people of every frame, each a list of (x, y, confidence)."""
    folder.mkdir()
    for number, people in enumerate(frames, first):
        described = [
            {"person_id": [-1], "pose_keypoints_2d": [c for joint in person for c in joint]} for person in people
        ]
        (folder / name.format(number)).write_text(json.dumps({"version": 1.3, "people": described}))
    return folder


@pytest.mark.parametrize("name", ["k.npy", "k.npz", "k.json", "K.NPY"])
def test_every_format_gives_what_was_written(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        np.save(file, TOLD)
    if name != "K.NPY":
        write(path, TOLD)
    read = read_keypoints(path, joints=2)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, TOLD)


def test_the_only_array_and_a_json_object_are_found(tmp_path):
    np.savez(tmp_path / "k.npz", poses=TOLD)
    (tmp_path / "k.json").write_text(json.dumps({"fps": 25, "keypoints": TOLD.tolist()}))
    for name in ("k.npz", "k.json"):
        np.testing.assert_array_equal(read_keypoints(tmp_path / name), TOLD)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i4", "<f2"])
def test_any_numbers_become_float32(tmp_path, dtype):
    whole = np.array([[[1, 2, 1], [3, 4, 0]]], dtype=dtype)
    read = read_keypoints(write(tmp_path / "k.npy", whole))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, whole)


def test_without_confidence_it_is_one_where_there_is_a_position(tmp_path):
    positions = TOLD[..., :2].copy()
    positions[1, 0, 0] = np.nan
    read = read_keypoints(write(tmp_path / "k.npy", positions))
    np.testing.assert_array_equal(read[..., 2], [[1, 1], [0, 1], [1, 1]])
    assert np.isnan(read[1, 0, :2]).all()


def test_a_confidence_just_above_one_is_clipped(tmp_path):
    told = TOLD.copy()
    told[0, :, 2] = (1.04, -0.01)
    np.testing.assert_array_equal(read_keypoints(write(tmp_path / "k.npy", told))[0, :, 2], [1, 0])


def test_openpose_frames_follow_their_numbers(tmp_path):
    frames = [[[(number, 1, 0.5), (2, number, 1)]] for number in range(8, 12)]
    folder = write_openpose(tmp_path / "o", frames, first=8, name="a3_b_{}_keypoints.json")  # "10" sorts before "8"
    np.testing.assert_array_equal(read_keypoints(folder)[:, 0, 0], [8, 9, 10, 11])


def test_the_largest_person_is_followed_unless_the_first_is_asked_for(tmp_path):
    small = [(90, 90, 1), (99, 99, 1), (0, 0, 0)]  # a missing joint at the origin does not make it large
    large = [(100, 100, 0.5), (130, 160, 0.5), (120, 120, 0.5)]
    nobody = [(0, 0, 0)] * 3
    folder = write_openpose(tmp_path / "o", [[small, large, nobody], [large, small], [nobody, small]])
    np.testing.assert_array_equal(read_keypoints(folder)[:, 0, 0], [100, 100, 90])
    first = read_keypoints(folder, person="first")
    np.testing.assert_array_equal(first[:2, 0, 0], [90, 100])
    np.testing.assert_array_equal(present(first), [[True, True, False], [True] * 3, [False] * 3])


def test_what_openpose_did_not_find_is_missing(tmp_path):
    folder = write_openpose(tmp_path / "o", [[], [[(0, 0, 0), (5, 6, 0.5)]], []])
    read = read_keypoints(folder, joints=2)
    assert np.isnan(read[[0, 0, 1, 2, 2], [0, 1, 0, 0, 1], :2]).all()
    np.testing.assert_array_equal(read[..., 2], [[0, 0], [0, 0.5], [0, 0]])
    assert read_keypoints(write_openpose(tmp_path / "p", [[], []]), joints=25).shape == (2, 25, 3)


def refused(path, told, **options):
    with pytest.raises(KeypointsError, match=told) as caught:
        read_keypoints(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)  # the remedy


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 66)), r"shape \(4, 66\), expected \(T, J, 3\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\), expected"),
        (np.zeros((2, 0, 3)), r"shape \(2, 0, 3\), expected"),
        (np.zeros((0, 5, 3)), "no frames"),
        (np.array([[["a", "b"]]]), "not numbers"),
        (np.ones((1, 1, 3), dtype=bool), "not numbers"),
        (np.ones((1, 1, 3), dtype=complex), "not numbers"),
        (TOLD * (1, 1, 100), r"confidence 50.0 of frame 0, joint 0 \(5 in all\)"),
        (TOLD * (1, 1, -1), "confidence -0.5"),
        (TOLD * (1, 1, np.nan), "confidence nan"),
        (TOLD * (np.nan, 1, 1), r"of frame 0, joint 0 \(5 in all\); give missing joints confidence 0"),
        (np.add(TOLD, (0, np.inf, 0)), "x, y = .*inf"),
        (np.add(TOLD, (0, np.inf, 0))[..., :2], "x, y = .*inf"),
    ],
)
def test_impossible_arrays_are_refused(tmp_path, array, told):
    refused(write(tmp_path / "k.npy", array), told)


def test_a_missing_joint_may_be_nan(tmp_path):
    told = TOLD.copy()
    told[1, 0, :2] = np.nan
    np.testing.assert_array_equal(read_keypoints(write(tmp_path / "k.npy", told)), told)


def test_another_number_of_joints_is_refused(tmp_path):
    refused(write(tmp_path / "k.npy", TOLD), r"2 joints, shape \(3, 2, 3\), expected \(T, 17, 3\)", joints=17)
    refused(write_openpose(tmp_path / "o", [[[(1, 1, 1)] * 18]]), "18 joints", joints=25)
    refused(write_openpose(tmp_path / "p", [[[(1, 1, 1)] * 18], [[(1, 1, 1)] * 25]]), r"\[18, 25\] joints")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("k.json", b'{"poses": []}', "no 'keypoints'"),
        ("k.json", b'{"people": []}', "give the folder"),
        ("k.json", b"[[[1, 2], [3]]]", "cannot be read"),
        ("k.json", b"[[[1, null, 3]]]", "not numbers"),
        ("k.json", b"{", "cannot be read"),
        ("k.json", b"\xff\xfe", "cannot be read"),
        ("k.json", b"[" * 100_000, "cannot be read"),
        ("k.json", b"3", "shape"),
        ("k.npy", b"", "cannot be read"),
        ("k.npz", b"PK\x03\x04", "cannot be read"),
        ("k.npy", pickle.dumps([1]), "cannot be read"),
        ("k.csv", b"1,2,3", "not a .npy, .npz or .json file"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, told)


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "none.npy", "no such file")


def test_several_arrays_need_a_name(tmp_path):
    np.savez(tmp_path / "k.npz", a=TOLD, b=TOLD)
    refused(tmp_path / "k.npz", r"no array 'keypoints' among \['a', 'b'\]")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_nothing_is_unpickled(tmp_path):
    pickled = np.array([[[Bomb()]]], dtype=object)
    np.save(tmp_path / "k.npy", pickled)
    np.savez(tmp_path / "k.npz", keypoints=pickled)
    refused(tmp_path / "k.npy", "cannot be read")
    refused(tmp_path / "k.npz", "cannot be read")


@pytest.mark.parametrize("name", ["k.npy", "k.npz", "k.json"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, name):
    whole = write(tmp_path / name, TOLD).read_bytes()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / name).write_bytes(whole[:length])
        refused(tmp_path / name, "cannot be read")


@pytest.mark.parametrize("name", ["k.npy", "k.npz", "k.json"])
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file")
def test_a_damaged_file_is_read_or_refused(tmp_path, name):
    whole = write(tmp_path / name, TOLD).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, min(len(whole), 400), 300):
        damaged = bytearray(whole)
        damaged[position] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(damaged)
        with contextlib.suppress(KeypointsError):
            assert read_keypoints(tmp_path / name).shape[2] == 3


def test_missing_frames_of_a_folder_are_listed(tmp_path):
    folder = write_openpose(tmp_path / "o", [[[(1, 1, 1)]]] * 9, first=3)
    for number in (5, 8):
        (folder / f"film_{number:012d}_keypoints.json").unlink()
    refused(folder, "2 frames are missing: 5, 8;")


def test_unusable_folders_are_refused(tmp_path):
    refused(write_openpose(tmp_path / "empty", []), "no frames")
    refused(write_openpose(tmp_path / "nobody", [[], []]), "no person in any of 2 frames")
    refused(write_openpose(tmp_path / "nameless", [[]], name="film_keypoints.json"), "no frame number")
    twice = write_openpose(tmp_path / "twice", [[]], name="a_{}_keypoints.json")
    (twice / "b_0_keypoints.json").write_text("{}")
    refused(twice, "the same frame as a_0_keypoints.json")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"people": [1]}', '{"people": [{"pose_keypoints_2d": [1, 2]}]}',
                '{"people": [{"pose_keypoints_2d": []}]}', '{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}'],
)  # fmt: skip
def test_a_malformed_frame_is_named(tmp_path, content):
    folder = write_openpose(tmp_path / "o", [[[(1, 1, 1)]]] * 3)
    (folder / "film_000000000001_keypoints.json").write_text(content)
    refused(folder, "film_000000000001_keypoints.json: not OpenPose's JSON")


def test_scaled_keypoints_stay_on_the_scaled_picture():
    """The oracle is Pillow: the centre of mass of a blob moves as the keypoint does."""
    x, y = np.meshgrid(np.arange(90), np.arange(60))
    keypoint = np.array([[[33.3, 21.8, 0.7]]], dtype=np.float32)
    blob = np.exp(-((x - 33.3) ** 2 + (y - 21.8) ** 2) / 50).astype(np.float32)
    small = np.asarray(Image.fromarray(blob).resize((30, 40), Image.Resampling.BILINEAR))
    rows, columns = np.indices(small.shape)
    center = [(columns * small).sum() / small.sum(), (rows * small).sum() / small.sum()]
    scaled = scale_keypoints(keypoint, units="pixels", size=(60, 90), to=(40, 30))
    np.testing.assert_allclose(scaled[0, 0, :2], center, atol=0.01)
    assert scaled[0, 0, 2] == keypoint[0, 0, 2]
    unit = np.array([[[(33.3 + 0.5) / 90, (21.8 + 0.5) / 60, 0.7]]], dtype=np.float32)
    np.testing.assert_allclose(scale_keypoints(unit, units="unit", to=(40, 30)), scaled, atol=1e-4)


@given(st.tuples(*[st.integers(1, 2000)] * 4), arrays(np.float64, (2, 3, 2), elements=st.floats(-1e4, 1e4)))
def test_scaling_back_is_the_identity(sizes, keypoints):
    size, to = sizes[:2], sizes[2:]
    there = scale_keypoints(keypoints, units="pixels", size=size, to=to)
    np.testing.assert_allclose(scale_keypoints(there, units="pixels", size=to, to=size), keypoints, atol=1e-6)


def test_impossible_scalings_are_refused():
    with pytest.raises(ValueError, match="need size"):
        scale_keypoints(TOLD, units="pixels", to=(8, 8))
    with pytest.raises(ValueError, match=">= 1"):
        scale_keypoints(TOLD, units="pixels", size=(0, 8), to=(8, 8))


@given(arrays(np.float32, (2, 17, 3), elements=st.floats(-500, 500, width=32)), st.integers(1, 512))
def test_flipping_twice_is_the_identity(keypoints, width):
    twice = flip_keypoints(flip_keypoints(keypoints, COCO, width=width), COCO, width=width)
    np.testing.assert_allclose(twice, keypoints, atol=1e-3)
    np.testing.assert_array_equal(twice[..., 1:], keypoints[..., 1:])


def test_flipping_mirrors_the_picture_and_exchanges_sides():
    keypoints = np.array([[[4, 1, 0.1], [0, 2, 0.2], [np.nan, np.nan, 0]]], dtype=np.float32)
    flipped = flip_keypoints(keypoints, SIDES, width=10)
    np.testing.assert_array_equal(flipped, [[[5, 1, np.float32(0.1)], [np.nan, np.nan, 0], [9, 2, np.float32(0.2)]]])
    assert keypoints[0, 0, 0] == 4  # the input stays


def test_flipping_needs_the_sides():
    with pytest.raises(ValueError, match="expected 3 joints"):
        flip_keypoints(TOLD, SIDES, width=10)
    with pytest.raises(ValueError, match="maybe confidence"):
        flip_keypoints(np.zeros((1, 3, 4)), SIDES, width=10)
    with pytest.raises(ValueError, match="left from right"):
        flip_keypoints(TOLD, Skeleton(("a", "b"), (), ()), width=10)


@pytest.mark.skipif(not DANCER_VIDEO.exists(), reason="needs shared/data/dancer")
def test_a_real_dancer_is_read():
    keypoints = read_keypoints(DANCER_VIDEO / "keypoints.npz", joints=len(BLAZEPOSE.joints))
    assert keypoints.shape == (1571, 33, 3)
    nose, ankle = (BLAZEPOSE.joints.index(name) for name in ("nose", "left_ankle"))
    assert (keypoints[:, nose, 1] < keypoints[:, ankle, 1]).all()
