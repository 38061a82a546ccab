import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import write_pictures

from vidpred.data import folder as room
from vidpred.data.folder import FolderSource
from vidpred.data.layouts import FolderLayout
from vidpred.data.pictures import PictureError
from vidpred.data.posing import PoseInput
from vidpred.data.splits import SplitError, Splitting
from vidpred.data.store import StoreError, open_store
from vidpred.pose.keypoints import KeypointsError
from vidpred.pose.maps import Limbs
from vidpred.pose.skeletons import COCO


@pytest.fixture
def root(source, tmp_path) -> Path:
    """Dancers as folders of pictures: train/NAME/{frames,poses}/frameN.png, and val."""
    for split in ("train", "val"):
        write_pictures(tmp_path / "root" / split, source.open(split))
    return tmp_path / "root"


@pytest.fixture
def pictures(root, tmp_path) -> FolderSource:
    return FolderSource(root=root, cache=tmp_path / "cache", height=16, width=24, workers=1)


def again(source: FolderSource) -> FolderSource:
    """The same, as another process makes it."""
    return replace(source)


def test_pictures_of_their_own_size_are_packed_as_they_are(pictures, source):
    pictures.prepare()
    for split in ("train", "val"):
        packed, drawn = pictures.open(split), source.open(split)
        assert np.array_equal(packed.frames, drawn.frames)
        assert np.array_equal(packed.poses, drawn.poses)
        assert packed.lengths == drawn.lengths
    assert pictures.content == (3, 16, 24, 3, None)


def test_other_sizes_and_modes_are_brought_to_size(pictures, tmp_path):
    for number in range(4):
        for kind in ("frames", "poses"):
            file = tmp_path / "odd" / "a" / kind / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (50, 31), 40 * number).save(file)
    odd = replace(pictures, root=tmp_path / "odd", splitting=Splitting(by="time", val=0.25))
    odd.prepare()
    assert odd.open("train").frames[:, :, 0, 0].tolist() == [[0, 0, 0], [40, 40, 40]]
    assert odd.open("val").frames[0].max() == 120


def test_the_second_use_decodes_nothing(pictures, monkeypatch):
    pictures.prepare()
    monkeypatch.setattr(room, "pack_pictures", None)
    again(pictures).prepare()


def test_a_changed_picture_is_packed_again_and_other_splits_are_not(pictures, root):
    pictures.prepare()
    before = {split: pictures.open(split).path.stat().st_mtime_ns for split in ("train", "val")}
    file = sorted(root.rglob("val/*/frames/frame3.png"))[0]
    Image.new("RGB", (24, 16), (7, 8, 9)).save(file)
    newer = again(pictures)
    assert newer.fingerprint != pictures.fingerprint
    newer.prepare()
    assert newer.open("val").frames[3, :, 0, 0].tolist() == [7, 8, 9]
    assert newer.open("train").path.stat().st_mtime_ns == before["train"]
    assert newer.open("val").path.stat().st_mtime_ns != before["val"]


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def shrink(file: Path) -> None:
    Image.new("RGB", (8, 8)).save(file)


def swell(file: Path) -> None:
    Image.new("L", (20000, 10000)).save(file)


def forbid(file: Path) -> None:
    file.write_text("not a picture at all")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damage, r"frame9\.png cannot be read as a picture"),
        (shrink, r"frame9\.png has 8x8 pixels, frame0\.png 24x16"),
        (swell, r"frame9\.png claims to hold more than 89 million pixels"),
        (forbid, r"frame9\.png cannot be read as a picture"),
    ],
)
def test_a_bad_picture_is_named_and_what_was_read_before_is_not_lost(pictures, root, monkeypatch, spoil, says):
    monkeypatch.setattr(room, "_CHUNK", 4)
    file = sorted(root.rglob("train/*/frames/frame9.png"))[-1]
    good = file.read_bytes()
    spoil(file)
    with pytest.raises(PictureError, match=says):
        pictures.prepare()
    with pytest.raises(StoreError):
        pictures.open("train")
    file.write_bytes(good)
    packed = []
    real = room.pack_pictures
    monkeypatch.setattr(room, "pack_pictures", lambda job: (packed.append(job), real(job)))
    again(pictures).prepare()
    jobs = sum(2 * -(-length // 4) for split in ("train", "val") for length in pictures.open(split).lengths)
    assert 0 < len(packed) < jobs / 2


def test_a_picture_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(PictureError, match=r"a\.png may not be read; check its permissions"):
        room.decode(tmp_path / "a.png", (8, 8))


def test_splits_that_hold_the_same_pictures_are_refused(pictures, root):
    shared = sorted(root.rglob("train/*/frames/frame0.png"))[0]
    copy = sorted(root.rglob("val/*/frames/frame1.png"))[0]
    copy.write_bytes(shared.read_bytes())
    for _ in range(2):  # also when all is packed already
        with pytest.raises(SplitError, match="1 pictures of val are also in train"):
            again(pictures).prepare()
    replace(pictures, allow_overlap=True).prepare()


def test_one_sequence_is_split_by_time(pictures, root):
    alone = replace(pictures, root=sorted((root / "train").iterdir())[0])
    alone.prepare()
    train, val = alone.open("train"), alone.open("val")
    assert train.sequences[0].known + val.sequences[0].known < 20
    assert val.sequences[0].begin > train.sequences[0].known
    assert val.sequences[0].source == train.sequences[0].source


def test_a_test_split_may_have_one_frame_and_more_poses(pictures, root):
    for kind, count in (("img", 1), ("label", 5)):
        for number in range(count):
            file = root / "test" / f"test_{kind}" / "0" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (24, 16), (number + 1, 0, 0)).save(file)
    for split in ("train", "val"):
        first = sorted((root / split).iterdir())[0]
        (first / "frames").rename(root / split / f"{split}_img")
        (first / "poses").rename(root / split / f"{split}_label")
    pictures.prepare()
    (info,) = pictures.open("test").sequences
    assert (info.length, info.known) == (5, 1)
    assert pictures.open("test").poses[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert pictures.open("test").lengths == (1,)


@pytest.fixture
def pointed(pictures, root) -> FolderSource:
    """The same with keypoints instead of pose images: joint j of frame t at x = t, y = j."""
    for folder in sorted(root.glob("*/*")):
        length = len(list((folder / "frames").iterdir()))
        for file in (folder / "poses").iterdir():
            file.unlink()
        t, j = np.meshgrid(np.arange(length), np.arange(17), indexing="ij")
        np.save(folder / "keypoints.npy", np.stack([t, j], axis=-1).astype(np.float32))
    return replace(pictures, skeleton="coco")


def test_keypoints_are_packed_in_pixels_of_the_stored_frames(pointed):
    pointed.prepare()
    train = pointed.open("train")
    assert train.poses is None
    assert train.keypoints[5, 3].tolist() == [5.0, 3.0, 1.0]
    half = replace(pointed, height=8, width=12)
    half.prepare()
    assert half.open("train").keypoints[5, 3].tolist() == [5.5 / 2 - 0.5, 3.5 / 2 - 0.5, 1.0]
    assert pointed.content == (3, 16, 24, 0, COCO)
    maps = PoseInput(images="prefer", draw=Limbs()).read(train, slice(0, 4))
    assert maps.shape == (4, 3, 16, 24)
    assert maps.any()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.full((20, 17, 2), np.inf), "keypoints.npy"),
        (np.zeros((20, 16, 2)), "17"),
        (np.zeros((19, 17, 2)), "holds 19 frames, beside 20 pictures"),
        (np.zeros((20, 17, 5)), r"\(20, 17, 5\)"),
    ],
)
def test_bad_keypoints_are_named(pointed, root, array, says):
    np.save(sorted((root / "train").iterdir())[0] / "keypoints.npy", array)
    with pytest.raises((KeypointsError, ValueError), match=says):
        pointed.prepare()


def test_keypoints_need_to_say_whose_they_are(pointed):
    with pytest.raises(ValueError, match=r"data\.skeleton=blazepose"):
        replace(pointed, skeleton=None).prepare()
    with pytest.raises(ValueError, match="unknown skeleton"):
        replace(pointed, skeleton="none").prepare()


def test_several_processes_give_the_same(pictures, tmp_path):
    pictures.prepare()
    parallel = replace(pictures, cache=tmp_path / "other", workers=2)
    parallel.prepare()
    assert np.array_equal(parallel.open("train").frames, pictures.open("train").frames)


def test_a_root_without_validation_is_refused(pictures, root):
    (root / "val").rename(root.parent / "elsewhere")
    with pytest.raises(SplitError, match="no val sequences"):
        pictures.prepare()


def test_the_cache_of_a_root_does_not_grow(pictures, root, tmp_path):
    pictures.prepare()
    os.utime(sorted(root.rglob("*.png"))[0])
    again(pictures).prepare()
    folders = [path.name for path in (tmp_path / "cache").glob("*/*") if path.is_dir()]
    assert sorted(folders) == ["train-16x24", "val-16x24"]


def test_a_split_that_is_not_there_is_named(pictures):
    with pytest.raises(StoreError, match="has no test split; there is train, val"):
        pictures.open("test")


def test_layout_options_reach_the_search(pictures):
    with pytest.raises(ValueError, match="holds neither"):
        replace(pictures, layout=FolderLayout(frames="rgb/*")).prepare()


def test_packed_splits_open_as_stores(pictures):
    pictures.prepare()
    assert open_store(pictures.open("val").path).about["fps"] == 25.0
