"""BlazePose: 33 joints of one person, on the processor.

Bazarevsky et al. 2020, arXiv 2006.10204. The networks are MediaPipe's (Apache-2.0), see ``blazepose_files``; LiteRT
runs them. MediaPipe also smooths its landmarks over time; here every frame's are as the network gave them.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array

from vidpred.pose.blazepose_files import find_files
from vidpred.pose.blazepose_models import Landmarks, Network, detect, load_network, locate
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
from vidpred.pose.regions import Region
from vidpred.pose.skeletons import BLAZEPOSE


class BlazePose:
    """BlazePose's detector and full landmark model; confidence is the network's visibility.

    With ``person="tracked"`` the landmarks of one frame say where to look in the next, and the detector runs only where
    nobody is followed: in the first frame, and where the presence falls below ``min_presence``. With
    ``person="largest"`` it runs on every frame.

    Args:
        person: whom to look at where there are several.
        min_detection: score from which a detection counts.
        min_presence: probability of a person in the region from which the pose counts.
        threads: of the processor.
        files: folder with the two .tflite files, or a wheel of MediaPipe; null fetches them once into the cache.

    Raises:
        PoseError: for an option out of its range, if the files cannot be had, or LiteRT is not installed.
    """

    joints = BLAZEPOSE.joints

    def __init__(
        self,
        *,
        person: Person = "tracked",
        min_detection: float = 0.5,
        min_presence: float = 0.5,
        threads: int = 1,
        files: str | None = None,
    ) -> None:
        check_person(person)
        check_threshold("min_detection", min_detection)
        check_threshold("min_presence", min_presence)
        if threads < 1:
            raise PoseError(f"pose_estimator.threads must be >= 1, got {threads}")
        self.person: Person = person
        self.min_detection = min_detection
        self.min_presence = min_presence
        self.threads = threads
        self.files = find_files(files)

    def estimate(self, frames: Iterable[UInt8[Array, "H W 3"]]) -> Float[Array, "T 33 3"]:
        """See ``PoseEstimator.estimate``."""
        detector = load_network(self.files.detection, threads=self.threads)
        landmarker = load_network(self.files.landmark, threads=self.threads)
        poses: list[Float[Array, "33 3"]] = []
        region: Region | None = None
        for number, frame in enumerate(frames):
            check_frame(frame, number)
            found = self._look(detector, landmarker, frame, region)
            poses.append(absent(len(self.joints)) if found is None else found.pose)
            region = None if found is None else found.region
        return stack_poses(poses, len(self.joints))

    def _look(
        self, detector: Network, landmarker: Network, frame: UInt8[Array, "H W 3"], last: Region | None
    ) -> Landmarks | None:
        if last is not None and self.person == "tracked":
            found = locate(landmarker, frame, last)
            if found.presence >= self.min_presence:
                return found
        people = detect(detector, frame, min_score=self.min_detection)
        if not people:
            return None
        boxes = np.stack([region.box for region in people])
        chosen = people[choose_person(boxes, None if last is None else last.box, person=self.person)]
        found = locate(landmarker, frame, chosen)
        return found if found.presence >= self.min_presence else None
