"""Learned perceptual image patch similarity of every frame (Zhang et al. 2018, arXiv 1801.03924)."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
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
            self._metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        except (OSError, ModuleNotFoundError) as error:
            raise PerceptualWeightsError(
                f"LPIPS is left out: the weights of AlexNet are not here and could not be fetched ({error}). Run once "
                f"where there is a network: python -c 'import torchvision; torchvision.models.alexnet(weights="
                f'"DEFAULT")\', or copy them into the folder that torch.hub.get_dir() names'
            ) from None

    def __call__(
        self, predicted: Float[Tensor, "B T C H W"], target: Float[Tensor, "B T C H W"]
    ) -> Float[Tensor, "B T"]:
        """The distance of every frame; frames are in [0, 1].

        Raises:
            ValueError: if the shapes differ.
        """
        check_shapes(predicted, target)
        x, y = (rearrange(frames.float().clamp(0, 1), "b t c h w -> (b t) c h w") for frames in (predicted, target))
        values: Tensor = self._metric.to(predicted.device).net(x, y, normalize=True)
        return rearrange(values, "(b t) 1 1 1 -> b t", b=len(predicted))
