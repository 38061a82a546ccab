"""The training step of ``experiment=lab``, against a loop that runs the networks frame by frame with nothing shared.

    python tests/benchmarks/lab_step.py [--short]

Two clips of 16 frames at 32x64; BatchNorm on its running statistics, so that both see the same. Forced: every previous
frame is the true one; free: the prediction. The loop runs in torch's own layout of memory, and in ours, channels_last.
Sides are measured in turns, a ratio is the median over rounds; an operator call is what the dispatcher is asked for,
forward and backward.
"""

import sys
import time
from statistics import median

import torch
from machine import heading
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vidpred.assembly import build_model, compose
from vidpred.assembly.devices import find_device
from vidpred.memory import keep_memory
from vidpred.networks import LabCVAE, unroll
from vidpred.networks.latent import reparameterize
from vidpred.objectives import Elbo
from vidpred.types import FrameShape, Gaussian, Prediction

CLIPS, LENGTH, ROUNDS = 2, 16, 5


class Count(TorchDispatchMode):
    """Operators called inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.calls += 1
        return function(*arguments, **(options or {}))


def plain_loop(model: LabCVAE, film: Tensor, poses: Tensor, noise: Tensor, *, forced: bool) -> Prediction:
    """Every frame on its own: pose, target and previous frame are encoded where they are needed."""
    previous, found = film[:, 0], []
    for step in range(noise.shape[1]):
        pose = model.encode_poses(poses[:, step + 1 : step + 2], None)[:, 0]
        if forced:
            previous = film[:, step]
        posterior = model.posterior(model.encode_frames(film[:, step + 1]), pose)
        seen, z = model.encode_frames(previous), reparameterize(posterior, noise[:, step])
        prior = model.prior(seen, pose)
        previous, _ = model.decode(seen, pose, z, prior, None)
        found.append((previous, *posterior, *prior))
    frames, *rest = (torch.stack(parts, dim=1) for parts in zip(*found, strict=True))
    return Prediction(frames, Gaussian(*rest[:2]), Gaussian(*rest[2:]))


def main(*, short: bool = False) -> dict[str, float]:
    """Print the table; the ratios."""
    keep_memory()
    device = find_device("auto")
    torch.manual_seed(0)
    cfg = compose("run_dir=unused", "model=lab", "prior=standard")
    model = build_model(cfg, FrameShape(3, 3, 32, 64)).to(device).eval()
    film, poses = torch.rand(2, CLIPS, LENGTH, 3, 32, 64, device=device)
    noise = torch.randn(CLIPS, LENGTH - 1, *model.latent_shape, device=device)
    objective = Elbo()

    def learn(prediction: Prediction) -> float:
        terms = objective(prediction, film[:, 1:], poses[:, 1:])
        loss = (terms["reconstruction"] + 1e-4 * terms["kl"]).mean()
        model.zero_grad()
        loss.backward()
        return float(loss.detach())

    def ours(forced: bool, chunk: int | None = None) -> float:
        coins = torch.full((CLIPS, LENGTH - 1), forced)
        return learn(unroll(model, film, poses, noise=noise, forced=coins, chunk=chunk))

    def plain(forced: bool) -> float:
        return learn(plain_loop(model, film, poses, noise, forced=forced))

    def plain_contiguous(forced: bool) -> float:
        model.to(memory_format=torch.contiguous_format)
        return plain(forced)

    def timed(step, forced: bool) -> tuple[float, float]:
        model.to(memory_format=torch.channels_last)
        started = time.perf_counter()
        loss = step(forced)
        return loss, time.perf_counter() - started

    ratios = {}
    print("               ours    plain loop           plain loop, channels_last")
    for name, forced in (("forced", True), ("free", False)):
        sides = (ours, plain_contiguous, plain)
        for side in sides:
            side(forced)
        rounds = [[timed(side, forced) for side in sides] for _ in range(3 if short else ROUNDS)]
        worst = max(abs(side[0] - own[0]) / abs(own[0]) for own, *others in rounds for side in others)
        assert worst < 1e-4, f"the losses differ by {worst:.1e} of theirs"
        seconds = [median(one[side][1] for one in rounds) for side in range(3)]
        same, stock = (median(one[side][1] / one[0][1] for one in rounds) for side in (2, 1))
        times = [f"{seconds[1]:5.2f} s {stock:5.2f} times", f"{seconds[2]:5.2f} s {same:5.2f} times"]
        print(f"{name:12} {seconds[0]:5.2f} s   {'   '.join(times)}; losses differ by {worst:.0e}")
        ratios |= {
            f"lab step, {name}: speed by a plain loop's": stock,
            f"lab step, {name}: likewise, same layout": same,
        }
    calls = []
    for step, arguments in ((plain, (True,)), (ours, (True, LENGTH - 1))):
        with Count() as count:
            step(*arguments)
        calls.append(count.calls)
    print(f"operator calls of a forced step: {calls[0]} plain, {calls[1]} ours with all frames at once, "
          f"{calls[0] / calls[1]:.1f} times fewer")  # fmt: skip
    return ratios | {"lab step: operator calls of a plain loop by ours": calls[0] / calls[1]}


if __name__ == "__main__":
    print(heading())
    main(short="--short" in sys.argv)
