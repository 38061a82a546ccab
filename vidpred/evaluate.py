"""Score checkpoints: ``python -m vidpred.evaluate ckpt=outputs/…``."""

from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> float:
    """Score every checkpoint, explain, compare the others with the first; the mean PSNR of the first in dB."""
    from vidpred.assembly import Evaluation, build, evaluate_checkpoints, join_processes
    from vidpred.evaluation.scoring import Scorer
    from vidpred.metrics.lpips import Lpips, PerceptualWeightsError
    from vidpred.reporting.evaluation import print_comparison, print_evaluation, print_ranking

    left_out: list[str] = []
    lpips = None
    if cfg.lpips:
        try:
            lpips = Lpips()
        except PerceptualWeightsError as error:
            left_out.append(str(error))
    scorer = Scorer(build(cfg.protocol), lpips=lpips)
    found: list[Evaluation] = []
    with join_processes() as processes:
        for one in evaluate_checkpoints(cfg, scorer, left_out, processes):
            found.append(one)
            if processes.is_first:
                print_evaluation(one.folder)
                print_comparison(one.folder)
        if processes.is_first and len(found) > 1:
            print_ranking([one.folder for one in found])
    return found[0].assessment.mean_psnr


if __name__ == "__main__":
    cli.launch("evaluate", main)
