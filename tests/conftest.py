"""Small data, models and runs for all tests."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import settings
from omegaconf import DictConfig
from samples import IMAGES, TINY, lively

from vidpred import assembly
from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize
from vidpred.data.datamodule import ClipDataModule
from vidpred.networks import Model
from vidpred.pose.blazepose_files import find_files
from vidpred.pose.estimator import PoseError

settings.register_profile("vidpred", deadline=None, max_examples=50)
settings.load_profile("vidpred")


def pytest_configure() -> None:
    """One thread for tests, commands and notebooks that tests start: pytest-xdist runs one process a core."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of drawn dancers for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def source(cache: Path) -> DancersSource:
    sizes = {"train": SplitSize(6, 20), "val": SplitSize(3, 12), "test": SplitSize(2, 12)}
    source = DancersSource(dancers=Dancers(height=16, width=24), sizes=sizes, cache=cache, futures=4)
    source.prepare()
    return source


@pytest.fixture
def data(source: DancersSource) -> ClipDataModule:
    return ClipDataModule(source, poses=IMAGES, clip_length=4, batch_size=2, clips_per_epoch=8, eval_batch_size=2)


@pytest.fixture(params=TINY)
def model(request: pytest.FixtureRequest) -> Model:
    """Every network, tiny, with weights that do something everywhere."""
    return lively(TINY[request.param]())


@pytest.fixture
def compose(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DictConfig]:
    """Compose a debug run that writes to the test's folder."""

    monkeypatch.setenv("VIDPRED_CACHE", str(cache))

    def composed(*overrides: str, run_dir: Path | None = None) -> DictConfig:
        folder = run_dir or tmp_path / "run"
        fixed = ("experiment=debug", f"run_dir={folder}", "callbacks.progress=null")
        return assembly.compose(*fixed, *overrides)

    return composed


# the film of a dancer that lies beside the repository, and the networks of BlazePose; without them tests are skipped
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
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
