"""Models as graphs that run without this package: one of the encoder, one of a step.

The encoder computes once what depends on context and poses alone; a step predicts a frame. A rollout is::

    fixed, poses = encoder(frames, pose_maps)   # frames (B, K, C, H, W); pose_maps (B, T, P, H, W)
    previous = frames[:, K - 1]
    for t in range(K, T):
        previous = step(previous, noise_t, *fixed, *(part[:, t] for part in poses))

with noise_t (B, Z, h, w) from N(0, I), or zeros for the prior's mean: z is drawn inside, mean + exp(logvar / 2) noise.
``export.json`` names inputs and outputs, and says which outputs of the encoder are which.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vidpred.networks import Model
from vidpred.networks.features import map_features, unbind_steps
from vidpred.networks.latent import reparameterize

EXAMPLE = (2, 3)  # clips and frames that graphs are traced with
_OPSET = 20  # of ONNX: the first whose GridSample is what torch's grid_sample is today


class ExportError(ValueError):
    """A model cannot be exported as asked."""


class Encoder(nn.Module):
    """From context frames and pose maps to all that is computed once, as a flat tuple of tensors.

    Args:
        model: the networks.
        context_frames: K.
    """

    def __init__(self, model: Model, *, context_frames: int) -> None:
        super().__init__()
        self.model, self.context_frames = model, context_frames

    def forward(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B T P H W"]) -> tuple[Tensor, ...]:
        """What is kept from the context, (B, …), then the features of all poses, (B, T, …)."""
        context = self.model.context(frames, poses[:, : self.context_frames])
        return (*flatten(context), *flatten(self.model.encode_poses(poses)))


class Step(nn.Module):
    """One step, on flat tensors.

    Args:
        model: the networks.
        context: example of what ``Model.context`` gives, for its structure.
        pose: example of the features of one pose, likewise.

    Raises:
        ExportError: if the model carries something from step to step.
    """

    def __init__(self, model: Model, context: Any, pose: Any) -> None:
        super().__init__()
        if not model.parallel:
            raise ExportError("a model that carries features from step to step cannot be exported")
        self.model, self._context, self._pose = model, context, pose
        self._kept = len(flatten(context))

    def forward(
        self, previous: Float[Tensor, "B C H W"], noise: Float[Tensor, "B Z h w"], *features: Tensor
    ) -> Float[Tensor, "B C H W"]:
        """The next frame."""
        context = refill(self._context, features[: self._kept])
        pose = refill(self._pose, features[self._kept :])
        z = reparameterize(self.model.prior(previous, pose), noise)
        frame, _ = self.model.decode(previous, pose, z, context, None)
        return frame


def flatten(features: Any) -> list[Tensor]:
    """All tensors of a structure, in their order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_features(keep, features)
    return found


def refill(structure: Any, tensors: Sequence[Tensor]) -> Any:
    """The structure with other tensors."""
    remaining = iter(tensors)
    return map_features(lambda _: next(remaining), structure)


def export_torch(model: Model, folder: Path, *, context_frames: int) -> None:
    """Write ``encoder.pt2``, ``step.pt2`` and ``export.json``; any number of clips and frames.

    Args:
        model: on the CPU, in evaluation mode.
        folder: where; an older export is replaced.
        context_frames: K.

    Raises:
        ExportError: if something else is there, or the model cannot be traced.
    """
    with _folder(folder) as place, torch.no_grad():
        for name, module, inputs, shapes, _ in _graphs(model, context_frames, place, "torch_export"):
            program = torch.export.export(module, inputs, dynamic_shapes=shapes)
            torch.export.save(program, place / f"{name}.pt2")


def export_onnx(model: Model, folder: Path, *, context_frames: int) -> None:
    """Write ``encoder.onnx``, ``step.onnx`` and ``export.json``; any number of clips and frames.

    Args:
        model: on the CPU, in evaluation mode.
        folder: where; an older export is replaced.
        context_frames: K.

    Raises:
        ExportError: if ONNX is not installed, something else is there, or the model cannot be traced.
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ExportError("format=onnx needs onnx and onnxscript: pip install 'vidpred[onnx]'")
    with _folder(folder) as place, torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*The axis name: batch will not be used")
        for name, module, inputs, shapes, names in _graphs(model, context_frames, place, "onnx"):
            torch.onnx.export(
                module, inputs, place / f"{name}.onnx", dynamo=True, dynamic_shapes=shapes, opset_version=_OPSET,
                input_names=names["inputs"], output_names=names["outputs"], external_data=False, verbose=False,
            )  # fmt: skip


def rollout_exported(
    encoder: Callable[..., Sequence[Tensor]], step: Callable[..., Tensor], frames: Float[Tensor, "B K C H W"],
    poses: Float[Tensor, "B T P H W"], noise: Float[Tensor, "B S Z h w"], *, kept: int,
) -> Float[Tensor, "B S C H W"]:  # fmt: skip
    """A rollout by an exported pair, as any other language would write it.

    Args:
        encoder: computes once what depends on context and poses.
        step: predicts a frame.
        frames: the context.
        poses: pose maps of context and prediction.
        noise: of z; zeros for the prior's mean.
        kept: how many of the encoder's outputs belong to the context; ``export.json`` says it.
    """
    known = frames.shape[1]
    found = encoder(frames, poses)
    fixed, features = found[:kept], found[kept:]
    previous, predicted = frames[:, -1], []
    for number in range(noise.shape[1]):
        previous = step(previous, noise[:, number], *fixed, *(part[:, known + number] for part in features))
        predicted.append(previous)
    return torch.stack(predicted, dim=1)


def _graphs(
    model: Model, known: int, place: Path, kind: str
) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...], Any, dict[str, list[str]]]]:
    """Encoder and step with example inputs, which of their axes are free, and the names of inputs and outputs."""
    shape, (clips, length) = model.shape, (EXAMPLE[0], EXAMPLE[1] + known)
    frames = torch.rand(clips, known, shape.channels, shape.height, shape.width)
    poses = torch.rand(clips, length, shape.pose_channels, shape.height, shape.width)
    noise = torch.randn(clips, *model.latent_shape)
    batch, steps = torch.export.Dim("batch", min=1, max=1024), torch.export.Dim("frames", min=known + 1, max=65536)
    encoder = Encoder(model, context_frames=known).eval()
    context = model.context(frames, poses[:, :known])
    features = model.encode_poses(poses)
    pose = unbind_steps(features)[known]
    fixed = [f"context_{number}" for number in range(len(flatten(context)))]
    parts = [f"pose_{number}" for number in range(len(flatten(features)))]
    names = {
        "encoder": {"inputs": ["frames", "poses"], "outputs": [*fixed, *parts]},
        "step": {"inputs": ["previous", "noise", *fixed, *parts], "outputs": ["frame"]},
    }
    about = {"format": 1, "kind": kind, "context_frames": known, "shape": list(shape), "z": list(model.latent_shape),
             "kept": len(fixed), **names}  # fmt: skip
    (place / "export.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    yield "encoder", encoder, (frames, poses), ({0: batch}, {0: batch, 1: steps}), names["encoder"]
    inputs = (frames[:, -1], noise, *flatten(context), *flatten(pose))
    free: Any = ({0: batch}, {0: batch}, tuple({0: batch} for _ in inputs[2:]))
    yield "step", Step(model, context, pose).eval(), inputs, free, names["step"]


@contextmanager
def _folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the final name when all is in it."""
    if folder.exists() and not (folder / "export.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ExportError(f"out={folder} holds something else: choose another name")
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
