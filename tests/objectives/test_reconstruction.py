import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch.distributions import Laplace

from vidpred.objectives import AbsoluteError, Elbo, Huber, Reconstruction, SquaredError, SsimMix, weigh_pixels

ERRORS = [SquaredError(), AbsoluteError(), Huber(delta=0.1), SsimMix()]


def frames(*, height: int = 20, width: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 3, height, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=generator, dtype=torch.float64)
    return (target + 0.2 * noise).requires_grad_(), target


def limbs(height: int = 20, width: int = 24) -> torch.Tensor:
    """A bright vertical line in every frame, and a dot in the corner of the last one."""
    poses = torch.zeros(2, 3, 3, height, width, dtype=torch.float64)
    poses[..., 1, :, 10] = 1
    poses[1, 2, 0, 0, 0] = 1
    return poses


def test_absolute_error_is_the_negative_log_likelihood_of_a_laplace():
    predicted, target = frames()
    wanted = Laplace(target, 1.0).log_prob(target) - Laplace(predicted, 1.0).log_prob(target)
    torch.testing.assert_close(AbsoluteError()(predicted, target), wanted)


@given(st.floats(-3, 3), st.floats(0.01, 1))
def test_huber_is_a_parabola_that_becomes_a_line(error, delta):
    predicted = torch.full((1, 1, 1, 1, 1), error, dtype=torch.float64, requires_grad=True)
    value = Huber(delta=delta)(predicted, torch.zeros_like(predicted)).sum()
    inside = abs(error) <= delta
    assert float(value) == pytest.approx(error**2 / 2 if inside else delta * (abs(error) - delta / 2), abs=1e-12)
    slope = torch.autograd.grad(value, predicted)[0]
    assert float(slope) == pytest.approx(error if inside else delta * (1 if error > 0 else -1), abs=1e-12)


def test_ssim_is_that_of_scikit_image_inside_the_border():
    """In full, with the data range 1 of our frames: the library's default for floats would be 2."""
    predicted, target = frames()
    ours = SsimMix(alpha=1.0)(predicted, target)
    for clip, step in ((0, 0), (1, 2)):
        pair = (value[clip, step].detach().numpy() for value in (predicted, target))
        _, wanted = structural_similarity(*pair, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                          data_range=1.0, channel_axis=0, full=True)  # fmt: skip
        inside = (slice(None), slice(5, -5), slice(5, -5))
        torch.testing.assert_close(
            ours[clip, step][inside], torch.from_numpy((1 - wanted) / 2)[inside], atol=1e-6, rtol=0
        )


def test_ssim_mix_is_the_sum_of_its_parts_and_zero_for_equals():
    predicted, target = frames()
    wanted = 0.84 * SsimMix(alpha=1.0)(predicted, target) + 0.16 * AbsoluteError()(predicted, target)
    torch.testing.assert_close(SsimMix()(predicted, target), wanted)
    assert SsimMix()(target, target).abs().max() < 1e-12


def test_ssim_is_computed_in_full_precision_under_autocast():
    predicted, target = (value.detach().float() for value in frames())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = SsimMix()(predicted, target)
        assert SsimMix()(predicted.bfloat16(), target).dtype == torch.float32
    torch.testing.assert_close(mixed.double(), SsimMix()(*frames()), atol=1e-4, rtol=0)


def test_ssim_needs_a_window():
    with pytest.raises(ValueError, match="at least 6x6 pixels, got"):
        SsimMix()(torch.rand(1, 1, 3, 5, 9), torch.rand(1, 1, 3, 5, 9))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_gradients_are_those_of_finite_differences(error):
    predicted, target = frames(height=6, width=6)
    torch.autograd.gradcheck(
        lambda value: error(value, target[:1, :1]), predicted[:1, :1].detach().requires_grad_(), fast_mode=True
    )


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_reconstruction_is_of_every_frame_by_itself(error):
    predicted, target = frames()
    changed = predicted.detach().clone()
    changed[1, 2] += 0.3
    reconstruction = Reconstruction(error=error)
    before, after = (reconstruction(value, target, limbs(), reduction="mean") for value in (predicted, changed))
    differs = (before - after).abs() > 1e-9
    assert differs[1, 2]
    assert differs.sum() == 1
    sums = reconstruction(predicted, target, limbs(), reduction="sum")
    torch.testing.assert_close(sums, before * 3 * 20 * 24)
    torch.testing.assert_close(before, error(predicted, target).flatten(2).mean(2))


@given(st.floats(0, 20), st.integers(0, 4))
def test_weights_have_the_mean_one_in_every_frame(weight, radius):
    torch.testing.assert_close(
        weigh_pixels(limbs(), weight=weight, radius=radius).mean((2, 3, 4)), torch.ones(2, 3, dtype=torch.float64)
    )


def test_weights_are_higher_within_the_radius_of_what_is_drawn():
    weights = weigh_pixels(limbs(), weight=3.0, radius=2)
    columns = weights[0, 0, 0, 7] / weights[0, 0, 0, 7, 0]
    wanted = torch.ones(24, dtype=torch.float64)
    wanted[8:13] = 4
    torch.testing.assert_close(columns, wanted)
    corner = weights[1, 2, 0] / weights[1, 2, 0, -1, -1]
    assert (corner[:3, :3] == 4).all()
    assert (corner[3:, :8] == 1).all()


def test_a_frame_without_a_pose_is_weighed_evenly():
    assert (weigh_pixels(torch.zeros(1, 2, 3, 8, 8), weight=9.0, radius=2) == 1).all()


def test_pose_weights_are_those_of_the_frames_own_pose():
    predicted, target = frames()
    reconstruction = Reconstruction(pose_weight=4.0, pose_radius=6.4)
    got = reconstruction(predicted, target, limbs(), reduction="mean")
    weights = weigh_pixels(limbs(), weight=4.0, radius=2)  # 6.4 pixels per 64 rows, of 20
    torch.testing.assert_close(got, (weights * (predicted - target) ** 2).flatten(2).mean(2))
    slope = torch.autograd.grad(got.sum(), predicted)[0]
    torch.testing.assert_close(slope, weights * 2 * (predicted - target).detach() / (3 * 20 * 24))


def test_without_pose_weight_the_poses_do_not_matter():
    predicted, target = frames()
    even = Reconstruction()(predicted, target, limbs() * torch.nan, reduction="mean")
    assert torch.equal(even, Reconstruction()(predicted, target, limbs(), reduction="mean"))


def test_sigma_scales_every_error():
    predicted, target = frames()
    from test_objectives import gaussian

    from vidpred.types import Prediction

    value = Prediction(predicted, gaussian(0), gaussian(1))
    plain, scaled = (
        Elbo(sigma=sigma, reconstruction=Reconstruction(error=AbsoluteError())).distortion(value, target, limbs())
        for sigma in (None, 0.5)
    )
    torch.testing.assert_close(scaled, plain / 0.5)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Huber(delta=0.0), "delta"),
        (lambda: SsimMix(alpha=1.1), "alpha"),
        (lambda: Reconstruction(pose_weight=-1.0), "pose_weight"),
        (lambda: Reconstruction(pose_radius=-1.0), "pose_radius"),
    ],
)
def test_numbers_out_of_range_are_refused(make, name):
    with pytest.raises(ValueError, match=name):
        make()
