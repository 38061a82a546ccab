import pytest
import torch
from samples import lively

from vidpred.networks.layers import join_pixels
from vidpred.networks.scene import Scene, Shade

C, H, W = 3, 24, 32
HIDDEN = torch.zeros(2, 1, H, W)
HIDDEN[..., 8:16, 10:20] = 1


@pytest.fixture
def scene():
    return lively(Scene(C, 8))


def test_the_scene_is_the_frame_where_nothing_is_hidden_and_filled_elsewhere(scene):
    frames, other, features = torch.rand(2, C, H, W), torch.rand(2, C, H, W), torch.rand(2, 8, H // 2, W // 2)
    inside = HIDDEN.expand_as(frames) > 0
    painted = join_pixels(scene(frames, HIDDEN, features)[0])
    torch.testing.assert_close(painted[~inside], frames[~inside])
    assert (painted - frames)[inside].abs().mean() > 0.1
    changed = torch.where(inside, other, frames)
    torch.testing.assert_close(join_pixels(scene(changed, HIDDEN, features)[0]), painted)  # it is not looked at


def test_what_is_painted_over_stays_near_the_fills(scene):
    """½ tanh: at most half of the range of colours away."""
    torch.nn.init.constant_(scene.head.bias, 1e3)
    frames = torch.full((2, C, H, W), 0.25)
    painted = join_pixels(scene(frames, HIDDEN, torch.rand(2, 8, H // 2, W // 2))[0])
    torch.testing.assert_close(painted, 0.25 + HIDDEN.expand_as(frames) / 2)


def test_little_is_hidden_at_the_start():
    hidden = Scene(C, 8).hide(torch.randn(2, 8, H // 2, W // 2), torch.float64)
    assert hidden.dtype == torch.float64
    assert 0 < hidden.mean() < 0.2


def test_shade_is_nothing_as_built_and_bounded():
    features = torch.rand(2, 8, H // 2, W // 2)
    assert not Shade(8)(features, torch.float32).any()
    shade = lively(Shade(8))
    shade.conv.weight.data.mul_(1e3)
    light = shade(features, torch.float32)
    assert light.shape == (2, 1, H, W)
    assert 0.49 < light.abs().max() <= 0.5
