"""Keypoint R-CNN: the 17 joints of COCO, with torchvision's network; at its best on a graphics card.

He et al. 2017, "Mask R-CNN", arXiv 1703.06870, section 5; the weights are torchvision's, trained on COCO.
"""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN as Network
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from vidpred.pose.estimator import (
    Person,
    PoseError,
    absent,
    check_frame,
    check_person,
    check_threshold,
    choose_person,
    stack_poses,
)
from vidpred.pose.skeletons import COCO

_WEIGHTS = KeypointRCNN_ResNet50_FPN_Weights.DEFAULT


class KeypointRCNN:
    """Keypoint R-CNN with a ResNet-50 and a feature pyramid; confidence is sigmoid(score of the keypoint).

    The score is the logit of the joint's heatmap at its peak: above 0 where the network sees the joint. It is not
    calibrated; the sigmoid only brings it to [0, 1], in the same order. Positions are those of COCO's annotations,
    whole numbers at pixel centres.

    Args:
        person: whom to look at where there are several.
        min_score: score from which a person counts.
        device: "auto" (the first CUDA device, else the processor), or a torch device.
        weights: file with a state dict; null lets torchvision download its own (about 240 MB) into its cache.

    Raises:
        PoseError: for an option out of its range, or if the weights cannot be had.
    """

    joints = COCO.joints

    def __init__(
        self,
        *,
        person: Person = "tracked",
        min_score: float = 0.7,
        device: str = "auto",
        weights: str | None = None,
    ) -> None:
        check_person(person)
        check_threshold("min_score", min_score)
        self.person: Person = person
        self.min_score = min_score
        self.device = choose_device(device)
        self.network = build_network(min_score)
        state = download_weights() if weights is None else read_weights(Path(weights).expanduser())
        try:
            self.network.load_state_dict(state)
        except RuntimeError as error:
            raise PoseError(
                f"the weights in {weights or weights_file()} are not those of keypointrcnn_resnet50_fpn with 17 joints"
            ) from error
        self.network.to(self.device).eval()

    @torch.inference_mode()
    def estimate(self, frames: Iterable[UInt8[Array, "H W 3"]]) -> Float[Array, "T 17 3"]:
        """See ``PoseEstimator.estimate``."""
        poses: list[Float[Array, "17 3"]] = []
        previous: Float[Array, " 4"] | None = None
        for number, frame in enumerate(frames):
            check_frame(frame, number)
            picture = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device).permute(2, 0, 1).float() / 255
            found = self.network([picture])[0]
            pose, previous = select_pose(found, previous, person=self.person)
            poses.append(pose)
        return stack_poses(poses, len(self.joints))


def select_pose(
    found: dict[str, Tensor], previous: Float[Array, " 4"] | None, *, person: Person
) -> tuple[Float[Array, "17 3"], Float[Array, " 4"] | None]:
    """The pose and the box of the chosen person; all NaN and no box where nobody was found.

    Args:
        found: torchvision's detections: boxes (N, 4), keypoints (N, 17, 3), keypoints_scores (N, 17).
        previous: box of the person in the frame before.
        person: how to choose.
    """
    boxes = found["boxes"].cpu().numpy()
    if len(boxes) == 0:
        return absent(len(COCO.joints)), None
    chosen = choose_person(boxes, previous, person=person)
    places = found["keypoints"][chosen, :, :2]
    confidence = torch.sigmoid(found["keypoints_scores"][chosen])
    return torch.cat([places, confidence[:, None]], dim=1).cpu().numpy(), boxes[chosen]


def choose_device(device: str) -> torch.device:
    """The device that a name stands for; "auto" is the first CUDA device where there is one, else the processor.

    Raises:
        PoseError: for a name that torch does not know.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise PoseError(f"pose_estimator.device must be auto, cpu, cuda or cuda:N, got {device!r}") from error


def build_network(min_score: float) -> nn.Module:
    """The network without weights, as torchvision builds it for its COCO weights (normalization with epsilon 0)."""
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=0)
    network: nn.Module = Network(backbone, num_classes=2, num_keypoints=len(COCO.joints), box_score_thresh=min_score)
    for layer in network.modules():
        if isinstance(layer, FrozenBatchNorm2d):
            layer.eps = 0.0
    return network


def weights_file() -> Path:
    """Where torchvision keeps its weights, once downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(_WEIGHTS.url).path).name


def download_weights() -> dict[str, Any]:
    """The COCO weights of torchvision, downloaded by torchvision unless they are in its cache.

    Raises:
        PoseError: if they cannot be downloaded, or the file is damaged.
    """
    try:
        state: dict[str, Any] = _WEIGHTS.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        file = weights_file()
        raise PoseError(
            f"the weights of Keypoint R-CNN cannot be loaded ({error}); put {file.name} into {file.parent}, "
            "or set pose_estimator.weights=FILE"
        ) from error
    return state


def read_weights(file: Path) -> dict[str, Any]:
    """A state dict from a file.

    Raises:
        PoseError: if the file is not there or holds no state dict.
    """
    if not file.is_file():
        raise PoseError(f"pose_estimator.weights={file} does not exist; expected a file like {weights_file().name}")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise PoseError(f"pose_estimator.weights={file} is no file that torch.save wrote") from error
    if not isinstance(state, dict):
        raise PoseError(f"pose_estimator.weights={file} must hold a state dict, got a {type(state).__name__}")
    return state
