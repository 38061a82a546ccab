import pytest
import torch
from skimage.metrics import mean_squared_error as skimage_mse
from skimage.metrics import peak_signal_noise_ratio

from vidpred.metrics import MAX_PSNR, mean_absolute_error, mean_squared_error, moving_pixels, psnr, psnr_of_error

GENERATOR = torch.Generator().manual_seed(0)
TARGET = torch.rand(2, 3, 3, 8, 10, generator=GENERATOR, dtype=torch.float64)
PREDICTED = torch.rand(TARGET.shape, generator=GENERATOR, dtype=torch.float64)
MASK = torch.rand(2, 3, 1, 8, 10, generator=GENERATOR) > 0.6


def test_errors_are_scikit_images():
    for clip in range(2):
        for frame in range(3):
            pair = TARGET[clip, frame].numpy(), PREDICTED[clip, frame].numpy()
            assert float(mean_squared_error(PREDICTED, TARGET)[clip, frame]) == pytest.approx(skimage_mse(*pair))
            expected = abs(pair[0] - pair[1]).mean()
            assert float(mean_absolute_error(PREDICTED, TARGET)[clip, frame]) == pytest.approx(expected)


def test_a_mask_counts_its_pixels_alone():
    found = mean_squared_error(PREDICTED, TARGET, MASK)
    for clip in range(2):
        for frame in range(3):
            chosen = MASK[clip, frame].expand(3, -1, -1)
            expected = (PREDICTED - TARGET)[clip, frame][chosen].square().mean()
            assert float(found[clip, frame]) == pytest.approx(float(expected))


def test_in_and_out_of_a_mask_make_the_whole():
    share = MASK.double().mean(dim=(2, 3, 4))
    inside, outside = mean_squared_error(PREDICTED, TARGET, MASK), mean_squared_error(PREDICTED, TARGET, ~MASK)
    torch.testing.assert_close(share * inside + (1 - share) * outside, mean_squared_error(PREDICTED, TARGET))


def test_a_frame_without_masked_pixels_has_no_error():
    assert mean_squared_error(PREDICTED, TARGET, torch.zeros_like(MASK)).isnan().all()


def test_moving_pixels_are_those_that_cannot_be_copied():
    context = torch.zeros(1, 3, 2, 2)
    target = torch.zeros(1, 1, 3, 2, 2)
    target[0, 0, 1, 0, 1], target[0, 0, 2, 1, 1] = 0.06, 0.04
    assert moving_pixels(target, context)[0, 0, 0].tolist() == [[False, True], [False, False]]


def test_psnr_of_an_error_is_psnr():
    torch.testing.assert_close(
        psnr_of_error(mean_squared_error(PREDICTED, TARGET), data_range=1.0).float(),
        psnr(PREDICTED, TARGET, data_range=1.0),
        rtol=1e-5, atol=1e-4,
    )  # fmt: skip
    assert psnr_of_error(torch.zeros(1), data_range=1.0).item() == MAX_PSNR


def test_psnr_channel_by_channel_is_the_mean_of_channels_and_never_lower():
    found = psnr(PREDICTED, TARGET, data_range=1.0, per_channel=True)
    for clip in range(2):
        for frame in range(3):
            channels = [peak_signal_noise_ratio(TARGET[clip, frame, channel].numpy(), PREDICTED[clip, frame,
                        channel].numpy(), data_range=1.0) for channel in range(3)]  # fmt: skip
            assert float(found[clip, frame]) == pytest.approx(sum(channels) / 3, abs=1e-4)
    assert (found >= psnr(PREDICTED, TARGET, data_range=1.0) - 1e-5).all()
