import pytest
from PIL import Image

from vidpred.data.layouts import FolderLayout, LayoutError


def pictures(folder, names, size=(8, 6)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", size).save(folder / name)


def remove_pair(lab):
    for kind in ("img/frame9", "label/9"):
        (lab / f"train/train_{kind}.png").unlink()


@pytest.fixture
def lab(tmp_path):
    """The lab's layout: numbered with and without a word in front, and a test with one frame and more poses."""
    for split, numbers in (("train", range(8, 12)), ("val", range(3))):
        pictures(tmp_path / split / f"{split}_img", [f"frame{number}.png" for number in numbers])
        pictures(tmp_path / split / f"{split}_label", [f"{number}.png" for number in numbers])
    for sequence in (10, 9):
        pictures(tmp_path / "test" / "test_img" / str(sequence), ["0.png"])
        pictures(tmp_path / "test" / "test_label" / str(sequence), ["0.png", "1.png", "2.png"])
    return tmp_path


def test_the_labs_layout_is_found_in_numeric_order(lab):
    found = FolderLayout().find(lab)
    (train,), (val,) = found["train"], found["val"]
    assert [file.name for file in train.frames] == ["frame8.png", "frame9.png", "frame10.png", "frame11.png"]
    assert [file.stem for file in train.poses] == ["8", "9", "10", "11"]
    assert len(val.frames) == 3
    assert [(one.name, len(one.frames), len(one.poses)) for one in found["test"]] == [
        ("test/9", 1, 3),
        ("test/10", 1, 3),
    ]


def test_folders_of_sequences_are_found_with_and_without_splits(tmp_path):
    for name in ("b", "a/x"):
        pictures(tmp_path / name / "frames", ["1.png", "2.jpg"])
        (tmp_path / name / "keypoints.npy").write_bytes(b"")
    found = FolderLayout().find(tmp_path)
    assert list(found) == [None]
    assert [one.name for one in found[None]] == ["a/x", "b"]
    assert found[None][0].keypoints == tmp_path / "a/x" / "keypoints.npy"
    pictures(tmp_path / "more" / "train" / "c" / "rgb", ["1.png"])
    pictures(tmp_path / "more" / "train" / "c" / "maps", ["1.png"])
    own = FolderLayout(frames="rgb/*", poses="maps/*").find(tmp_path / "more")
    assert [one.name for one in own["train"]] == ["c"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda lab: (lab / "train/train_label/9.png").unlink(),
            r"4 frames and 3 pose images \(number 9 has only a frame",
        ),
        (
            lambda lab: [(lab / f"train/train_{kind}.png").unlink() for kind in ("img/frame9", "label/9")],
            "lacks number 9",
        ),
        (lambda lab: pictures(lab / "train/train_img", ["x8.png"]), "5 frames and 4 pose images"),
        (lambda lab: [file.unlink() for file in (lab / "val/val_img").iterdir()], "no frames"),
        (lambda lab: (lab / "val/val_label").rename(lab / "elsewhere"), "expected .*val_label"),
    ],
)
def test_what_does_not_fit_is_said_with_the_file(lab, spoil, says):
    spoil(lab)
    with pytest.raises(LayoutError, match=says):
        FolderLayout().find(lab)


def test_the_same_number_twice_is_refused(lab):
    pictures(lab / "val/val_img", ["x1.png"])
    pictures(lab / "val/val_label", ["x1.png"])
    with pytest.raises(LayoutError, match="same number"):
        FolderLayout().find(lab)


def test_gaps_are_accepted_when_asked_for(lab):
    remove_pair(lab)
    assert len(FolderLayout(allow_gaps=True).find(lab)["train"][0].frames) == 3


def test_numbers_may_go_up_by_more_than_one(tmp_path):
    for kind in ("frames", "poses"):
        pictures(tmp_path / "a" / kind, ["0.png", "5.png", "10.png", "15.png"])
    assert len(FolderLayout().find(tmp_path)[None][0].frames) == 4


def test_links_that_leave_the_root_are_refused_unless_asked_for(lab, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "8.png"
    Image.new("RGB", (8, 6)).save(outside)
    (lab / "train/train_img/frame8.png").unlink()
    (lab / "train/train_img/frame8.png").symlink_to(outside)
    with pytest.raises(LayoutError, match="leaves"):
        FolderLayout().find(lab)
    assert FolderLayout(follow_links=True).find(lab)


def test_an_empty_or_missing_root_says_what_is_expected(tmp_path):
    with pytest.raises(LayoutError, match="holds neither train/train_img"):
        FolderLayout().find(tmp_path)
    with pytest.raises(LayoutError, match="no such folder"):
        FolderLayout().find(tmp_path / "none")
    pictures(tmp_path / "a" / "frames", ["1.png"])
    with pytest.raises(LayoutError, match=r"neither pose images nor keypoints; python -m vidpred\.prepare"):
        FolderLayout().find(tmp_path)


@pytest.mark.parametrize("options", [{"layout": "other"}, {"frames": "../x/*"}, {"poses": "/etc/*"}])
def test_patterns_stay_inside_of_the_root(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):  # a type checker, if any, is quicker
        FolderLayout(**options)
