import pytest
import torch
from test_objectives import POSES, gaussian, normal, prediction
from torch.distributions import kl_divergence as torch_kl

from vidpred.objectives import Capacity, Elbo, FreeBits, FreeNats, KlBalance, SigmaVae
from vidpred.types import Gaussian


def nats(predicted) -> torch.Tensor:
    """KL of every element, (B, S, Z, h, w), by torch."""
    return torch_kl(normal(predicted.posterior), normal(predicted.prior))


def slopes(term, predicted) -> torch.Tensor:
    """Gradient of the mean over clips in the posterior's mean."""
    return torch.autograd.grad(term.mean(), predicted.posterior.mean, retain_graph=True)[0]


def quiet_channel(predicted, channel: int, scale: float):
    """The same prediction, with posterior close to the prior in one channel."""
    mean, logvar = (value.clone() for value in predicted.posterior)
    mean[:, :, channel] = predicted.prior.mean[:, :, channel] + scale
    logvar[:, :, channel] = predicted.prior.logvar[:, :, channel]
    posterior = Gaussian(mean.detach().requires_grad_(), logvar.detach().requires_grad_())
    return predicted._replace(posterior=posterior)


@pytest.mark.parametrize("base", [Elbo(), SigmaVae()])
def test_free_bits_floors_the_channels_kl_averaged_over_batch_and_steps(base):
    predicted, target = prediction()
    predicted = quiet_channel(predicted, 1, 0.05)
    channels = nats(predicted).sum((3, 4)).mean((0, 1))
    floor = float(channels.detach().sort().values[1]) + 1e-3  # two channels of four are below
    got = FreeBits(base=base, nats=floor)(predicted, target, POSES)["kl_free"]
    wanted = 3 * channels.clamp(min=floor).sum() / base.nats_per_unit(predicted)
    torch.testing.assert_close(got.mean(), wanted)


def test_free_bits_has_the_kls_gradient_above_the_floor_and_none_below():
    predicted, target = prediction()
    predicted = quiet_channel(predicted, 2, 0.05)
    got = slopes(FreeBits(base=Elbo(), nats=1.0)(predicted, target, POSES)["kl_free"], predicted)
    wanted = slopes(nats(predicted).flatten(1).sum(1), predicted)
    wanted[:, :, 2] = 0
    torch.testing.assert_close(got, wanted)


def test_a_channel_is_free_by_its_average_not_in_every_frame():
    """Silent in all frames but one, where it spends more than the others save: that frame is not free."""
    predicted, target = prediction()
    predicted = quiet_channel(predicted, 0, 0.0)
    with torch.no_grad():
        predicted.posterior.mean[1, 2, 0] += 3
    objective = FreeBits(base=Elbo(), nats=1.0)
    assert nats(predicted).sum((3, 4))[:, :, 0].mean() > 1
    assert slopes(objective(predicted, target, POSES)["kl_free"], predicted)[1, 2, 0].abs().min() > 0


def test_no_floor_is_the_bound():
    predicted, target = prediction()
    for objective in (FreeBits(base=Elbo(), nats=0.0), FreeNats(base=Elbo(), nats=0.0)):
        terms = objective(predicted, target, POSES)
        torch.testing.assert_close(terms["kl_free"], terms["kl"])
        assert objective.weights(0.3) == {"reconstruction": 1.0, "kl": 0.0, "kl_free": 0.3}


def test_free_nats_floors_every_clip_by_itself():
    predicted, target = prediction(grad=True)
    clips = nats(predicted).flatten(1).sum(1)
    floor = float(clips.detach().mean())
    got = FreeNats(base=Elbo(kl_reduction="mean"), nats=floor)(predicted, target, POSES)["kl_free"]
    torch.testing.assert_close(got, clips.clamp(min=floor) / (4 * 2 * 5))
    slope, lower = slopes(got, predicted), int(clips.argmin())
    assert (slope[lower] == 0).all()
    torch.testing.assert_close(slope[1 - lower], slopes(clips, predicted)[1 - lower] / (4 * 2 * 5))


@pytest.mark.parametrize(("progress", "wanted"), [(0.0, 0.0), (0.25, 5.0), (0.5, 10.0), (0.75, 10.0), (1.0, 10.0)])
def test_capacity_rises_linearly_and_stays(progress, wanted):
    assert Capacity(base=Elbo(), capacity=10.0, ramp=0.5).at(progress) == wanted
    assert Capacity(base=Elbo(), capacity=10.0).at(progress) == 10 * progress


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_capacity_is_the_distance_of_a_frames_mean_kl(progress):
    predicted, target = prediction(grad=True)
    frames = nats(predicted).flatten(2).sum(2)
    objective = Capacity(base=Elbo(kl_reduction="mean"), capacity=2 * float(frames.mean()), gamma=7.0)
    terms = objective(predicted, target, POSES, progress=progress)
    distance = frames.mean(1) - progress * objective.capacity
    torch.testing.assert_close(terms["capacity"], 3 * distance.abs() / (4 * 2 * 5))
    torch.testing.assert_close(terms["kl_per_frame"], frames.mean(1))
    slope = slopes(terms["capacity"], predicted)
    signs = distance.sign()[:, None, None, None, None]
    torch.testing.assert_close(slope, signs * slopes(frames.sum(1), predicted) / (4 * 2 * 5))
    assert objective.weights(1.0) == {"reconstruction": 1.0, "kl": 0.0, "kl_per_frame": 0.0, "capacity": 7.0}
    assert objective.weights(0.5)["capacity"] == 3.5


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8, 1.0])
def test_balance_splits_the_gradient_between_prior_and_posterior(alpha):
    predicted, target = prediction(grad=True)
    got = KlBalance(base=Elbo(), alpha=alpha)(predicted, target, POSES)["kl"]
    wanted = nats(predicted).flatten(1).sum(1)
    torch.testing.assert_close(got, wanted)
    sides = [*predicted.prior, *predicted.posterior]
    ours, whole = (torch.autograd.grad(value.sum(), sides) for value in (got, wanted))
    for part, slope, full in zip([alpha, alpha, 1 - alpha, 1 - alpha], ours, whole, strict=True):
        torch.testing.assert_close(slope, part * full)


def test_balance_refuses_a_prior_that_does_not_learn():
    predicted, target = prediction(grad=True)
    fixed = predicted._replace(prior=gaussian(4))
    with pytest.raises(ValueError, match="set prior=learned"):
        KlBalance(base=Elbo())(fixed, target, POSES)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: FreeBits(base=Elbo(), nats=-1.0), "nats"),
        (lambda: FreeNats(base=Elbo(), nats=-1.0), "nats"),
        (lambda: Capacity(base=Elbo(), gamma=-1.0), "gamma"),
        (lambda: Capacity(base=Elbo(), ramp=0.0), "ramp"),
        (lambda: KlBalance(base=Elbo(), alpha=1.5), "alpha"),
    ],
)
def test_numbers_out_of_range_are_refused(make, name):
    with pytest.raises(ValueError, match=name):
        make()
