import re
from functools import partial
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models._api import WeightsEnum
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn

from vidpred.pose.estimator import PoseError
from vidpred.pose.keypoint_rcnn import KeypointRCNN, choose_device, select_pose

FILE = "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of random weights, small enough for deep sums to stay finite."""
    torch.manual_seed(0)
    state = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    for name, value in state.items():
        if name.endswith("bn3.weight"):
            value.fill_(0.2)
    state["roi_heads.box_predictor.cls_score.weight"].mul_(30)  # few reach a score of 0.5
    file = tmp_path_factory.mktemp("weights") / "random weights.pth"
    torch.save(state, file)
    return file


@pytest.fixture(scope="module")
def frame():
    """Long and low: torchvision enlarges a frame until its short side has 800 pixels or its long side 1333."""
    return np.random.default_rng(0).integers(0, 256, (6, 128, 3), dtype=np.uint8)


def test_the_joints_are_torchvisions():
    assert list(KeypointRCNN.joints) == KeypointRCNN_ResNet50_FPN_Weights.DEFAULT.meta["keypoint_names"]


def test_the_network_is_torchvisions(weights, frame, monkeypatch):
    """The same numbers as with torchvision's own way to load the same weights."""
    state = torch.load(weights, weights_only=True)
    state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **options: state)
    build = partial(keypointrcnn_resnet50_fpn, weights=KeypointRCNN_ResNet50_FPN_Weights.DEFAULT)
    with torch.inference_mode():
        found = build(box_score_thresh=0.5).eval()([torch.from_numpy(frame).permute(2, 0, 1) / 255])[0]
    assert len(found["boxes"]) > 1
    left, top, right, bottom = found["boxes"].T
    chosen = ((right - left) * (bottom - top)).argmax()
    (pose,) = KeypointRCNN(weights=str(weights), min_score=0.5, device="cpu", person="largest").estimate([frame])
    np.testing.assert_allclose(pose[:, :2], found["keypoints"][chosen, :, :2], atol=1e-3)
    np.testing.assert_allclose(pose[:, 2], torch.sigmoid(found["keypoints_scores"][chosen]), atol=1e-4)


def test_where_nobody_reaches_the_score_nobody_is_found(weights, frame):
    estimator = KeypointRCNN(weights=str(weights), min_score=1.0, device="cpu")
    poses = estimator.estimate([frame])
    assert np.isnan(poses[..., :2]).all()
    assert (poses[..., 2] == 0).all()
    assert estimator.estimate([]).shape == (0, 17, 3)
    with pytest.raises(PoseError, match="frame 0"):
        estimator.estimate(iter(["frame.png"]))


def people(*boxes):
    """Detections in torchvision's words; every joint of person n is at (n, n), seen with score n."""
    number = torch.arange(len(boxes), dtype=torch.float32)[:, None].expand(-1, 17)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "keypoints": torch.stack([number, number, torch.ones_like(number)], dim=2),
        "keypoints_scores": number,
    }


def test_the_tracked_person_is_followed_and_the_largest_is_not():
    found = people((0, 0, 50, 50), (60, 0, 80, 20))
    previous = np.array([62, 0, 82, 20], np.float32)
    tracked, box = select_pose(found, previous, person="tracked")
    assert tracked[0].tolist() == pytest.approx([1, 1, 1 / (1 + np.exp(-1))])
    assert box.tolist() == [60, 0, 80, 20]
    largest, _ = select_pose(found, previous, person="largest")
    assert largest[0].tolist() == [0, 0, 0.5]


def test_nobody_leaves_no_box():
    pose, box = select_pose(people(), np.array([0, 0, 1, 1], np.float32), person="tracked")
    assert np.isnan(pose[:, 0]).all()
    assert box is None


def test_offline_the_error_names_file_and_folder(monkeypatch, tmp_path):
    def offline(*rest, **named):
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    expected = re.escape(f"put {FILE} into {tmp_path / 'hub' / 'checkpoints'}, or set pose_estimator.weights=FILE")
    with pytest.raises(PoseError, match=expected):
        KeypointRCNN()


def test_a_damaged_download_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / FILE).write_bytes(b"half a file")
    with pytest.raises(PoseError, match="cannot be loaded"):
        KeypointRCNN()


def test_weights_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(PoseError, match="does not exist"):
        KeypointRCNN(weights=str(tmp_path / "nothing.pth"))
    file = tmp_path / "weights.pth"
    file.write_bytes(b"no weights")
    with pytest.raises(PoseError, match="no file that torch"):
        KeypointRCNN(weights=str(file))
    torch.save(torch.zeros(3), file)
    with pytest.raises(PoseError, match="must hold a state dict, got a Tensor"):
        KeypointRCNN(weights=str(file))
    torch.save({"layer": torch.zeros(3)}, file)
    with pytest.raises(PoseError, match="not those of keypointrcnn_resnet50_fpn"):
        KeypointRCNN(weights=str(file))


def test_devices_are_named_as_torch_names_them():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(PoseError, match="got 'gpu'"):
        choose_device("gpu")
