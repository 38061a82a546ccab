"""Peak signal-to-noise ratio of every frame."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

MAX_PSNR = 100.0  # dB; what identical frames score, so that means stay finite


def psnr(
    predicted: Float[Tensor, "B T C H W"], target: Float[Tensor, "B T C H W"], *, data_range: float
) -> Float[Tensor, "B T"]:
    """Peak signal-to-noise ratio of every frame, in dB, at most ``MAX_PSNR``.

    PSNR = 10 log10(data_range² / MSE), the mean squared error taken over C, H and W. Predictions are clipped to
    [0, data_range] first, as they are when they are shown or stored.

    Raises:
        ValueError: if the shapes differ or ``data_range`` is not positive.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"predicted and target differ in shape: {tuple(predicted.shape)}, {tuple(target.shape)}")
    if data_range <= 0:
        raise ValueError(f"data_range must be > 0, got {data_range}")
    clipped = predicted.float().clamp(0, data_range)
    value = peak_signal_noise_ratio(clipped, target.float(), data_range=data_range, reduction="none", dim=(2, 3, 4))
    return value.clamp(max=MAX_PSNR)
