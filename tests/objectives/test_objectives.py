import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from vidpred.objectives import Elbo, Objective, SigmaVae, kl_divergence, mean_squared_error
from vidpred.types import FrameShape, Gaussian, Prediction

SHAPE = (2, 3, 4, 2, 5)


def gaussian(seed: int, *, grad: bool = False) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, logvar = (torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))
    return Gaussian(mean.requires_grad_(grad), logvar.requires_grad_(grad))


def normal(value: Gaussian) -> Normal:
    return Normal(value.mean, (value.logvar / 2).exp())


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_kl_is_that_of_torch_distributions(first, second):
    posterior, prior = gaussian(first), gaussian(second)
    torch.testing.assert_close(kl_divergence(posterior, prior), torch_kl(normal(posterior), normal(prior)))


def test_kl_of_the_standard_prior_is_the_closed_form():
    mean, logvar = gaussian(0)
    zero = torch.zeros_like(mean)
    expected = -0.5 * (1 + logvar - mean**2 - logvar.exp())
    torch.testing.assert_close(kl_divergence(Gaussian(mean, logvar), Gaussian(zero, zero)), expected)


def test_kl_gradients_are_those_of_torch_distributions():
    posterior, prior = gaussian(1, grad=True), gaussian(2, grad=True)
    wanted = torch.autograd.grad(torch_kl(normal(posterior), normal(prior)).sum(), [*posterior, *prior])
    got = torch.autograd.grad(kl_divergence(posterior, prior).sum(), [*posterior, *prior])
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@given(st.integers(0, 1000))
def test_kl_is_never_negative_and_zero_for_equals(seed):
    assert (kl_divergence(gaussian(seed), gaussian(seed + 1)) >= 0).all()
    assert kl_divergence(gaussian(seed), gaussian(seed)).abs().max() < 1e-12


def prediction() -> tuple[Prediction, torch.Tensor]:
    torch.manual_seed(0)
    posterior, prior = gaussian(3), gaussian(4)
    return Prediction(torch.rand(2, 3, 3, 4, 6).double(), posterior, prior), torch.rand(2, 3, 3, 4, 6).double()


def test_reference_convention_is_pixel_mean_and_element_sum_over_the_clip():
    predicted, target = prediction()
    terms = Elbo()(predicted, target)
    expected = ((predicted.frames - target) ** 2).flatten(2).mean(2).sum(1)
    torch.testing.assert_close(terms["reconstruction"], expected)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    torch.testing.assert_close(terms["kl"], kl)


def test_with_sigma_the_loss_is_the_negative_elbo_per_dimension():
    predicted, target = prediction()
    sigma, dimensions = 0.2, target[0, 0].numel()
    terms = Elbo(sigma=sigma)(predicted, target)
    likelihood = Normal(predicted.frames, sigma).log_prob(target).flatten(1).sum(1)
    constant = Normal(target, sigma).log_prob(target).flatten(1).sum(1)
    torch.testing.assert_close(terms["reconstruction"], -(likelihood - constant) / dimensions)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    torch.testing.assert_close(terms["kl"], kl / dimensions)


@pytest.mark.parametrize("sigma", [None, 0.1])
def test_equivalent_beta_makes_the_papers_loss_proportional(sigma):
    predicted, target = prediction()
    objective, beta = Elbo(sigma=sigma), 0.7
    terms, weights = objective(predicted, target), objective.weights(beta)
    ours = weights["reconstruction"] * terms["reconstruction"] + weights["kl"] * terms["kl"]
    pixels = 0.5 * ((predicted.frames - target) ** 2).flatten(1).sum(1)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    papers = pixels + objective.equivalent_beta(beta, FrameShape(3, 3, 4, 6), terms, 3) * kl
    torch.testing.assert_close(ours / ours[0], papers / papers[0])


def test_names_of_terms_are_names_of_weights():
    predicted, target = prediction()
    assert Elbo()(predicted, target).keys() == Elbo().weights(1.0).keys()


def test_terms_are_per_clip():
    predicted, target = prediction()
    changed = target.clone()
    changed[1] += 1
    before, after = Elbo()(predicted, target), Elbo()(predicted, changed)
    assert before["reconstruction"][0] == after["reconstruction"][0]
    assert before["reconstruction"][1] != after["reconstruction"][1]


def test_squared_error_is_per_frame():
    predicted, target = prediction()
    expected = torch.nn.functional.mse_loss(predicted.frames[1, 2], target[1, 2])
    torch.testing.assert_close(mean_squared_error(predicted.frames, target)[1, 2], expected)


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma"):
        Elbo(sigma=0.0)


def test_optimal_sigma_is_the_likelihoods_maximum():
    predicted, target = prediction()
    terms = SigmaVae(floor=1e-9)(predicted, target)
    error = ((predicted.frames - target) ** 2).flatten(2).mean(2)
    best = Normal(predicted.frames, error.sqrt()[:, :, None, None, None]).log_prob(target).flatten(2).mean(2)
    constant = 0.5 * (torch.log(torch.tensor(2 * torch.pi)) + 1)
    torch.testing.assert_close(terms["reconstruction"], -(best + constant).sum(1))
    for sigma in (0.9, 1.1):  # any other sigma is worse
        other = Normal(predicted.frames, sigma * error.sqrt()[:, :, None, None, None]).log_prob(target)
        assert (other.flatten(2).mean(2) < best).all()


def test_optimal_sigma_has_the_gradient_of_that_sigma():
    predicted, target = prediction()
    frames = predicted.frames.requires_grad_()
    ours = torch.autograd.grad(SigmaVae(floor=1e-9)(predicted, target)["reconstruction"].sum(), frames)[0]
    sigma = ((frames - target) ** 2).flatten(2).mean(2).sqrt().detach()[:, :, None, None, None]
    nll = -Normal(frames, sigma).log_prob(target).sum() / target[0, 0].numel()
    torch.testing.assert_close(ours, torch.autograd.grad(nll, frames)[0])


def test_optimal_sigma_gives_the_equivalent_beta():
    predicted, target = prediction()
    terms = SigmaVae(floor=1e-9)(predicted, target)
    error = ((predicted.frames - target) ** 2).flatten(2).mean(2)
    expected = 0.5 * error.log().mean().exp()
    torch.testing.assert_close(SigmaVae().equivalent_beta(0.5, FrameShape(3, 3, 4, 6), terms, 3), expected)


@pytest.mark.parametrize("objective", [Elbo(), Elbo(sigma=0.1), SigmaVae()])
def test_objectives_keep_the_contract(objective):
    predicted, target = prediction()
    assert isinstance(objective, Objective)
    assert objective(predicted, target).keys() == objective.weights(0.5).keys()
    assert objective.weights(0.5)["kl"] == 0.5


def test_floor_must_be_positive():
    with pytest.raises(ValueError, match="floor"):
        SigmaVae(floor=0.0)
