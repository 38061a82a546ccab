import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from vidpred.objectives import (
    AbsoluteError,
    Capacity,
    Controller,
    ControlVae,
    Elbo,
    FreeBits,
    FreeNats,
    Geco,
    Huber,
    KlBalance,
    Objective,
    Reconstruction,
    SigmaVae,
    kl_divergence,
    mean_squared_error,
)
from vidpred.types import Gaussian, Prediction

SHAPE = (2, 3, 4, 2, 5)
POSES = torch.zeros(2, 3, 1, 4, 6, dtype=torch.float64)


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


def prediction(*, grad: bool = False) -> tuple[Prediction, torch.Tensor]:
    torch.manual_seed(0)
    posterior, prior = gaussian(3, grad=grad), gaussian(4, grad=grad)
    frames, target = (torch.rand(2, 3, 3, 4, 6).double() for _ in range(2))
    return Prediction(frames.requires_grad_(grad), posterior, prior), target


def test_reference_convention_is_pixel_mean_and_element_sum_over_the_clip():
    predicted, target = prediction()
    terms = Elbo()(predicted, target, POSES)
    expected = ((predicted.frames - target) ** 2).flatten(2).mean(2).sum(1)
    torch.testing.assert_close(terms["reconstruction"], expected)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    torch.testing.assert_close(terms["kl"], kl)


def test_with_sigma_the_loss_is_the_negative_elbo_per_dimension():
    predicted, target = prediction()
    sigma, dimensions = 0.2, target[0, 0].numel()
    terms = Elbo(sigma=sigma, kl_reduction="per_dimension")(predicted, target, POSES)
    likelihood = Normal(predicted.frames, sigma).log_prob(target).flatten(1).sum(1)
    constant = Normal(target, sigma).log_prob(target).flatten(1).sum(1)
    torch.testing.assert_close(terms["reconstruction"], -(likelihood - constant) / dimensions)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    torch.testing.assert_close(terms["kl"], kl / dimensions)


def papers_loss(predicted, target, beta) -> torch.Tensor:
    """½ Σ squared error over pixels + beta · Σ KL, per clip."""
    pixels = 0.5 * ((predicted.frames - target) ** 2).flatten(1).sum(1)
    kl = torch_kl(normal(predicted.posterior), normal(predicted.prior)).flatten(1).sum(1)
    return pixels + beta * kl


def loss_of(objective, predicted, target, beta) -> torch.Tensor:
    terms, weights = objective(predicted, target, POSES, progress=0.5), objective.weights(beta)
    return sum(weights[name] * term for name, term in terms.items())


@pytest.mark.parametrize("sigma", [None, 0.1])
@pytest.mark.parametrize("pixels", ["sum", "mean"])
@pytest.mark.parametrize("kl", ["sum", "mean", "per_dimension"])
def test_equivalent_beta_makes_the_papers_loss_proportional(sigma, pixels, kl):
    predicted, target = prediction()
    objective = Elbo(sigma=sigma, reconstruction_reduction=pixels, kl_reduction=kl)
    equivalent = objective.equivalent_beta(0.7, predicted, target, objective(predicted, target, POSES))
    ours, papers = loss_of(objective, predicted, target, 0.7), papers_loss(predicted, target, equivalent)
    torch.testing.assert_close(ours / ours[0], papers / papers[0])


@pytest.mark.parametrize("error", [AbsoluteError(), Huber(delta=0.1)])
def test_equivalent_beta_of_other_errors_gives_kl_its_share_of_the_batchs_loss(error):
    predicted, target = prediction()
    objective = Elbo(reconstruction=Reconstruction(error=error), kl_reduction="mean")
    terms = objective(predicted, target, POSES)
    equivalent = objective.equivalent_beta(0.7, predicted, target, terms)
    share = 0.7 * terms["kl"].sum() / loss_of(objective, predicted, target, 0.7).sum()
    papers = papers_loss(predicted, target, equivalent)
    torch.testing.assert_close(share, 1 - papers_loss(predicted, target, 0.0).sum() / papers.sum())


def test_reductions_are_what_they_are_called():
    predicted, target = prediction()
    sums = Elbo(reconstruction_reduction="sum", kl_reduction="sum")(predicted, target, POSES)
    means = Elbo(reconstruction_reduction="mean", kl_reduction="mean")(predicted, target, POSES)
    dimensions = Elbo(kl_reduction="per_dimension")(predicted, target, POSES)
    torch.testing.assert_close(sums["reconstruction"], 3 * 4 * 6 * means["reconstruction"])
    torch.testing.assert_close(sums["kl"], 4 * 2 * 5 * means["kl"])
    torch.testing.assert_close(sums["kl"], 3 * 4 * 6 * dimensions["kl"])
    whole = SigmaVae(reconstruction_reduction="sum", kl_reduction="sum")(predicted, target, POSES)
    torch.testing.assert_close(
        whole["reconstruction"], 3 * 4 * 6 * SigmaVae()(predicted, target, POSES)["reconstruction"]
    )
    torch.testing.assert_close(whole["kl"], sums["kl"])


@pytest.mark.parametrize("options", [{"reconstruction_reduction": "max"}, {"kl_reduction": "none"}])
@pytest.mark.parametrize("objective", [Elbo, SigmaVae])
def test_other_reductions_are_refused(objective, options):
    from jaxtyping import TypeCheckError

    with pytest.raises((ValueError, TypeCheckError), match=next(iter(options))):
        objective(**options)


def test_terms_are_per_clip():
    predicted, target = prediction()
    changed = target.clone()
    changed[1] += 1
    before, after = Elbo()(predicted, target, POSES), Elbo()(predicted, changed, POSES)
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
    terms = SigmaVae(floor=1e-9)(predicted, target, POSES)
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
    ours = torch.autograd.grad(SigmaVae(floor=1e-9)(predicted, target, POSES)["reconstruction"].sum(), frames)[0]
    sigma = ((frames - target) ** 2).flatten(2).mean(2).sqrt().detach()[:, :, None, None, None]
    nll = -Normal(frames, sigma).log_prob(target).sum() / target[0, 0].numel()
    torch.testing.assert_close(ours, torch.autograd.grad(nll, frames)[0])


@pytest.mark.parametrize("pixels", ["sum", "mean"])
@pytest.mark.parametrize(("kl", "unit"), [("sum", 1), ("mean", 4 * 2 * 5), ("per_dimension", 3 * 4 * 6)])
def test_optimal_sigma_gives_the_equivalent_beta(pixels, kl, unit):
    """By the gradient: of ½ log MSE it is that of ½ Σ squared error, divided by C·H·W · MSE."""
    predicted, target = prediction()
    objective = SigmaVae(floor=1e-9, reconstruction_reduction=pixels, kl_reduction=kl)
    got = objective.equivalent_beta(0.5, predicted, target, objective(predicted, target, POSES))
    variance = ((predicted.frames - target) ** 2).flatten(2).mean(2).log().mean().exp()
    torch.testing.assert_close(got, 0.5 / unit * variance * (1 if pixels == "sum" else 3 * 4 * 6))


def test_optimal_sigma_is_that_of_a_gaussian_only():
    with pytest.raises(ValueError, match="needs reconstruction=mse, got Huber"):
        SigmaVae(reconstruction=Reconstruction(error=Huber()))


EVERY = [
    Elbo(),
    Elbo(sigma=0.1, kl_reduction="per_dimension"),
    SigmaVae(),
    FreeBits(base=Elbo()),
    FreeNats(base=SigmaVae()),
    Capacity(base=Elbo()),
    KlBalance(base=Elbo()),
    ControlVae(base=Elbo(), kl_target=5.0),
    Geco(base=Elbo(), tolerance=0.01),
]


@pytest.mark.parametrize("objective", EVERY, ids=lambda objective: type(objective).__name__)
def test_objectives_keep_the_contract(objective):
    """Terms per clip, by the names of the weights, the true KL among them; an equivalent beta that grows with beta."""
    predicted, target = prediction()
    assert isinstance(objective, Objective)
    assert isinstance(objective, Controller) == (type(objective) in (ControlVae, Geco))
    terms = objective(predicted, target, POSES, progress=0.5)
    assert terms.keys() == objective.weights(0.5).keys()
    assert all(term.shape == (2,) for term in terms.values())
    bound = objective if isinstance(objective, (Elbo, SigmaVae)) else objective.base
    torch.testing.assert_close(terms["kl"], bound(predicted, target, POSES)["kl"])
    torch.testing.assert_close(terms["reconstruction"], bound(predicted, target, POSES)["reconstruction"])
    one, two = (objective.equivalent_beta(beta, predicted, target, terms) for beta in (1.0, 2.0))
    assert float(two) == pytest.approx(2 * float(one))
    assert float(one) > 0


@pytest.mark.parametrize("objective", EVERY, ids=lambda objective: type(objective).__name__)
def test_terms_of_weight_zero_have_no_gradient(objective):
    predicted, target = prediction(grad=True)
    terms = objective(predicted, target, POSES, progress=0.5)
    for name, weight in objective.weights(0.5).items():
        assert terms[name].requires_grad == (weight != 0), name


def test_floor_must_be_positive():
    with pytest.raises(ValueError, match="floor"):
        SigmaVae(floor=0.0)
