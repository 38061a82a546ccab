"""The doctor on models whose state is known: z that tells, is ignored, has collapsed, or has nothing to tell."""

import math

import pytest
import torch
from samples import SHAPE, lively
from torch import nn
from torch.nn import functional

from vidpred.doctor import Doctor, Vitals, judge
from vidpred.networks import CVAE
from vidpred.types import Gaussian

Z = (3, 4, 6)  # a cell is 4 x 4 pixels of the 16 x 24 of SHAPE


class Painter(nn.Module):
    """Gives the context frame plus ``gain`` times z, enlarged; its posterior knows the colours of the cells.

    With ``knows=0`` posterior and prior are the same; ``noise`` is the posterior's standard deviation.
    """

    shape, latent_shape, parallel = SHAPE, Z, True

    def __init__(self, *, gain: float, knows: float = 1.0, noise: float = 1e-3):
        super().__init__()
        self.gain, self.knows, self.noise = gain, knows, noise
        self.first = None

    def context(self, frames, poses):
        self.first = frames[:, -1]
        return frames[:, -1]

    def encode_poses(self, poses, context, gap=None):
        return poses.mean(dim=(2, 3, 4), keepdim=True)[:, :, 0]

    def encode_frames(self, frames):
        return frames

    def posterior(self, target, pose):
        cells = functional.adaptive_avg_pool2d(
            target - self.first.repeat_interleave(len(target) // len(self.first), 0), Z[1:]
        )
        logvar = math.log(self.noise**2) if self.knows else 0.0
        return Gaussian(self.knows * cells, torch.full_like(cells, logvar))

    def prior(self, previous, pose):
        zero = previous.new_zeros(len(previous), *Z)
        return Gaussian(zero, zero)

    def decode(self, previous, pose, z, prior, carry):
        frame = self.first.repeat_interleave(len(previous) // len(self.first), 0)
        return frame + self.gain * functional.interpolate(z, size=(SHAPE.height, SHAPE.width)), None


def films(*, light: float, grain: float, clips: int = 3, frames: int = 9):
    """A still picture, with a light that changes at random and cell by cell, and grain that has no mean in any cell."""
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(clips, 1, 3, SHAPE.height, SHAPE.width, generator=generator)
    lights = light * torch.randn(clips, frames, *Z, generator=generator)
    noise = grain * torch.randn(clips, frames, 3, SHAPE.height, SHAPE.width, generator=generator)
    noise = noise - enlarge(functional.adaptive_avg_pool2d(noise.flatten(0, 1), Z[1:])).unflatten(0, (clips, frames))
    lights[:, 0], noise[:, 0] = 0, 0
    lit = still + enlarge(lights.flatten(0, 1)).unflatten(0, (clips, frames)) + noise
    return lit, torch.zeros(clips, frames, SHAPE.pose_channels, SHAPE.height, SHAPE.width), lights[:, 1:]


def enlarge(cells):
    return functional.interpolate(cells, size=(SHAPE.height, SHAPE.width))


def examine(model, frames, poses) -> Vitals:
    doctor = Doctor(model, context_frames=1)
    doctor.examine(frames, poses)
    return doctor.report()


def test_a_z_that_tells_the_light_is_alive_and_its_numbers_are_known():
    frames, poses, lights = films(light=0.3, grain=0.1)
    vitals = examine(Painter(gain=1.0), frames, poses)
    grain = float((frames[:, 1:] - frames[:, :1] - enlarge(lights.flatten(0, 1)).unflatten(0, (3, 8))).square().mean())
    assert vitals.units == vitals.active_units == 72
    assert vitals.distortion == pytest.approx(grain + 1e-6, rel=1e-3)
    assert vitals.error == pytest.approx(grain + float(lights.square().mean()), rel=1e-5)
    assert vitals.explainable == pytest.approx(float(lights.square().mean()), rel=1e-4)
    assert vitals.movement == pytest.approx(1.0, rel=0.1)  # z ~ N(0, I), drawn as it is
    expected = 0.5 * (lights.square() + 1e-6 - 1 - math.log(1e-6))
    assert vitals.rate == pytest.approx(float(expected.sum(dim=(2, 3, 4)).mean()), rel=1e-5)
    assert vitals.rate_per_channel == pytest.approx(expected.sum(dim=(3, 4)).mean(dim=(0, 1)).tolist(), rel=1e-5)
    assert vitals.rate_per_step == pytest.approx(expected.sum(dim=(2, 3, 4)).mean(dim=0).tolist(), rel=1e-5)
    assert judge(vitals).state == "live"


def test_a_collapsed_posterior_is_told_from_data_that_leave_nothing_to_tell():
    collapsed = Painter(gain=0.0, knows=0.0)
    lit = examine(collapsed, *films(light=0.3, grain=0.1)[:2])
    assert (lit.rate, lit.active_units, lit.movement) == (0, 0, 0)
    assert judge(lit).state == "collapsed"
    still = examine(collapsed, *films(light=0.0, grain=0.1)[:2])
    assert judge(still).state == "nothing to explain"
    assert judge(lit, deterministic=True).state == "nothing to explain"
    alive = examine(Painter(gain=1.0), *films(light=0.3, grain=0.1)[:2])
    told = judge(alive, deterministic=True)  # a z that helps out where networks fall short is no failure either
    assert told.state == "nothing to explain"
    assert "have not learned to render" in told.sentence
    assert judge(still, deterministic=False).state == "collapsed"


def test_a_decoder_that_makes_nothing_of_z_is_told():
    assert judge(examine(Painter(gain=0.0), *films(light=0.3, grain=0.1)[:2])).state == "ignored"


def test_active_units_are_counted_one_by_one():
    frames, poses, _ = films(light=0.0, grain=0.0)
    offset = torch.zeros(3, 9, *Z)
    offset[:, 1:, 1, 2, 3] = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    offset[:, 1:, 0, 0, 0] = 5.0  # always the same: says nothing
    moved = frames + enlarge(offset.flatten(0, 1)).unflatten(0, (3, 9))
    assert examine(Painter(gain=1.0), moved, poses).active_units == 1


def test_parts_of_the_data_give_what_the_whole_gives():
    frames, poses, _ = films(light=0.3, grain=0.1, clips=4)
    whole = examine(Painter(gain=0.0), frames, poses)
    doctor = Doctor(Painter(gain=0.0), context_frames=1)
    for part in (slice(0, 1), slice(1, 4)):
        doctor.examine(frames[part], poses[part])
    for name, value in doctor.report()._asdict().items():
        assert value == pytest.approx(getattr(whole, name), rel=1e-5), name


def test_clips_of_two_lengths_count_where_they_are():
    frames, poses, lights = films(light=0.3, grain=0.1, clips=2)
    doctor = Doctor(Painter(gain=1.0), context_frames=1)
    doctor.examine(frames[:1], poses[:1])
    doctor.examine(frames[1:, :4], poses[1:, :4])
    kl = 0.5 * (lights.square() + 1e-6 - 1 - math.log(1e-6)).sum(dim=(2, 3, 4))
    expected = [kl[:, step].mean() if step < 3 else kl[0, step] for step in range(8)]
    assert doctor.report().rate_per_step == pytest.approx([float(value) for value in expected], rel=1e-5)


def test_our_network_is_examined_without_a_change(model):
    frames, poses, _ = films(light=0.3, grain=0.1)
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    vitals = examine(model, frames, poses.clamp(0, 1))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert vitals.rate == pytest.approx(sum(vitals.rate_per_channel), rel=1e-6)
    assert len(vitals.rate_per_step) == 8


def test_nothing_examined_is_an_error():
    with pytest.raises(ValueError, match="examined nothing"):
        Doctor(lively(CVAE(SHAPE, widths=(8, 8, 8))), context_frames=1).report()
