"""LPIPS by the real loading path: a random AlexNet lies where torchvision's hub would put the trained one."""

from urllib.error import URLError

import pytest
import torch
import torchvision
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from vidpred.evaluation.scoring import Scorer
from vidpred.metrics.lpips import Lpips, PerceptualWeightsError
from vidpred.metrics.protocol import Protocol


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


@pytest.fixture
def lpips(hub):
    hub.mkdir(parents=True)
    torch.manual_seed(0)
    name = torchvision.models.AlexNet_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save(torchvision.models.alexnet().state_dict(), hub / name)
    return Lpips()


def test_every_frame_has_the_distance_that_torchmetrics_gives_it_alone(lpips):
    frames, other = torch.rand(2, 2, 2, 3, 64, 64)
    found = lpips(frames, other)
    assert found.shape == (2, 2, 1, 64, 64)
    alone = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    for clip in range(2):
        for step in range(2):
            expected = alone(frames[clip, step][None], other[clip, step][None])
            assert float(found[clip, step].mean()) == pytest.approx(float(expected), rel=1e-5)
    assert not lpips(frames, frames).any()


def test_the_distance_sits_where_the_frames_differ(lpips):
    frames = torch.rand(1, 1, 3, 128, 128)
    other = frames.clone()
    other[..., :32, :32] = 0
    found = lpips(frames, other)[0, 0, 0]
    assert found[:32, :32].mean() > 10 * found[96:, 96:].mean()


def test_frames_that_are_too_small_are_told_and_left_out(lpips):
    judge = Scorer(Protocol(name="t"), lpips=lpips)
    assert judge.missing(16, 64)["lpips"].startswith("LPIPS is left out: it needs frames of 32x32")
    small = torch.rand(1, 1, 3, 16, 64)
    assert "lpips" not in judge(small, small, small, small[:, 0])


def test_a_scorer_gives_it_inside_and_outside_of_the_mask(lpips):
    target = torch.rand(1, 1, 3, 64, 64)
    moved = target.clone()
    moved[..., :32] = 1 - moved[..., :32]
    scores = Scorer(Protocol(name="t"), lpips=lpips)(target, moved, target, target[:, 0])
    assert float(scores["lpips_inside"]) > float(scores["lpips"]) > float(scores["lpips_outside"]) >= 0
