"""Score a checkpoint: ``python -m vidpred.evaluate ckpt=outputs/…``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> float:
    """Roll out every clip of the split, print and write the scores; the mean PSNR in dB."""
    from vidpred.assembly import data_of, load_predictor
    from vidpred.evaluation.outcome import record_evaluation
    from vidpred.reporting.outcome import print_evaluation
    from vidpred.runfolder import RunFolder, home_of

    out = Path(cfg.out) if cfg.out is not None else home_of(Path(cfg.ckpt)) / "evaluation"
    predictor = load_predictor(Path(cfg.ckpt), device=cfg.device)
    summary = record_evaluation(RunFolder(out), predictor, data_of(predictor), split=cfg.split, z=cfg.z, seed=cfg.seed)
    print_evaluation(RunFolder(out))
    return float(summary["psnr"])


if __name__ == "__main__":
    cli.launch("evaluate", main)
