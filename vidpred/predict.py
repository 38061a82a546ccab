"""Make a film of a picture: ``python -m vidpred.predict ckpt=outputs/… image=me.png poses=dance.mp4``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> str:
    """Write the film, or the lab's submission, or score one; the file."""
    from vidpred.assembly import score_files, write_submission

    if cfg.format not in ("film", "submission"):
        raise ValueError(f"format must be film or submission, got {cfg.format!r}")
    if cfg.score is not None and cfg.format == "film" and cfg.submission is None:
        raise ValueError("score=… is the truth of a submission: add format=submission, or submission=FILE")
    if cfg.submission is None:
        predictor, out = _load(cfg)
        if cfg.format == "film":
            return _write_film(cfg, predictor, out)
        print(f"{write_submission(cfg, predictor, out)} rows written: {out}")
    else:
        out = Path(cfg.submission).expanduser()
    if cfg.score is not None:
        score = score_files(cfg, out)
        for number, mean in enumerate(score.per_sequence):
            print(f"sequence {number}: {mean:.4f} dB")
        print(f"mean PSNR of frames 1 to {cfg.counted}, range 255: {score.mean:.4f} dB")
    return str(out)


def _load(cfg: "DictConfig") -> tuple[Any, Path]:
    from vidpred.assembly import LabOptions, default_film, load_predictor
    from vidpred.runfolder import home_of
    from vidpred.viz.writers import check_place

    ckpt = Path(cfg.ckpt).expanduser()
    if cfg.out is not None:
        out = Path(cfg.out).expanduser()
    else:
        out = default_film(ckpt) if cfg.format == "film" else home_of(ckpt) / "submission.csv"
    if cfg.format == "film":
        check_place(out)
    return load_predictor(ckpt, device=cfg.device, lab=LabOptions(**cfg.lab)), out


def _write_film(cfg: "DictConfig", predictor: Any, out: Path) -> str:
    from vidpred.animation.film import write_film
    from vidpred.assembly import set_stage
    from vidpred.reporting.progress import count_frames

    stage = set_stage(cfg, predictor)
    with count_frames(int(stage.poses.shape[1]) - len(stage.context)) as advance:
        frames = write_film(predictor, stage, out, show=cfg.show, z=cfg.z, temperature=cfg.temperature,
                            samples=cfg.samples, seed=cfg.seed, fps=cfg.fps, scale=cfg.scale, upscale=cfg.upscale,
                            advance=advance)  # fmt: skip
    print(f"{frames} frames predicted: {out}")
    return str(out)


if __name__ == "__main__":
    cli.launch("predict", main)
