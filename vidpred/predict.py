"""Make a film of a picture: ``python -m vidpred.predict ckpt=outputs/… image=me.png poses=dance.mp4``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> str:
    """Write the film, or the lab's submission, and score it if a truth is given; where it is."""
    from vidpred.animation.film import write_film
    from vidpred.assembly import default_film, load_predictor, set_stage
    from vidpred.reporting.progress import count_frames

    out = Path(cfg.out).expanduser() if cfg.out is not None else default_film(Path(cfg.ckpt))
    predictor = load_predictor(Path(cfg.ckpt), device=cfg.device)
    stage = set_stage(cfg, predictor)
    total = int(stage.poses.shape[1]) - len(stage.context)
    with count_frames(total) as advance:
        frames = write_film(predictor, stage, out, show=cfg.show, z=cfg.z, temperature=cfg.temperature,
                            samples=cfg.samples, seed=cfg.seed, fps=cfg.fps, scale=cfg.scale, upscale=cfg.upscale,
                            advance=advance)  # fmt: skip
    print(f"{frames} frames predicted: {out}")
    return str(out)


if __name__ == "__main__":
    cli.launch("predict", main)
