"""Pictures from files, at the size of a model's frames. NumPy alone: processes that pack start at once."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from numpy import ndarray as Array
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})


class PictureError(ValueError):
    """A file is no picture that can be read."""


def read_picture(path: Path, size: tuple[int, int]) -> UInt8[Array, "3 H W"]:
    """Read a picture, turned as its EXIF data says, and resize it.

    Args:
        path: of the file.
        size: height and width of the result.

    Raises:
        PictureError: if the file is missing or no picture.
    """
    return decode(path, size)[0]


def decode(path: Path, size: tuple[int, int] | None) -> tuple[UInt8[Array, "3 H W"], tuple[int, int]]:
    """The pixels of a picture at a size (height, width) or, for None, as they are, and the size in its file.

    Raises:
        PictureError: if the file is missing, damaged, no picture, or far too large to be one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
        shown = upright if size is None else upright.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    except FileNotFoundError:
        raise PictureError(f"there is no picture {path}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise PictureError(f"{path} claims to hold more than {limit:.0f} million pixels; scale it down first") from None
    except PermissionError:
        raise PictureError(f"{path} may not be read; check its permissions") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"{path} cannot be read as a picture ({_one_line(error)}); replace it") from None
    return rearrange(np.asarray(shown), "h w c -> c h w"), (upright.height, upright.width)


def read_folder(path: Path, size: tuple[int, int]) -> UInt8[Array, "T 3 H W"]:
    """Read all pictures of a folder, in the order of the last number in their names.

    Raises:
        PictureError: if there is no picture in it.
    """
    files = list_pictures(path.iterdir()) if path.is_dir() else []
    if not files:
        raise PictureError(f"{path} is no folder with pictures")
    return np.stack([read_picture(file, size) for file in files])


def list_pictures(files: Iterable[Path]) -> list[Path]:
    """The pictures among files, in the order of the last number in their names, then of the names."""
    found = [file for file in files if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    return sorted(found, key=lambda file: (-1 if (number := picture_number(file)) is None else number, file.name))


def picture_number(file: Path) -> int | None:
    """The last number in a file's name, which orders it: 630 for ``frame000630.png``."""
    numbers = re.findall(r"\d+", file.stem)
    return int(numbers[-1]) if numbers else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
