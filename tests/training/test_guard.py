import warnings

import pytest
import torch
from samples import TINY
from test_training import module_for, plain_trainer

from vidpred.training.guard import NonFiniteError, StepGuard

CLIPS = torch.tensor([0])
OPTIMIZERS = {
    "fused AdamW": lambda weights: torch.optim.AdamW(weights, lr=0.1, fused=True),
    "AdamW": lambda weights: torch.optim.AdamW(weights, lr=0.1, fused=False),
    "SGD with momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights, lr=0.1),
}


def one_step(guard, optimizer, weight, loss):
    optimizer.zero_grad()
    guard.poison(loss).backward()
    guard.judge(torch.nn.utils.get_total_norm([weight.grad]), optimizer)
    optimizer.step()
    guard.settle(optimizer)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_bad_step_changes_neither_weights_nor_later_steps(make, bad):
    """Good, bad, good gives what good, good gives: the optimizer's state is as if the bad step had not been."""
    results = []
    for factors in ([1.0, 2.0], [1.0, bad, 2.0], [bad, 1.0, 2.0]):
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer, guard = make([weight]), StepGuard()
        for factor in factors:
            before = weight.detach().clone()
            one_step(guard, optimizer, weight, (weight**2).sum() * factor)
            assert torch.equal(weight.detach(), before) == (factor not in (1.0, 2.0))
        results.append(weight.detach().clone())
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_an_infinite_loss_with_finite_gradients_is_bad_as_well():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, guard = torch.optim.SGD([weight], lr=0.1), StepGuard()
    one_step(guard, optimizer, weight, weight.sum() + torch.tensor(float("inf")))
    assert float(weight.detach()) == 1.0
    assert int(guard.skipped) == 1


def test_counts_rows_of_bad_steps():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, guard = torch.optim.SGD([weight], lr=0.0), StepGuard(patience=3, check_every=1)
    for number, factor in enumerate([1.0, torch.nan, torch.nan, 1.0, torch.nan, torch.nan], start=1):
        one_step(guard, optimizer, weight, weight.sum() * factor)
        guard.check(number, clips=CLIPS)
    assert (int(guard.skipped), int(guard.streak), int(guard.longest)) == (4, 2, 2)
    one_step(guard, optimizer, weight, weight.sum() * torch.nan)
    with pytest.warns(UserWarning, match="did not change"), pytest.raises(NonFiniteError, match="3 steps in a row"):
        guard.check(7, clips=CLIPS)


def test_the_count_is_read_every_so_many_steps_only():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, guard = torch.optim.SGD([weight], lr=0.0), StepGuard(patience=1, check_every=10)
    one_step(guard, optimizer, weight, weight.sum() * torch.nan)
    guard.check(9, clips=CLIPS)
    with pytest.warns(UserWarning, match="did not change"), pytest.raises(NonFiniteError):
        guard.check(10, clips=CLIPS)


def test_bad_steps_are_told_with_their_clips():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, guard = torch.optim.SGD([weight], lr=0.0), StepGuard(patience=9, check_every=4)
    told = []
    for step, (factor, clips) in enumerate([(1.0, [0, 1]), (torch.nan, [7, 3]), (1.0, [4, 5]), (torch.nan, [3, 8])], 1):
        one_step(guard, optimizer, weight, weight.sum() * factor)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            guard.check(step, clips=torch.tensor(clips))
        told += [str(one.message) for one in caught]
    (sentence,) = told
    assert sentence.startswith("2 of the last 4 steps")
    assert sentence.endswith("training sequences 3, 7, 8")


def test_a_step_of_several_batches_is_told_with_the_clips_of_all_of_them():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, guard = torch.optim.SGD([weight], lr=0.0), StepGuard(patience=9, check_every=2)
    for step, factor in ((1, 1.0), (2, torch.nan)):
        guard.check(step - 1, clips=torch.tensor([10 * step]))
        one_step(guard, optimizer, weight, weight.sum() * factor)
        if step == 1:
            guard.check(step, clips=torch.tensor([10 * step + 1]))
    with pytest.warns(UserWarning, match=r"1 of the last 2 steps .* training sequences 20, 21$"):
        guard.check(2, clips=torch.tensor([21]))


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match="patience"):
        StepGuard(patience=0)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_in_training_a_bad_batch_is_skipped_and_a_bad_run_stopped(make, data, tmp_path):
    torch.manual_seed(0)
    module = module_for(TINY["cvae"](), optimizer=make, guard=StepGuard(patience=2, check_every=1))
    finite = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    poisoned = module.objective

    def broken(*values, **options):
        return {name: term * torch.nan for name, term in poisoned(*values, **options).items()}

    module.objective = type("Broken", (), {
        "__call__": staticmethod(broken), "weights": poisoned.weights, "equivalent_beta": poisoned.equivalent_beta,
    })()  # fmt: skip
    with pytest.raises(NonFiniteError):
        plain_trainer(tmp_path, gradient_clip_val=1.0).fit(module, datamodule=data)
    for name, weight in module.named_parameters():
        assert torch.equal(weight.detach(), finite[name]), name


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped(algorithm, data, tmp_path):
    torch.manual_seed(0)
    module = module_for(TINY["cvae"](), optimizer=lambda weights: torch.optim.SGD(weights, lr=1.0))
    before = torch.cat([weight.detach().flatten().clone() for weight in module.parameters()])
    trainer = plain_trainer(
        tmp_path, max_epochs=1, limit_train_batches=1, gradient_clip_val=1e-3, gradient_clip_algorithm=algorithm
    )
    trainer.fit(module, datamodule=data)
    step = torch.cat([weight.detach().flatten() for weight in module.parameters()]) - before
    size = step.norm() if algorithm == "norm" else step.abs().max()
    assert float(size) == pytest.approx(1e-3, rel=1e-2)
