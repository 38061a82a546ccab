"""Hand a model on: ``python -m vidpred.export ckpt=outputs/… format=safetensors``."""

from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> str:
    """Write the model in a format that others read; where it is."""
    from vidpred.assembly import export

    out = export(cfg)
    print(f"exported as {cfg.format}: {out}")
    return str(out)


if __name__ == "__main__":
    cli.launch("export", main)
