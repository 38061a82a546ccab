"""Every protocol's preset against its paper's computation, written out with NumPy and scikit-image."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import Fake, assess
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidpred import assembly
from vidpred.data.clips import whole_sequence
from vidpred.networks import rollout
from vidpred.seeds import clip_generators

SAMPLES, FRAMES = 3, 5


def films(model, data, source, clip: int) -> tuple[np.ndarray, np.ndarray]:
    """The true frames that count, and every sample's."""
    frames, poses = whole_sequence(source.open("val"), data.poses, clip)
    frames, poses = frames[None, : FRAMES + 1].float() / 255, poses[None, : FRAMES + 1].float() / 255
    made = [rollout(model, frames[:, :1], poses, generators=clip_generators(0, [clip], samples=[sample]))[0].numpy()
            for sample in range(SAMPLES)]  # fmt: skip
    return frames[0, 1:].numpy(), np.clip(np.stack(made), 0, 1)


def psnr(true, made):
    return peak_signal_noise_ratio(true, made, data_range=1.0)


def psnr_by_channel(true, made):
    return np.mean([psnr(*channel) for channel in zip(true, made, strict=True)])


def gaussian_ssim(true, made):
    return structural_similarity(true, made, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
                                 use_sample_covariance=False)  # fmt: skip


def old_ssim(true, made):
    """The library's defaults when it was used: windows of 7, sample covariance, and range 2 for floats."""
    return np.mean([structural_similarity(*channel, data_range=2.0) for channel in zip(true, made, strict=True)])


def table(score, true, made) -> np.ndarray:
    """Samples by frames."""
    return np.array([[score(*pair) for pair in zip(true, film, strict=True)] for film in made])


def strict(true, made):
    return table(psnr, true, made).mean(), table(gaussian_ssim, true, made).mean()


def lab(true, made):
    whole = np.rint(255 * made[:1])
    error = ((whole - 255 * true) ** 2).mean(axis=(2, 3, 4))
    return (10 * np.log10(255**2 / error)).mean(), table(gaussian_ssim, true, whole / 255).mean()


def svg(true, made):
    similar = table(old_ssim, true, made).mean(axis=1)
    return table(psnr_by_channel, true, made)[similar.argmax()].mean(), similar.max()


def srvp(true, made):
    return table(psnr, true, made).mean(axis=1).max(), table(gaussian_ssim, true, made).mean(axis=1).max()


@pytest.mark.parametrize("by_hand", [strict, lab, svg, srvp], ids=lambda one: one.__name__)
def test_a_preset_gives_the_numbers_of_its_paper(by_hand, data, source):
    preset = assembly.build(assembly.compose(f"protocol={by_hand.__name__}", "ckpt=x", verb="evaluate").protocol)
    preset = replace(preset, frames=FRAMES, samples=min(SAMPLES, preset.samples))
    options = {name: getattr(preset, name) for name in preset.__dataclass_fields__ if name != "name"}
    model = Fake(data.shape, gain=0.1)
    found = assess(model, data, **options)
    for number, window in enumerate(found.windows):
        decibels, similar = by_hand(*films(model, data, source, window.sequence))
        assert found.curves["psnr"][number].mean() == pytest.approx(decibels, abs=1e-3)
        assert found.curves["ssim"][number].mean() == pytest.approx(similar, abs=1e-4)
