"""The lab's template, written from its description alone: its data flow, and checkpoints in its structure."""

import torch
from torch import Tensor
from torch.nn import functional

from vidpred.interop.lab import LabWidths

WIDTHS = LabWidths(channels=3, pose_channels=3, frame_width=16, pose_width=4, z_channels=4, fused_width=24)


class Template:
    """The template as plain functions of a dictionary of weights: its data flow, and nothing of ours."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights

    def conv(self, x: Tensor, name: str, **options) -> Tensor:
        return functional.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], **options)

    def residual(self, x: Tensor, name: str) -> Tensor:
        inner = functional.leaky_relu(self.conv(x, f"{name}.conv1", padding=1), 0.01)
        inner = functional.leaky_relu(self.conv(inner, f"{name}.conv2", padding=1), 0.01)
        return inner + (self.conv(x, f"{name}.skip") if f"{name}.skip.weight" in self.weights else x)

    def depth(self, x: Tensor, name: str) -> Tensor:
        name = f"{name}.block"
        inner = functional.leaky_relu(self.conv(x, f"{name}.0.conv1.0"), 0.01)
        inner = self.conv(inner, f"{name}.0.depth_conv", padding=1, groups=inner.shape[1])
        inner = self.conv(inner, f"{name}.0.conv2")
        x = inner + (self.conv(x, f"{name}.0.adaptor") if f"{name}.0.adaptor.weight" in self.weights else x)
        first, second = self.conv(x, f"{name}.1.conv").chunk(2, dim=1)
        return x + self.conv(first * functional.leaky_relu(second, 0.1), f"{name}.1.conv_out")

    def chain(self, x: Tensor, name: str, kinds: str) -> Tensor:
        for number, kind in enumerate(kinds):
            x = self.residual(x, f"{name}.{number}") if kind == "R" else self.depth(x, f"{name}.{number}")
        return x

    def frame(self, x: Tensor) -> Tensor:
        return self.conv(self.chain(x, "frame_transformation", "RDRDRD"), "frame_transformation.6", padding=1)

    def pose(self, x: Tensor, *, alone: bool) -> Tensor:
        """With the BatchNorm in training mode on a batch of this one frame, or with its running statistics."""
        name = "label_transformation"
        x = self.conv(functional.pad(x, (3, 3, 3, 3), mode="reflect"), f"{name}.1")
        norm = {key: self.weights[f"{name}.2.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        norm |= {key: norm[key].clone() for key in ("running_mean", "running_var")}
        rows = x.split(1) if alone else [x]
        x = torch.cat([functional.batch_norm(row, **norm, training=alone) for row in rows])
        return self.residual(x, f"{name}.4")

    def gaussian(self, frame: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        name = "Gaussian_Predictor"
        x = self.chain(torch.cat([frame, pose], dim=1), name, "RDRDR")
        return self.conv(x, f"{name}.6").chunk(2, dim=1)

    def fuse(self, frame: Tensor, pose: Tensor, z: Tensor) -> Tensor:
        x = self.chain(torch.cat([frame, pose, z], dim=1), "Decoder_Fusion", "DRDRD")
        return self.conv(x, "Decoder_Fusion.5")

    def generate(self, x: Tensor) -> Tensor:
        return self.conv(self.chain(x, "Generator", "DRDRDRD"), "Generator.7")


def random_weights(widths: LabWidths) -> dict[str, Tensor]:  # noqa: C901
    """Weights in the public structure, written down layer by layer."""
    weights: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(0)

    def conv(name, inputs, outputs, size=1, groups=1):
        shape = (outputs, inputs // groups, size, size)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / (3 * shape[1] * size * size) ** 0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)

    def residual(name, inputs, outputs):
        conv(f"{name}.conv1", inputs, outputs, 3)
        conv(f"{name}.conv2", outputs, outputs, 3)
        if inputs != outputs:
            conv(f"{name}.skip", inputs, outputs)

    def depth(name, inputs, outputs):
        conv(f"{name}.block.0.conv1.0", inputs, inputs)
        conv(f"{name}.block.0.depth_conv", inputs, inputs, 3, groups=inputs)
        conv(f"{name}.block.0.conv2", inputs, outputs)
        if inputs != outputs:
            conv(f"{name}.block.0.adaptor", inputs, outputs)
        conv(f"{name}.block.1.conv", outputs, 4 * outputs)
        conv(f"{name}.block.1.conv_out", 2 * outputs, outputs)

    f, p, n, d = widths.frame_width, widths.pose_width, widths.z_channels, widths.fused_width
    for number, (inputs, outputs) in enumerate([(widths.channels, f // 8), (f // 8, f // 4), (f // 4, f // 2)]):
        residual(f"frame_transformation.{2 * number}", inputs, outputs)
        depth(f"frame_transformation.{2 * number + 1}", outputs, outputs)
    conv("frame_transformation.6", f // 2, f, 3)
    conv("label_transformation.1", widths.pose_channels, p // 2, 7)
    for key, low, high in (("weight", 0.5, 1.5), ("bias", -1, 1), ("running_mean", -1, 1), ("running_var", 0.5, 2)):
        weights[f"label_transformation.2.{key}"] = low + (high - low) * torch.rand(p // 2, generator=generator)
    weights["label_transformation.2.num_batches_tracked"] = torch.tensor(7)
    residual("label_transformation.4", p // 2, p)
    for number, (inputs, outputs) in enumerate([(f + p, n // 4), (n // 4, n // 2), (n // 2, n)]):
        residual(f"Gaussian_Predictor.{2 * number}", inputs, outputs)
        if number < 2:
            depth(f"Gaussian_Predictor.{2 * number + 1}", outputs, outputs)
    conv("Gaussian_Predictor.6", n, 2 * n)
    c = f + p + n
    depth("Decoder_Fusion.0", c, c)
    residual("Decoder_Fusion.1", c, c // 4)
    depth("Decoder_Fusion.2", c // 4, c // 2)
    residual("Decoder_Fusion.3", c // 2, c // 2)
    depth("Decoder_Fusion.4", c // 2, d // 2)
    conv("Decoder_Fusion.5", d // 2, d)
    depth("Generator.0", d, d)
    for number, (inputs, outputs) in enumerate([(d, d // 2), (d // 2, d // 4), (d // 4, d // 8)]):
        residual(f"Generator.{2 * number + 1}", inputs, outputs)
        depth(f"Generator.{2 * number + 2}", outputs, outputs)
    conv("Generator.7", d // 8, 3)
    return weights


def public_checkpoint(widths: LabWidths = WIDTHS) -> dict:
    return {"state_dict": random_weights(widths), "optimizer": {"state": {}, "param_groups": []}, "lr": 1e-3,
            "tfr": 0.4, "last_epoch": 12}  # fmt: skip
