import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from vidpred.training.muon import SMALLEST, MuonAdamW, orthogonalize


def networks() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3), nn.LeakyReLU(), nn.Conv2d(32, 48, 3), nn.LeakyReLU(), nn.Conv2d(48, 2, 1))


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, *, first: int = 0) -> None:
    for step in range(first, first + steps):
        images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        functional.mse_loss(model(images), images[:, :2, 2:-2, 2:-2]).backward()
        optimizer.step()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [weight.detach() for weight in model.parameters()]


def test_matrices_are_made_orthogonal_in_float32():
    """Beside torch's own function, which computes in bfloat16, and the singular value decomposition."""
    draws = torch.Generator().manual_seed(0)
    scales = torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    stacks = [torch.randn(3, *shape, generator=draws) * scales for shape in ((24, 216), (216, 24), (32, 32), (32, 64))]
    for matrices, found in zip(stacks, orthogonalize(stacks), strict=True):
        shape = matrices.shape[1:]
        values = torch.linalg.svdvals(found)
        assert values.max() < 1.3
        assert values[:, : min(shape) // 2].min() > 0.6
        left, _, right = torch.linalg.svd(matrices, full_matrices=False)
        for one, matrix, ideal in zip(found, matrices, left @ right, strict=True):
            weight = nn.Parameter(torch.zeros(shape))
            weight.grad = matrix
            torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw").step()
            theirs = weight.detach() / (-0.2 * max(shape) ** 0.5)
            assert (one - theirs).norm() < 0.05 * one.norm()
            if shape[0] != shape[1]:
                assert functional.cosine_similarity(one.flatten(), ideal.flatten(), dim=0) > 0.97
    assert torch.isfinite(orthogonalize([torch.zeros(1, 24, 24)])[0]).all()


def test_rounded_products_do_not_run_away():
    """In float32 as TF32 or bfloat16 make it, X Xᵀ of a matrix of low rank has eigenvalues below 0."""
    draws = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, 48, 2, generator=draws) @ torch.randn(3, 2, 432, generator=draws)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = orthogonalize([matrices])
    assert torch.linalg.svdvals(found.float()).max() < 1.3


def test_it_is_muon_for_matrices_and_adamw_for_the_rest():
    """Beside torch's own two optimizers, on matrices that are copied by hand."""
    ours, theirs = networks(), networks()
    learn(ours, MuonAdamW(ours.parameters(), lr=0.01, weight_decay=9.0), 5)
    convs = [
        layer.weight
        for layer in theirs
        if isinstance(layer, nn.Conv2d) and min(layer.weight.flatten(1).shape) >= SMALLEST
    ]
    assert len(convs) == 2  # the last has two rows
    chosen = {id(conv) for conv in convs}
    matrices = [nn.Parameter(conv.detach().flatten(1).clone()) for conv in convs]
    muon = torch.optim.Muon(matrices, lr=0.01, weight_decay=9.0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [weight for weight in theirs.parameters() if id(weight) not in chosen],
        lr=0.01,
        betas=(0.9, 0.99),
        weight_decay=9.0,
    )
    start = [weight.clone() for weight in weights(theirs)]
    for step in range(5):
        images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        theirs.zero_grad()
        functional.mse_loss(theirs(images), images[:, :2, 2:-2, 2:-2]).backward()
        for matrix, conv in zip(matrices, convs, strict=True):
            matrix.grad = conv.grad.flatten(1)
        muon.step()
        adam.step()
        for matrix, conv in zip(matrices, convs, strict=True):
            conv.data.copy_(matrix.data.view_as(conv))
    for one, other, before in zip(weights(ours), weights(theirs), start, strict=True):
        assert (one - other).norm() < 0.1 * (other - before).norm()  # torch's Muon computes in bfloat16


def test_an_update_is_orthogonal_whatever_the_memory_format():
    gradient = torch.randn(32, 48, 3, 3, generator=torch.Generator().manual_seed(0))
    updates = []
    plain, last = torch.contiguous_format, torch.channels_last
    for layout, layout_of_gradient in ((plain, plain), (last, last), (last, plain), (plain, last)):
        weight = nn.Parameter(torch.zeros(32, 48, 3, 3).to(memory_format=layout))
        weight.grad = gradient.to(memory_format=layout_of_gradient)
        MuonAdamW([weight], lr=0.01, weight_decay=0.0).step()
        updates.append(weight.detach().flatten(1) / (0.01 * 0.2 * (48 * 9) ** 0.5))
    values = torch.linalg.svdvals(updates[0])
    assert values.min() > 0.6  # what five Newton-Schulz iterations reach
    assert values.max() < 1.3
    for update in updates[1:]:
        assert torch.allclose(update, updates[0], atol=1e-5)


def test_momentum_looks_ahead():
    weight = nn.Parameter(torch.zeros(32, 40))
    optimizer = MuonAdamW([weight], lr=0.01, momentum=0.9, weight_decay=0.0)
    first, second = torch.randn(2, 32, 40, generator=torch.Generator().manual_seed(0))
    for gradient in (first, second):
        before = weight.detach().clone()
        weight.grad = gradient
        optimizer.step()
    moving = 0.9 * 0.1 * first + 0.1 * second
    update = orthogonalize([(0.1 * second + 0.9 * moving)[None]])[0][0]
    torch.testing.assert_close(before - weight.detach(), 0.01 * 0.2 * 40**0.5 * update)


def test_it_goes_on_from_its_state_to_the_bit():
    straight, stopped = networks(), networks()
    learn(straight, MuonAdamW(straight.parameters()), 6)
    first = MuonAdamW(stopped.parameters())
    learn(stopped, first, 3)
    state = copy.deepcopy(first.state_dict())
    second = MuonAdamW(stopped.parameters(), lr=1.0)
    second.load_state_dict(state)
    learn(stopped, second, 3, first=3)
    assert second.param_groups[0]["lr"] == 3e-3
    assert all(torch.equal(*pair) for pair in zip(weights(straight), weights(stopped), strict=True))


def test_schedules_reach_both_parts():
    model = networks()
    optimizer = MuonAdamW(model.parameters(), weight_decay=0.0)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    before = [weight.clone() for weight in weights(model)]
    learn(model, optimizer, 2)
    assert all(torch.equal(*pair) for pair in zip(before, weights(model), strict=True))


def test_weights_without_gradient_stay():
    model = networks()
    model[2].requires_grad_(requires_grad=False)
    before = model[2].weight.clone()
    learn(model, MuonAdamW(model.parameters()), 2)
    assert torch.equal(before, model[2].weight)


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"momentum": -0.5}, {"momentum": 1.0}, {"betas": (1.0, 0.9)}])
def test_what_its_parts_refuse_it_refuses(options):
    with pytest.raises(ValueError, match=r"rate|momentum|beta"):
        MuonAdamW(networks().parameters(), **options)


@pytest.mark.parametrize("shape", [(32, 32), (2,)])
def test_one_kind_of_weights_alone(shape):
    weight = nn.Parameter(torch.ones(shape))
    optimizer = MuonAdamW([weight])
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).any()
