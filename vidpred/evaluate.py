"""Score checkpoints: ``python -m vidpred.evaluate ckpt=outputs/…``."""

from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> float:
    """Score every checkpoint, explain, compare the others with the first; the mean PSNR of the first in dB."""
    from vidpred.assembly import build, evaluate_checkpoints, join_processes
    from vidpred.evaluation.scoring import Scorer
    from vidpred.metrics.lpips import Lpips, PerceptualWeightsError
    from vidpred.reporting.evaluation import print_comparison, print_evaluation

    left_out: list[str] = []
    lpips = None
    if cfg.lpips:
        try:
            lpips = Lpips()
        except PerceptualWeightsError as error:
            left_out.append(str(error))
    scorer = Scorer(build(cfg.protocol), lpips=lpips)
    scores = []
    with join_processes() as processes:
        for found in evaluate_checkpoints(cfg, scorer, left_out, processes):
            scores.append(found.assessment.mean_psnr)
            if processes.is_first:
                print_evaluation(found.folder)
                print_comparison(found.folder)
    return scores[0]


if __name__ == "__main__":
    cli.launch("evaluate", main)
