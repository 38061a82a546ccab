"""Score checkpoints: ``python -m vidpred.evaluate ckpt=outputs/…``."""

import warnings
from typing import TYPE_CHECKING, Any

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> float:
    """Score every checkpoint, explain, compare the others with the first; the mean PSNR of the first in dB."""
    from vidpred.assembly import build, evaluate_checkpoint, find_checkpoints
    from vidpred.evaluation.assessment import compare
    from vidpred.evaluation.scoring import Scorer
    from vidpred.metrics.lpips import Lpips, PerceptualWeightsError
    from vidpred.reporting.evaluation import print_evaluation

    left_out: list[str] = []
    lpips = None
    if cfg.lpips:
        try:
            lpips = Lpips()
        except PerceptualWeightsError as error:
            left_out.append(str(error))
            warnings.warn(str(error), stacklevel=1)
    scorer = Scorer(build(cfg.protocol), mask=cfg.mask, lpips=lpips)
    first: Any = None
    for path in find_checkpoints(cfg.ckpt):
        assessment, folder = evaluate_checkpoint(cfg, path, scorer, left_out)
        print_evaluation(folder)
        if first is None:
            first = (path, assessment)
        else:
            names = (str(first[0]), str(path))
            print(compare(first[1], assessment, names=names, seed=cfg.seed)["sentence"])
    return float(sum(clip.mean() for clip in first[1].curves["psnr"]) / len(first[1].windows))


if __name__ == "__main__":
    cli.launch("evaluate", main)
