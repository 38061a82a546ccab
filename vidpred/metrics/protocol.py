"""Protocols: which numbers may be compared, as named settings with a fingerprint."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from vidpred.metrics.ssim import SSIM_SIZE, Window

Choice = Literal["mean", "best_ssim", "best_each"]
Latent = Literal["sample", "mean"]
Mask = Literal["moving", "limbs"]
SCORING = 2  # counts up when the same settings come to mean other numbers


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How clips are rolled out and their scores averaged.

    The score of a frame is averaged over the frames of a clip, then over its samples (or one of them is chosen), then
    over clips. Predictions are clipped to [0, 1].

    Args:
        name: under which it is known.
        context_frames: K that rollouts are given; None is the model's own.
        frames: predicted frames that count, from the first on; None is all. Shorter clips are refused.
        z: of a rollout: a fresh "sample" of the prior in every frame, or the prior's "mean".
        samples: N, rollouts of a clip; with z at its mean all are alike, and one is enough.
        choice: what a clip's score is: the "mean" of its samples; that of the sample with the best SSIM ("best_ssim");
            or every metric's own best sample ("best_each"). The last two look at the target, which no forecast can.
        quantize: round predictions to 256 levels first, as pictures are.
        per_channel: PSNR channel by channel, averaged.
        ssim_window: "gaussian" or "uniform", see :func:`vidpred.metrics.ssim.ssim`.
        ssim_range: the range L in SSIM's constants; frames have 1.
        mask: what "inside" and "outside" are: "moving", pixels where the true frame is no longer the context frame, or
            "limbs", around the marks of the pose.

    Raises:
        ValueError: for an option out of its range.
    """

    name: str
    context_frames: int | None = None
    frames: int | None = None
    z: Latent = "sample"
    samples: int = 1
    choice: Choice = "mean"
    quantize: bool = False
    per_channel: bool = False
    ssim_window: Window = "gaussian"
    ssim_range: float = 1.0
    mask: Mask = "moving"

    def __post_init__(self) -> None:
        if self.samples < 1 or (self.frames is not None and self.frames < 1):
            raise ValueError(f"protocol.samples and protocol.frames must be >= 1, got {self.samples}, {self.frames}")
        if self.context_frames is not None and self.context_frames < 1:
            raise ValueError(f"protocol.context_frames must be >= 1 or null, got {self.context_frames}")
        if self.ssim_range <= 0:
            raise ValueError(f"protocol.ssim_range must be > 0, got {self.ssim_range}")
        for name, choices in (("choice", Choice), ("ssim_window", Window), ("z", Latent), ("mask", Mask)):
            if (value := getattr(self, name)) not in get_args(choices):
                raise ValueError(f"protocol.{name} must be one of {list(get_args(choices))}, got {value!r}")
        if self.z == "mean" and self.samples > 1:
            raise ValueError(f"protocol.z=mean gives one film a clip: use protocol.samples=1, got {self.samples}")

    @property
    def definition(self) -> str:
        """What its numbers are, for the reader of a table: read off the settings, so that it holds for changed ones."""
        several = {
            "mean": f"mean of {self.samples} samples",
            "best_ssim": f"the sample with the best SSIM of {self.samples}",
            "best_each": f"every metric's own best of {self.samples} samples",
        }
        plural = "" if self.context_frames == 1 else "s"
        known = "" if self.context_frames is None else f" from {self.context_frames} context frame{plural}"
        frames = "all predicted frames" if self.frames is None else f"predicted frames 1 to {self.frames}"
        size = SSIM_SIZE[self.ssim_window]
        return "; ".join([
            (several[self.choice] if self.samples > 1 else "one rollout") + known,
            {"sample": "z drawn from the prior", "mean": "z at the prior's mean"}[self.z],
            f"mean over {frames}, then clips",
            *(["rounded to 256 levels"] if self.quantize else []),
            *(["PSNR channel by channel"] if self.per_channel else []),
            f"SSIM in {self.ssim_window} {size}x{size} windows, without borders, of range {self.ssim_range:g}",
            {"moving": "inside is where pixels move", "limbs": "inside is around the pose"}[self.mask],
        ])  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """Twelve characters that two protocols share only if they give the same numbers."""
        settings = {key: value for key, value in asdict(self).items() if key != "name"}
        settings["scoring"] = SCORING
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
