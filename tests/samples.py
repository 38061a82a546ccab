"""Small networks and data that several tests use."""

import json
import resource
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning import Callback
from PIL import Image

from vidpred.data.posing import PoseInput
from vidpred.data.store import Store
from vidpred.networks import CVAE, LabCVAE, LearnedPrior, Model, StandardPrior
from vidpred.training import module
from vidpred.types import FrameShape

SHAPE = FrameShape(3, 3, 16, 24)
TINY = {
    "cvae": lambda **options: CVAE(SHAPE, widths=(8, 12, 16), name_channels=6, z_channels=2, **options),
    "cvae-no-anchor": lambda **options: CVAE(SHAPE, widths=(8, 12, 16), z_channels=2, anchor=False, **options),
    "lab": lambda **options: LabCVAE(SHAPE, frame_width=8, pose_width=4, z_channels=4, fused_width=8, **options),
}
IMAGES = PoseInput(images="only")
PRIORS = {"standard": StandardPrior, "learned": LearnedPrior}


@contextmanager
def files_at_most(size: int):
    """Files cannot grow beyond so many bytes: to a writer it is a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def lively(model: Model) -> Model:
    """Random weights instead of the zeros that networks start with."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(
                torch.randn_like(weight) * (0.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1)
            )
    return model


def write_pictures(root: Path, store: Store) -> None:
    """The sequences of a store as folders of pictures: root/NAME/frames/*.png and root/NAME/poses/*.png."""
    for info in store.sequences:
        for kind, array in (("frames", store.frames), ("poses", store.poses)):
            folder = root / info.name / kind
            folder.mkdir(parents=True)
            for row in range(info.length):
                pixels = np.ascontiguousarray(array[info.first + row].transpose(1, 2, 0))
                Image.fromarray(pixels).save(folder / f"frame{row}.png")


class Witness(Callback):
    """Writes down what the schedules were at every training batch, in a file for every process."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.seen: list[list[float]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        names = ("schedule/beta", "schedule/forcing_prob", "schedule/lr")
        values = [float(trainer.callback_metrics[name]) for name in names]
        self.seen.append([trainer.global_step, *values, batch.frames.shape[1]])

    def on_train_end(self, trainer, pl_module):
        self.path.with_name(f"{self.path.name}-{trainer.global_rank}.json").write_text(json.dumps(self.seen))


class Still(Callback):
    """Takes the noise out of training, so that z is its mean; writes down what each process drew, and its gradients."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_fit_start(self, trainer, pl_module):
        noisy = module.unroll
        warnings.warn(f"z is its mean in process {trainer.global_rank}", stacklevel=1)

        def still(*values, noise, forced, **options):
            self.steps.append({"noise": noise.clone(), "forced": forced.clone()})
            return noisy(*values, noise=torch.zeros_like(noise), forced=forced, **options)

        module.unroll = still

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps[-1] |= {"clips": batch.sequence, "frames": batch.frames.mean(dim=(1, 2, 3, 4))}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps[-1]["gradient"] = torch.cat([weight.grad.flatten() for weight in pl_module.parameters()])

    def on_train_end(self, trainer, pl_module):
        torch.save(self.steps, self.path.with_name(f"{self.path.name}-{trainer.global_rank}.pt"))
