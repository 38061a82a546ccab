import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from vidpred.training.muon import SMALLEST, MuonAdamW


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


def test_it_is_muon_for_matrices_and_adamw_for_the_rest():
    """Beside torch's own two optimizers, on matrices that are copied by hand."""
    ours, theirs = networks(), networks()
    learn(ours, MuonAdamW(ours.parameters(), lr=0.01, weight_decay=0.1), 5)
    convs = [
        layer.weight
        for layer in theirs
        if isinstance(layer, nn.Conv2d) and min(layer.weight.flatten(1).shape) >= SMALLEST
    ]
    assert len(convs) == 2  # the last has two rows
    chosen = {id(conv) for conv in convs}
    matrices = [nn.Parameter(conv.detach().flatten(1).clone()) for conv in convs]
    muon = torch.optim.Muon(matrices, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [weight for weight in theirs.parameters() if id(weight) not in chosen],
        lr=0.01,
        betas=(0.9, 0.99),
        weight_decay=0.1,
    )
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
    for one, other in zip(weights(ours), weights(theirs), strict=True):
        assert torch.equal(one, other)


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
        assert torch.allclose(update, updates[0], atol=0.02)  # they are computed in bfloat16


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


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"momentum": -0.5}, {"betas": (1.0, 0.9)}])
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
