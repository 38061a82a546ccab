"""Roll out a checkpoint: ``python -m vidpred.predict ckpt=outputs/… image=me.png poses=poses/``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> str:
    """Write the film of pose, prediction and, where it is known, truth; its path."""
    import torch

    from vidpred.assembly import data_of, load_predictor
    from vidpred.data.clips import whole_sequence
    from vidpred.data.pictures import read_folder, read_picture
    from vidpred.runfolder import RunFolder, home_of
    from vidpred.viz.films import encode_gif, side_by_side, to_pixels

    if (cfg.image is None) != (cfg.poses is None):
        raise ValueError("image and poses go together: give both, or neither for a clip of the checkpoint's data")
    out = Path(cfg.out) if cfg.out is not None else home_of(Path(cfg.ckpt)) / "prediction.gif"
    if out.suffix != ".gif":
        raise ValueError(f"out={out}: films are written as .gif")
    predictor = load_predictor(Path(cfg.ckpt), device=cfg.device)
    known, shape = predictor.context_frames, predictor.model.shape
    if cfg.image is None:
        data = data_of(predictor)
        fps = data.fps
        frames, poses = whole_sequence(data.store(cfg.split), data.poses, cfg.clip, step=data.frame_step)
        truth = {"truth": to_pixels(frames[known:].float() / 255)} if len(frames) == len(poses) else {}
    else:
        fps, size = 12.0, (shape.height, shape.width)
        frames, truth = torch.from_numpy(read_picture(Path(cfg.image), size))[None], {}
        poses = torch.from_numpy(read_folder(Path(cfg.poses), size))
    film = predictor.rollout(frames[:known], poses, z=cfg.z, seed=cfg.seed)
    rows = {"pose": to_pixels(poses[known:].float() / 255), **truth, "prediction": to_pixels(film)}
    RunFolder(out.parent).write(out.name, encode_gif(side_by_side(rows, scale=cfg.scale), fps=cfg.fps or fps))
    print(f"{len(film)} frames predicted: {out}")
    return str(out)


if __name__ == "__main__":
    cli.launch("predict", main)
