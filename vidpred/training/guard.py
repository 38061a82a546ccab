"""The non-finite guard: a step whose loss or gradient is not finite does not change the weights.

No value leaves the device in the hot loop. A loss that is not finite makes its gradients NaN; the all-reduce of DDP
carries them to all ranks, so that all skip the same step. The count is read every few steps.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class NonFiniteError(RuntimeError):
    """Too many steps in a row were not finite."""


class StepGuard(nn.Module):
    """Judges every step, undoes the bad ones and counts them.

    Args:
        patience: bad steps in a row that stop the run.
        check_every: steps between two looks at the count.

    Raises:
        ValueError: if a number is below 1.
    """

    skipped: Tensor  # bad steps so far
    streak: Tensor  # bad steps in a row up to now
    longest: Tensor  # longest such row

    def __init__(self, *, patience: int = 20, check_every: int = 50) -> None:
        super().__init__()
        if min(patience, check_every) < 1:
            raise ValueError(f"guard.patience and guard.check_every must be >= 1, got {patience}, {check_every}")
        self.patience, self.check_every = patience, check_every
        for name in ("skipped", "streak", "longest"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64), persistent=False)
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._bad: Tensor | None = None
        self._clips: list[Tensor] = []  # of the batches that the next step is made of
        self._steps: list[tuple[Tensor, Tensor]] = []  # since the last look: whether it was bad, and its clips

    def poison(self, loss: Tensor) -> Tensor:
        """The loss; if it is not finite, every gradient of it is NaN."""
        return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)

    def judge(self, norm: Tensor, optimizer: Optimizer) -> None:
        """Decide by the norm of all gradients, before the optimizer's update.

        Fused optimizers skip their update on the device themselves; for others weights and state are kept, to be put
        back by ``settle``.
        """
        self._bad = bad = ~norm.isfinite()
        self.skipped += bad
        self.streak.copy_(torch.where(bad, self.streak + 1, 0))
        torch.maximum(self.longest, self.streak, out=self.longest)
        if optimizer.defaults.get("fused"):
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        else:
            self._kept = [(value, value.detach().clone()) for value in _values(optimizer, bad.device)]

    def settle(self, optimizer: Optimizer) -> None:
        """After the update: put back what a bad step changed."""
        if self._bad is None or optimizer.defaults.get("fused"):
            return
        known = {id(value) for value, _ in self._kept}
        with torch.no_grad():
            for value, before in self._kept:
                value.copy_(torch.where(self._bad, before, value))
            # what the first update has just created: zeros, as before any update
            for value in _values(optimizer, self._bad.device):
                if id(value) not in known:
                    value.copy_(torch.where(self._bad, torch.zeros_like(value), value))
        self._kept = []

    def check(self, step: int, *, clips: Tensor) -> None:
        """After every batch: look at the count every ``check_every`` steps, and warn of bad ones with their clips.

        Args:
            step: of the optimizer; several batches make one where gradients are accumulated.
            clips: numbers of the sequences in this batch, on the device.

        Raises:
            NonFiniteError: if ``patience`` steps in a row were bad.
        """
        self._clips.append(clips)
        if self._bad is not None:
            self._steps.append((self._bad, torch.cat(self._clips)))
            self._bad, self._clips = None, []
        if step % self.check_every:
            return
        steps, self._steps = self._steps, []
        if not steps or not bool(torch.stack([bad for bad, _ in steps]).any()):
            return
        named = sorted({clip for bad, numbers in steps if bad for clip in numbers.tolist()})
        count = sum(bool(bad) for bad, _ in steps)
        warnings.warn(f"{count} of the last {len(steps)} steps had a loss or gradient that is not finite and did not "
                      f"change the weights; they were of training sequences {_name(named)}", stacklevel=2)  # fmt: skip
        if int(self.longest) >= self.patience:
            raise NonFiniteError(
                f"{int(self.longest)} steps in a row had a loss or gradient that is not finite (of {int(self.skipped)} "
                f"in all), the last around step {step}; the weights are those before them. Lower optimizer.lr, "
                f"or try trainer.precision=32-true"
            )


def _name(clips: list[int], *, most: int = 20) -> str:
    shown = ", ".join(str(clip) for clip in clips[:most])
    return f"{shown} and {len(clips) - most} more" if len(clips) > most else shown


def _values(optimizer: Optimizer, device: torch.device) -> list[Tensor]:
    """All tensors on the device that an update writes: weights and the optimizer's state.

    On a GPU some optimizers keep their count of steps on the host; it counts bad steps too, rather than wait for one.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = [value for entry in optimizer.state.values() for value in entry.values() if isinstance(value, Tensor)]
    return [value for value in weights + state if value.device == device]
