"""Teacher forcing that follows the training: it gives way as the model learns to run free."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vidpred.schedules.coins import Granularity, Mixing, check_coins


class Adaptive(nn.Module):
    """The probability falls after every epoch in which free-running steps err little more than forced ones.

    With F and R the mean error of the steps whose previous frame was the true one and the model's own, each in the last
    epoch that had such steps (a clip's first step, which is always forced, does not count),

        prob ← max(prob_stop, prob − fall)  where  R ≤ (1 + tolerance) · F.

    It never rises, and both kinds of steps are compared on the clips as the coins fell, hence 0 < prob_start < 1. Both
    errors and the probability are part of the module's state, which checkpoints keep.

    Args:
        prob_start: until the first fall, between 0 and 1 (both exclusive).
        prob_stop: the floor; at least one fall below 1.
        fall: taken off after such an epoch.
        tolerance: by how much free-running steps may err more, relative to forced ones.
        granularity: what one coin decides for. With "epoch" both kinds of steps come from different epochs.

    Raises:
        ValueError: for a parameter out of its range.
    """

    mixing: Mixing = "coin"  # pixels of both kinds in one frame would leave nothing to compare
    sums: Tensor

    def __init__(
        self,
        *,
        prob_start: float = 0.9,
        prob_stop: float = 0.0,
        fall: float = 0.1,
        tolerance: float = 0.1,
        granularity: Granularity = "clip",
    ) -> None:
        super().__init__()
        check_coins(granularity, self.mixing, prob_start=prob_start, prob_stop=prob_stop)
        if not prob_stop <= prob_start or not 0 < prob_start < 1:
            raise ValueError(
                f"teacher_forcing.prob_start must lie between 0 and 1, both exclusive, so that forced and free-running "
                f"steps can be compared, and not below prob_stop; got {prob_start} and {prob_stop}"
            )
        if fall <= 0 or tolerance < 0:
            raise ValueError(f"teacher_forcing.fall must be > 0 and tolerance >= 0, got {fall}, {tolerance}")
        self.prob_start, self.prob_stop, self.fall, self.tolerance = prob_start, prob_stop, fall, tolerance
        self.granularity: Granularity = granularity
        self._prob = prob_start
        self._errors: list[float | None] = [None, None]  # F and R
        self.register_buffer("sums", torch.zeros(2, 2))  # of errors and of steps, forced and free

    def forward(self, position: int, total: int) -> float:
        """The probability now; it depends on what was observed, not on the position."""
        return self._prob

    @torch.no_grad()
    def observe(self, errors: Float[Tensor, "B S"], forced: Bool[Tensor, "B S"]) -> None:
        """Take in the errors of a batch's steps; nothing leaves the device.

        Args:
            errors: of every predicted frame, in any unit. What is not finite is left out.
            forced: on the CPU: whether a step's previous frame was the true one.
        """
        error, kind = errors[:, 1:], forced[:, 1:].to(errors.device, non_blocking=True)
        for row, chosen in enumerate((kind, ~kind)):
            chosen = chosen & error.isfinite()
            self.sums[row] += torch.stack([torch.where(chosen, error, 0.0).sum(), chosen.sum()])

    def advance(self) -> None:
        """End an epoch: agree with the other processes on what was seen, and let the probability fall or not."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.sums)
        for row, (total, count) in enumerate(self.sums.tolist()):
            if count:
                self._errors[row] = total / count
        self.sums.zero_()
        forced, free = self._errors
        if forced is not None and free is not None and free <= (1 + self.tolerance) * forced:
            self._prob = max(self.prob_stop, self._prob - self.fall)

    def describe(self, total: int) -> str:
        """What to expect, in one sentence; when it falls is not known before."""
        return (
            f"Teacher forcing begins at {self.prob_start:.4g} and falls by {self.fall:.4g} after every epoch in which "
            f"free-running steps err at most {self.tolerance:.0%} more than forced ones."
        )

    def get_extra_state(self) -> dict[str, float | None]:
        """What is not in buffers, for checkpoints."""
        return {"prob": self._prob, "forced": self._errors[0], "free": self._errors[1]}

    def set_extra_state(self, state: dict[str, float | None]) -> None:
        """Continue from a checkpoint."""
        assert state["prob"] is not None
        self._prob, self._errors = state["prob"], [state["forced"], state["free"]]
