"""Learned perceptual image patch similarity of every frame (Zhang et al. 2018, arXiv 1801.03924)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from vidpred.metrics.psnr import check_shapes


class PerceptualWeightsError(RuntimeError):
    """The weights of the perceptual network cannot be had."""


class Lpips:
    """LPIPS with AlexNet, by torchmetrics; 0 for identical frames, larger is worse.

    Its linear layers come with torchmetrics, AlexNet's weights from torchvision's hub, once.

    Raises:
        PerceptualWeightsError: if they are not there and cannot be fetched; it says what to do.
    """

    def __init__(self) -> None:
        try:
            metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        except (OSError, ModuleNotFoundError) as error:
            raise PerceptualWeightsError(
                f"LPIPS is left out: the weights of AlexNet are not here and could not be fetched ({error}). Run once "
                f"where there is a network: python -c 'import torchvision; torchvision.models.alexnet(weights="
                f'"DEFAULT")\', or copy them into the folder that torch.hub.get_dir() names'
            ) from None
        self._net = metric.net
        self._layers: list[Tensor] = []
        for layer in self._net.lins:  # whose outputs are maps, which the network itself only averages
            layer.register_forward_hook(lambda module, given, found: self._layers.append(found))

    def __call__(
        self, predicted: Float[Tensor, "B T C H W"], target: Float[Tensor, "B T C H W"]
    ) -> Float[Tensor, "B T 1 H W"]:
        """The distance at every pixel; its mean over a frame is the frame's LPIPS.

        The layers' maps are enlarged to the frame, bilinearly, and keep their means.

        Args:
            predicted: frames in [0, 1].
            target: frames in [0, 1].

        Raises:
            ValueError: if the shapes differ.
        """
        check_shapes(predicted, target)
        x, y = (rearrange(frames.float().clamp(0, 1), "b t c h w -> (b t) c h w") for frames in (predicted, target))
        self._layers.clear()
        self._net.to(predicted.device)(x, y, normalize=True)
        found = torch.stack([_enlarge(layer, x.shape[-2:]) for layer in self._layers]).sum(dim=0)
        self._layers.clear()
        return rearrange(found, "(b t) c h w -> b t c h w", b=len(predicted))


def _enlarge(layer: Float[Tensor, "N 1 h w"], size: tuple[int, ...]) -> Float[Tensor, "N 1 H W"]:
    """Bilinear, with the mean of what it was."""
    large = functional.interpolate(layer, size=size, mode="bilinear")
    mean = large.mean(dim=(2, 3), keepdim=True)
    return large * (layer.mean(dim=(2, 3), keepdim=True) / mean.clamp(min=1e-12))
