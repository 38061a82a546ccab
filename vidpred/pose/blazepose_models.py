"""The two networks of BlazePose as functions of a frame: detect people, and place landmarks in a region.

Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose Tracking", arXiv 2006.10204. Sizes, anchors, ranges
and thresholds are those of the graphs in MediaPipe 0.10.21: ``pose_detection_cpu.pbtxt``,
``pose_detection_to_roi.pbtxt``, ``pose_landmarks_to_roi.pbtxt``, ``pose_landmark_by_roi_cpu.pbtxt`` and
``tensors_to_pose_landmarks_and_segmentation.pbtxt``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array

from vidpred.pose.estimator import PoseError, overlaps
from vidpred.pose.regions import Region, crop, to_frame, upright_region

DETECTION_SIZE = 224  # pixels, the side of the detector's input
LANDMARK_SIZE = 256
LANDMARKS = 39  # of which the first 33 are joints, and the next two span the region in the frame after
JOINTS = 33
_REGION_SCALE = 1.25  # margin around a body that the landmark network was trained with
_SAME_PERSON = 0.3  # intersection over union from which two detections are merged

Network = Callable[[Float[Array, "1 S S 3"]], dict[tuple[int, ...], Float[Array, "..."]]]


class Landmarks(NamedTuple):
    """What the landmark network says about a region."""

    pose: Float[Array, "J 3"]  # x, y in pixels of the frame, centres at whole numbers; visibility in [0, 1]
    presence: float  # probability that the region shows a person
    region: Region  # where to look for this person in the next frame


def load_network(file: Path, *, threads: int) -> Network:
    """Load a ``.tflite`` file as a function from its input to its outputs by shape.

    Raises:
        PoseError: if LiteRT is not installed, or cannot read the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise PoseError("BlazePose needs ai-edge-litert: pip install 'vidpred[pose]'") from error
    try:
        interpreter = Interpreter(str(file), num_threads=threads)
    except ValueError as error:
        raise PoseError(f"{file} is no model that LiteRT can read ({error}); remove it to fetch it again") from error
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exits = {tuple(int(n) for n in out["shape"]): out["index"] for out in interpreter.get_output_details()}

    def run(picture: Float[Array, "1 S S 3"]) -> dict[tuple[int, ...], Float[Array, "..."]]:
        interpreter.set_tensor(entry, picture)
        interpreter.invoke()
        return {shape: interpreter.get_tensor(index) for shape, index in exits.items()}

    return run


def detect(network: Network, frame: UInt8[Array, "H W 3"], *, min_score: float) -> list[Region]:
    """Regions of the people in a frame, most certain first.

    The detector sees the whole frame in a black square. It finds faces, and for each the middle of the hips and a point
    on the circle around the body: the region is centred on the first, and the second is its upward direction.
    """
    height, width = frame.shape[:2]
    whole = Region(width / 2, height / 2, float(max(height, width)))
    picture = 2 * crop(frame, whole, DETECTION_SIZE, outside="zeros") - 1
    outputs = network(picture[None])
    anchors = detection_anchors()
    logits = outputs[1, len(anchors), 1][0, :, 0]
    scores = sigmoid(logits)
    likely = scores >= min_score
    values = outputs[1, len(anchors), 12][0, likely].reshape(-1, 6, 2) / DETECTION_SIZE
    values[:, [0, 2, 3, 4, 5]] += anchors[likely, None]  # all but the box's width and height are relative
    regions = []
    for merged in merge_detections(values, scores[likely]):
        hips, circle = to_frame(merged[2:4].astype(float), whole)
        regions.append(upright_region(hips, circle, scale=_REGION_SCALE))
    return [region for region in regions if region.side > 0]


def detection_anchors() -> Float[Array, "2254 2"]:
    """Centres of the detector's anchors, 0 to 1: two per cell at stride 8, two at 16 and six at 32, row by row.

    (SSD anchors of aspect ratio 1 and fixed size; layers with the same stride are interleaved.)
    """
    grids = []
    for stride, per_cell in ((8, 2), (16, 2), (32, 6)):
        centres = (np.arange(DETECTION_SIZE // stride, dtype=np.float32) + 0.5) * stride / DETECTION_SIZE
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(grids)


def merge_detections(detections: Float[Array, "N 6 2"], scores: Float[Array, " N"]) -> Iterator[Float[Array, "6 2"]]:
    """Weighted non-maximum suppression: overlapping detections become their mean, weighted by score.

    Args:
        detections: centre of the box, its width and height, and four points.
        scores: in [0, 1].
    """
    half = detections[:, 1] / 2
    boxes = np.concatenate([detections[:, 0] - half, detections[:, 0] + half], axis=1)
    while len(scores):
        best = int(scores.argmax())
        same = overlaps(boxes, boxes[best]) > _SAME_PERSON
        same[best] = True
        yield np.average(detections[same], axis=0, weights=scores[same])
        detections, scores, boxes = detections[~same], scores[~same], boxes[~same]


def locate(network: Network, frame: UInt8[Array, "H W 3"], region: Region) -> Landmarks:
    """Place the landmarks of the person in a region.

    The network's positions are used as they are. MediaPipe also moves them to the centre of mass of a heatmap, a grid
    of 64 × 64 cells: on a film of a dancer that made them shake more.
    """
    picture = crop(frame, region, LANDMARK_SIZE, outside="border")
    outputs = network(picture[None])
    values = outputs[1, LANDMARKS * 5].reshape(LANDMARKS, 5)
    places = to_frame(values[:, :2].astype(float) / LANDMARK_SIZE, region)
    pose = np.concatenate([places[:JOINTS] - 0.5, sigmoid(values[:JOINTS, 3:4])], axis=1).astype(np.float32)
    following = upright_region(places[JOINTS], places[JOINTS + 1], scale=_REGION_SCALE)
    return Landmarks(pose, float(outputs[1, 1][0, 0]), following)


def sigmoid(logits: Float[Array, "*N"]) -> Float[Array, "*N"]:
    """1 / (1 + exp(−x)), with x cut to ±100 so that nothing overflows."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))).astype(np.float32)
