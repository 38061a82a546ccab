"""Pictures from files, at the size of a model's frames."""

import re
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif"}


def read_picture(path: Path, size: tuple[int, int]) -> UInt8[Tensor, "3 H W"]:
    """Read a picture, turned as its EXIF data says, and resize it.

    Args:
        path: of the file.
        size: height and width of the result.

    Raises:
        ValueError: if the file is missing or no picture.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            pixels = np.asarray(upright.resize((size[1], size[0]), Image.Resampling.LANCZOS))
    except FileNotFoundError:
        raise ValueError(f"there is no picture {path}") from None
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from None
    return rearrange(torch.from_numpy(pixels.copy()), "h w c -> c h w")


def read_folder(path: Path, size: tuple[int, int]) -> UInt8[Tensor, "T 3 H W"]:
    """Read all pictures of a folder, in the order of the last number in their names.

    Raises:
        ValueError: if there is no picture in it.
    """
    files = [file for file in path.glob("*") if file.suffix.lower() in _SUFFIXES] if path.is_dir() else []
    if not files:
        raise ValueError(f"{path} is no folder with pictures")
    return torch.stack([read_picture(file, size) for file in sorted(files, key=_number)])


def _number(file: Path) -> tuple[int, str]:
    numbers = re.findall(r"\d+", file.stem)
    return (int(numbers[-1]) if numbers else -1, file.name)
