"""Turn videos into data: ``python -m vidpred.prepare source=my.mp4 out=data/mine``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> str:
    """Find the person in every frame, crop, split and pack; the folder, ready for ``data=packed data.root=…``."""
    import json

    from vidpred.assembly import build_preparation, to_plain
    from vidpred.data.statistics import describe_store
    from vidpred.data.store import open_store
    from vidpred.preparation.films import find_films
    from vidpred.preparation.preview import preview_film, preview_sheet
    from vidpred.reporting.data import print_preparation, print_statistics
    from vidpred.viz.films import save_png

    if cfg.verify is not None:
        return verify(Path(cfg.verify))
    if cfg.source is None or cfg.out is None:
        raise ValueError("source=… (a video, or a folder) and out=… (where the data goes) are needed, or verify=…")
    films = find_films(cfg.source, fps=cfg.picture_fps)
    preparation, estimator = build_preparation(cfg)
    identity = json.dumps(to_plain(cfg)["pose_estimator"], sort_keys=True)
    report = preparation.run(films, estimator, identity=identity)
    stores = {split: open_store(preparation.out / split) for split in report["splits"]}
    (preparation.out / "preview.gif").write_bytes(preview_film(stores["train"], scale=cfg.preview_scale))
    save_png(preview_sheet(stores["train"], scale=cfg.preview_scale), preparation.out / "preview.png")
    print_preparation(report, preparation.out)
    print_statistics({split: describe_store(store)._asdict() for split, store in stores.items()})
    return str(preparation.out)


def verify(root: Path) -> str:
    """Read every byte of prepared data and compare it with what was written."""
    from vidpred.data.packed import PackedSource

    for split, store in PackedSource(root=root).stores.items():
        store.verify()
        print(f"{root / split}: {len(store.frames)} frames are as they were written")
    return str(root)


if __name__ == "__main__":
    cli.launch("prepare", main)
