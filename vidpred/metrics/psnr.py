"""Peak signal-to-noise ratio of every frame."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

MAX_PSNR = 100.0  # dB; what identical frames score, so that means stay finite


def psnr(
    predicted: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B T C H W"],
    *,
    data_range: float,
    per_channel: bool = False,
) -> Float[Tensor, "B T"]:
    """Peak signal-to-noise ratio of every frame, in dB, at most ``MAX_PSNR``.

    PSNR = 10 log10(data_range² / MSE), the mean squared error taken over C, H and W. Predictions are clipped to
    [0, data_range] first, as they are when they are shown or stored.

    Args:
        predicted: frames.
        target: frames.
        data_range: largest value of a pixel.
        per_channel: take the error over H and W, and average the channels' PSNR instead, as older papers do. By
            Jensen's inequality it is never lower.

    Raises:
        ValueError: if the shapes differ or ``data_range`` is not positive.
    """
    check_shapes(predicted, target)
    if data_range <= 0:
        raise ValueError(f"data_range must be > 0, got {data_range}")
    clipped = predicted.float().clamp(0, data_range)
    dims = (3, 4) if per_channel else (2, 3, 4)
    value = peak_signal_noise_ratio(clipped, target.float(), data_range=data_range, reduction="none", dim=dims)
    value = value.clamp(max=MAX_PSNR)
    return value.mean(dim=2) if per_channel else value


def psnr_of_error(error: Float[Tensor, "*N"], *, data_range: float) -> Float[Tensor, "*N"]:
    """10 log10(data_range² / error) of mean squared errors, in dB, at most ``MAX_PSNR``; NaN stays NaN."""
    return (10 * (data_range**2 / error).log10()).clamp(max=MAX_PSNR)


def check_shapes(predicted: Tensor, target: Tensor) -> None:
    """Refuse what cannot be compared pixel by pixel.

    Raises:
        ValueError: if the shapes differ.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"predicted and target differ in shape: {tuple(predicted.shape)}, {tuple(target.shape)}")
