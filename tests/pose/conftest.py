"""A film of a dancer that lies beside the repository, and the networks of BlazePose; without them tests are skipped."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from vidpred.pose.blazepose_files import find_files
from vidpred.pose.estimator import PoseError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CROP_LEFT, CROP_SIDE = 15.75, 496.0  # where the 128 x 128 pictures lie in the film: fitted to both, to a quarter pixel


def decode(file: Path) -> Iterator[np.ndarray]:
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


@pytest.fixture(scope="session")
def film() -> Callable[[], Iterator[np.ndarray]]:
    """Decodes all 1571 frames, one after the other."""
    file = DATA / "dancer.avi"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    return partial(decode, file)


@pytest.fixture(scope="session")
def dancer(film: Callable[[], Iterator[np.ndarray]]) -> list[np.ndarray]:
    """The first 60 frames."""
    return list(islice(film(), 60))


@pytest.fixture(scope="session")
def dancer_keypoints(film: Callable[[], Iterator[np.ndarray]]) -> np.ndarray:
    """(1571, 33, 3): x, y in pixels of the film, and visibility."""
    keypoints = np.load(DATA / "dancer" / "keypoints.npz")["keypoints"]
    keypoints[..., :2] = keypoints[..., :2] * CROP_SIDE + (CROP_LEFT - 0.5, -0.5)
    return keypoints


@pytest.fixture(scope="session")
def networks() -> None:
    """The files of BlazePose, from the cache or the package index."""
    try:
        find_files(None)
    except PoseError as error:
        if "get online" not in str(error):
            raise
        pytest.skip(str(error))
