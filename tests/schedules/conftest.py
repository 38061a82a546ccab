"""Independent oracles: torch's learning-rate schedulers."""

from collections.abc import Callable

import pytest
import torch


@pytest.fixture(scope="session")
def torch_factors() -> Callable[..., list[float]]:
    """What a scheduler of torch makes of a learning rate of 1, step by step."""

    def run(make_scheduler: Callable, count: int) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = make_scheduler(optimizer)
        factors = []
        for _ in range(count):
            factors.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return factors

    return run
