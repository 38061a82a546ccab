"""vidpred: pose-conditioned video prediction with conditional variational auto-encoders.

In three lines::

    import vidpred

    predictor = vidpred.load("outputs/2026-01-31/12-00-00")  # a run, a checkpoint, or an exported folder
    video = predictor.rollout(image, poses)  # (C, H, W) and (T, P, H, W) in, (T − 1, C, H, W) out, all in [0, 1]
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidpred.predictor import Predictor

__version__ = "0.12.0"


def load(path: str | Path, *, device: str = "auto") -> "Predictor":
    """A trained model, ready to roll out.

    Args:
        path: the folder of a run (its best checkpoint), a checkpoint, an exported folder (``format=safetensors``), or a
            public checkpoint of the lab.
        device: "auto" is the GPU where there is one; or "cpu", "cuda:1", "mps".

    Raises:
        ValueError: if there is no model that can be read, or no such device.
    """
    from vidpred.assembly.trained import load_predictor

    return load_predictor(path, device=device)
