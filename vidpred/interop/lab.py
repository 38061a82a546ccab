"""Public checkpoints of the university lab's template, in and out.

A checkpoint is a dictionary of ``state_dict``, ``optimizer``, ``lr``, ``tfr`` (forcing probability) and ``last_epoch``.
Its weights have the names of ours, but for the first part:

=========================  ======================
public                     ours
=========================  ======================
``frame_transformation.``  ``frame_encoder.``
``label_transformation.``  ``pose_encoder.``
``Gaussian_Predictor.``    ``gaussian_predictor.``
``Decoder_Fusion.``        ``decoder_fusion.``
``Generator.``             ``generator.``
=========================  ======================
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidpred.networks import LabCVAE
from vidpred.networks.checkpoint import CheckpointError
from vidpred.types import FrameShape

_PARTS = {
    "frame_transformation": "frame_encoder",
    "label_transformation": "pose_encoder",
    "Gaussian_Predictor": "gaussian_predictor",
    "Decoder_Fusion": "decoder_fusion",
    "Generator": "generator",
}
_COUNTED = "num_batches_tracked"  # of the BatchNorm, which older versions of torch did not write


class LabWidths(NamedTuple):
    """What the shapes of the weights tell."""

    channels: int
    pose_channels: int
    frame_width: int
    pose_width: int
    z_channels: int
    fused_width: int


def is_lab_checkpoint(checkpoint: Any) -> bool:
    """Whether something that was loaded is a checkpoint of the template."""
    state = checkpoint.get("state_dict") if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping):
        return False
    parts = {key.removeprefix("module.").partition(".")[0] for key in state if isinstance(key, str)}
    return "vidpred" not in checkpoint and len(parts & _PARTS.keys()) >= 2


def infer_widths(state: Mapping[str, Tensor]) -> LabWidths:
    """Channels and widths of the networks that weights are of.

    Args:
        state: by the public names.

    Raises:
        CheckpointError: if a weight that tells one of them is missing, is no convolution's, or has a width that
            does not divide as the networks need it.
    """

    def size(key: str, axis: int, *, divisor: int = 1) -> int:
        weight = state.get(key)
        if weight is None or weight.ndim != 4:
            found = "is missing" if weight is None else f"has shape {tuple(weight.shape)}"
            raise CheckpointError(f"{key} {found}: the widths of the networks cannot be told")
        width = int(weight.shape[axis])
        if width < divisor or width % divisor:
            raise CheckpointError(f"{key} has shape {tuple(weight.shape)}: its axis {axis} must be a multiple of "
                                  f"{divisor} in the lab's networks")  # fmt: skip
        return width

    return LabWidths(
        channels=size("frame_transformation.0.conv1.weight", 1),
        pose_channels=size("label_transformation.1.weight", 1),
        frame_width=size("frame_transformation.6.weight", 0, divisor=8),
        pose_width=2 * size("label_transformation.1.weight", 0, divisor=2),
        z_channels=size("Gaussian_Predictor.6.weight", 1, divisor=4),
        fused_width=size("Decoder_Fusion.5.weight", 0, divisor=8),
    )


def import_weights(checkpoint: Mapping[str, Any]) -> tuple[LabWidths, dict[str, Tensor]]:
    """Widths and weights, under our names.

    Args:
        checkpoint: of the template.

    Raises:
        CheckpointError: that names every key which is missing, left over, no tensor, or of another shape than networks
            of these widths have.
    """
    state = _state_of(checkpoint)
    widths = infer_widths(state)
    with torch.device("meta"):
        expected = _public(build_model(widths, FrameShape(widths.channels, widths.pose_channels, 32, 64)))
    for key, value in expected.items():
        if key.endswith(_COUNTED):
            state.setdefault(key, torch.zeros(value.shape, dtype=value.dtype))
    _check(state, expected)
    return widths, {_rename(key, _PARTS): value for key, value in state.items()}


def build_model(widths: LabWidths, shape: FrameShape, **options: Any) -> LabCVAE:
    """Networks of these widths, for frames of a shape.

    Args:
        widths: of the checkpoint.
        shape: of frames and pose maps.
        options: ``activation`` and ``bn_mode``, which a checkpoint does not tell.
    """
    return LabCVAE(shape, frame_width=widths.frame_width, pose_width=widths.pose_width, z_channels=widths.z_channels,
                   fused_width=widths.fused_width, **options)  # fmt: skip


def export_checkpoint(model: LabCVAE, *, lr: float, forcing_prob: float, epoch: int) -> dict[str, Any]:
    """A checkpoint that the template's own code loads.

    Its optimizer is Adam as the template makes it, before its first step.

    Args:
        model: trained with the standard prior.
        lr: learning rate.
        forcing_prob: the teacher-forcing probability that training had reached.
        epoch: the last one.

    Raises:
        ValueError: if the prior is learned: the template draws z from N(0, I).
    """
    if any(True for _ in model.prior_net.parameters()):
        raise ValueError("format=lab: this model draws z from a learned prior, the lab's template from N(0, I); train "
                         "with prior=standard")  # fmt: skip
    state = {key: value.detach().cpu().contiguous() for key, value in _public(model).items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    return {
        "state_dict": state,
        "optimizer": optimizer.state_dict(),
        "lr": lr,
        "tfr": forcing_prob,
        "last_epoch": epoch,
    }


def _state_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights as one network's, without the prefix that ``DataParallel`` gives them all."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, Mapping):
        raise CheckpointError(f"a checkpoint of the lab has a state_dict, this one has {sorted(map(str, checkpoint))}")
    wrong = [f"{key} is no tensor" for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(f"the checkpoint does not fit the lab's networks: {'; '.join(wrong)}")
    parallel = all(str(key).startswith("module.") for key in state)
    return {str(key).removeprefix("module.") if parallel else str(key): value for key, value in state.items()}


def _public(model: LabCVAE) -> dict[str, Tensor]:
    """All weights and buffers, by the public names."""
    names = {ours: public for public, ours in _PARTS.items()}
    return {_rename(key, names): value for key, value in model.state_dict().items() if key.partition(".")[0] in names}


def _rename(key: str, parts: Mapping[str, str]) -> str:
    first, dot, rest = key.partition(".")
    return f"{parts[first]}{dot}{rest}"


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Every key by its name, in one line."""
    wrong = [f"{key} is missing" for key in expected if key not in state]
    wrong += [f"{key} is not known" for key in state if key not in expected]
    wrong += [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    if wrong:
        raise CheckpointError(f"the checkpoint does not fit the lab's networks: {'; '.join(wrong)}")
