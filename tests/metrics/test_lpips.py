"""LPIPS by the real loading path: a random AlexNet lies where torchvision's hub would put the trained one."""

from urllib.error import URLError

import pytest
import torch
import torchvision
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from vidpred.metrics.lpips import Lpips, PerceptualWeightsError


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub without a network."""

    def offline(*_args, **_options):
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_offline_it_says_what_to_do(hub):
    with pytest.raises(PerceptualWeightsError, match=r"LPIPS is left out: .*no network.*Run once"):
        Lpips()


def test_every_frame_has_the_distance_that_torchmetrics_gives_it_alone(hub):
    hub.mkdir(parents=True)
    torch.manual_seed(0)
    name = torchvision.models.AlexNet_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save(torchvision.models.alexnet().state_dict(), hub / name)
    frames, other = torch.rand(2, 2, 2, 3, 64, 64)
    found = Lpips()(frames, other)
    alone = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    for clip in range(2):
        for step in range(2):
            expected = alone(frames[clip, step][None], other[clip, step][None])
            assert float(found[clip, step]) == pytest.approx(float(expected), rel=1e-5)
    assert Lpips()(frames, frames).tolist() == [[0.0, 0.0], [0.0, 0.0]]
