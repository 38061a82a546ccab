"""Models as graphs that run without this package: one of the encoder, one of a step.

The encoder computes once what depends on context and poses alone; a step predicts a frame. A rollout is::

    features = encoder(frames, pose_maps)   # frames (B, K, C, H, W); pose_maps (B, T, P, H, W)
    previous = frames[:, K - 1]
    for t in range(K, T):
        previous = step(previous, noise_t, *(part[:, t] for part in features))

with noise_t (B, Z, h, w) from N(0, I), or zeros for the prior's mean: z is drawn inside, mean + exp(logvar / 2) noise.
``export.json`` names inputs and outputs with their shapes, and tells the loop again for a reader without this package.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vidpred.interop.bundle import whole_folder
from vidpred.networks import Model
from vidpred.networks.features import map_features, unbind_steps
from vidpred.networks.latent import reparameterize

EXAMPLE = (2, 3)  # clips and frames that graphs are traced with
LOOP = (
    "features = encoder(frames, poses): all of them have an axis of frames",
    "previous = frames[:, K - 1], with K = context_frames",
    "for t = K … T - 1: previous = step(previous, noise, part[:, t] of every part of features)",
    "every previous is a predicted frame; frames and pose maps lie in [0, 1], predictions may leave it a little",
    "noise is drawn anew from N(0, I) for every step, or zeros for the prior's mean",
)
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
        """All that poses and context tell, (B, T, …)."""
        context = self.model.context(frames, poses[:, : self.context_frames])
        return tuple(flatten(self.model.encode_poses(poses, context)))


class Step(nn.Module):
    """One step, on flat tensors.

    Args:
        model: the networks.
        pose: example of the features of one pose, for their structure.

    Raises:
        ExportError: if the model carries something from step to step.
    """

    def __init__(self, model: Model, pose: Any) -> None:
        super().__init__()
        if not model.parallel:
            raise ExportError("a model that carries features from step to step cannot be exported")
        self.model, self._pose = model, pose

    def forward(
        self, previous: Float[Tensor, "B C H W"], noise: Float[Tensor, "B Z h w"], *features: Tensor
    ) -> Float[Tensor, "B C H W"]:
        """The next frame."""
        pose = refill(self._pose, features)
        seen = self.model.encode_frames(previous)
        prior = self.model.prior(seen, pose)
        frame, _ = self.model.decode(seen, pose, reparameterize(prior, noise), prior, None)
        return frame


def flatten(features: Any) -> list[Tensor]:
    """All tensors of a structure that hold something, in their order.

    Empty ones, as what is kept of the context without an anchor, do not go through graphs: nobody has to pass them.
    """
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        if not _is_empty(tensor):
            found.append(tensor)
        return tensor

    map_features(keep, features)
    return found


def refill(structure: Any, tensors: Sequence[Tensor]) -> Any:
    """The structure with other tensors, as ``flatten`` gives them; what was empty is empty again."""
    remaining = iter(tensors)

    def fill(example: Tensor) -> Tensor:
        if not _is_empty(example):
            return next(remaining)
        return example.new_empty(tensors[0].shape[0], *example.shape[1:])  # not len(), which would fix the size

    return map_features(fill, structure)


def _is_empty(tensor: Tensor) -> bool:
    return 0 in tensor.shape[1:]


def export_torch(model: Model, folder: Path, *, context_frames: int) -> None:
    """Write ``encoder.pt2``, ``step.pt2`` and ``export.json``; any number of clips and frames.

    Args:
        model: on the CPU, in float32.
        folder: where; an older export is replaced.
        context_frames: K ≥ 1.

    Raises:
        ValueError: if something else is there.
        ExportError: if the model is elsewhere or in another precision, or cannot be traced.
    """
    with _export_folder(folder) as place, _tracing(model, context_frames):
        graphs = _graphs(model, context_frames)
        _describe(place, "torch_export", graphs, model, context_frames)
        for graph in graphs:
            torch.export.save(_trace(graph), place / f"{graph.name}.pt2")


def export_onnx(model: Model, folder: Path, *, context_frames: int) -> None:
    """Write ``encoder.onnx``, ``step.onnx`` and ``export.json``; any number of clips and frames.

    Args:
        model: on the CPU, in float32.
        folder: where; an older export is replaced.
        context_frames: K ≥ 1.

    Raises:
        ValueError: if something else is there.
        ExportError: if ONNX is not installed, the model is elsewhere or in another precision, or cannot be traced.
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ExportError("ONNX export needs onnx and onnxscript: pip install 'vidpred[onnx]'")
    with _export_folder(folder) as place, _tracing(model, context_frames), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*The axis name: batch will not be used")
        graphs = _graphs(model, context_frames)
        _describe(place, "onnx", graphs, model, context_frames)
        for graph in graphs:
            torch.onnx.export(  # not optimized: onnxscript takes 1e-8 for 0, and runtimes optimize by themselves
                _trace(graph), f=place / f"{graph.name}.onnx", dynamo=True, dynamic_shapes=graph.free,  # their names
                input_names=list(graph.inputs), output_names=list(graph.outputs), opset_version=_OPSET,
                optimize=False, external_data=False, verbose=False,
            )  # fmt: skip


def rollout_exported(
    encoder: Callable[..., Sequence[Tensor]], step: Callable[..., Tensor], frames: Float[Tensor, "B K C H W"],
    poses: Float[Tensor, "B T P H W"], noise: Float[Tensor, "B S Z h w"],
) -> Float[Tensor, "B S C H W"]:  # fmt: skip
    """A rollout by an exported pair, as any other language would write it.

    Args:
        encoder: computes once what depends on context and poses.
        step: predicts a frame.
        frames: the context.
        poses: pose maps of context and prediction.
        noise: of z; zeros for the prior's mean.
    """
    known, features = frames.shape[1], encoder(frames, poses)
    previous, predicted = frames[:, -1], []
    for number in range(noise.shape[1]):
        previous = step(previous, noise[:, number], *(part[:, known + number] for part in features))
        predicted.append(previous)
    return torch.stack(predicted, dim=1)


class _Graph(NamedTuple):
    """What is traced: examples by name, and which of their axes are free."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    free: Any


def _graphs(model: Model, known: int) -> list[_Graph]:
    """Encoder and step."""
    shape, (clips, length) = model.shape, (EXAMPLE[0], EXAMPLE[1] + known)
    frames = torch.rand(clips, known, shape.channels, shape.height, shape.width)
    maps = torch.rand(clips, length, shape.pose_channels, shape.height, shape.width)
    features = model.encode_poses(maps, model.context(frames, maps[:, :known]))
    pose = unbind_steps(features)[known]
    parts = {f"pose_{number}": tensor for number, tensor in enumerate(flatten(features))}
    own = dict(zip(parts, flatten(pose), strict=True))
    batch, steps = torch.export.Dim("batch", min=1, max=1024), torch.export.Dim("frames", min=known + 1, max=65536)
    encoder = _Graph(
        "encoder", Encoder(model, context_frames=known).eval(), {"frames": frames, "poses": maps}, parts,
        ({0: batch}, {0: batch, 1: steps}),
    )  # fmt: skip
    given = {"previous": frames[:, -1], "noise": torch.randn(clips, *model.latent_shape)}
    free = ({0: batch}, {0: batch}, tuple({0: batch} for _ in own))
    step = _Graph("step", Step(model, pose).eval(), given | own, {"frame": frames[:, -1]}, free)
    return [encoder, step]


def _trace(graph: _Graph) -> torch.export.ExportedProgram:
    """The graph, also of what becomes ONNX: given a module, that exporter fixes sizes where this one refuses."""
    return torch.export.export(graph.module, tuple(graph.inputs.values()), dynamic_shapes=graph.free)


def _describe(place: Path, kind: str, graphs: Sequence[_Graph], model: Model, known: int) -> None:
    """Write ``export.json``."""
    about: dict[str, Any] = {"format": 2, "kind": kind, "context_frames": known, "shape": list(model.shape),
                             "z": list(model.latent_shape), "loop": LOOP}  # fmt: skip
    for graph in graphs:
        timed = {"poses", *(name for name in graph.outputs if name.startswith("pose_"))}
        shapes = {name: ["batch", "frames", *tensor.shape[2:]] if name in timed else ["batch", *tensor.shape[1:]]
                  for name, tensor in (graph.inputs | graph.outputs).items()}  # fmt: skip
        about[graph.name] = {"inputs": list(graph.inputs), "outputs": list(graph.outputs), "shapes": shapes}
    (place / "export.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _tracing(model: Model, known: int) -> Iterator[None]:
    """Evaluation mode, without gradients, and back; errors of the tracer say which model it was."""
    assert isinstance(model, nn.Module)
    found = {f"{weight.dtype} on {weight.device.type}" for weight in model.parameters()} - {"torch.float32 on cpu"}
    if found:
        raise ExportError(f"graphs are of models in torch.float32 on cpu, got weights in {', '.join(sorted(found))}")
    if known < 1:
        raise ExportError(f"context_frames must be >= 1, got {known}")
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    except ExportError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"{type(model).__name__} cannot be traced as a graph: {reason}") from error
    finally:
        model.train(training)


def _export_folder(folder: Path) -> AbstractContextManager[Path]:
    files = {"export.json"} | {f"{name}.{end}" for name in ("encoder", "step") for end in ("pt2", "onnx")}
    return whole_folder(folder, files=files, marker="export.json", keys={"format", "kind", "context_frames"})
