"""Films and strips of several rows: truth, pose, prediction, side by side."""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from numpy import ndarray as Array
from PIL import Image, ImageDraw, ImageFont

Rows = dict[str, UInt8[Array, "T H W 3"]]
Upscale = Literal["nearest", "bicubic"]
_MARGIN = 2
_INK, _PAPER = (30, 30, 34), (250, 250, 248)


def shrink(film: UInt8[Array, "T H W 3"], side: int) -> UInt8[Array, "T h w 3"]:
    """The film with no side longer than ``side`` pixels, by averages of whole blocks; as it is where it fits."""
    factor = -(-max(film.shape[1:3]) // side)
    if factor == 1:
        return film
    return np.stack([np.asarray(Image.fromarray(frame).reduce(factor)) for frame in film])


def strip(rows: Rows, *, columns: int = 10, scale: int = 1) -> UInt8[Array, "h w 3"]:
    """A still picture: one row per film, ``columns`` moments spread evenly from first to last."""
    frames = min(len(film) for film in rows.values())
    moments = np.linspace(0, frames - 1, min(columns, frames)).round().astype(int)
    tiles = {name: rearrange(film[moments], "t h w c -> h (t w) c") for name, film in rows.items()}
    return _label(tiles, scale, captions=[f"{moment}" for moment in moments])


def side_by_side(
    rows: Rows, *, scale: int = 1, per_row: int | None = None, upscale: Upscale = "nearest"
) -> UInt8[Array, "T h w 3"]:
    """A film of several films next to each other, their names above; a single one stands alone, without its name.

    Args:
        rows: the films, by name.
        scale: how many times they are enlarged.
        per_row: films next to each other before the next row begins; None puts all in one.
        upscale: "nearest" shows pixels as they are, "bicubic" softens them.
    """
    films = {name: _enlarge(film, scale, upscale) for name, film in rows.items()}
    if len(films) == 1:
        return next(iter(films.values()))
    frames = min(len(film) for film in films.values())
    height, width = next(iter(films.values())).shape[1:3]
    columns = min(per_row or len(films), len(films))
    lines = [list(films)[first : first + columns] for first in range(0, len(films), columns)]
    head = _header(lines[0], width, columns=columns).shape[0]
    shape = (frames, len(lines) * (head + height), columns * (width + _MARGIN) - _MARGIN, 3)
    out = np.full(shape, _PAPER, dtype=np.uint8)
    for number, names in enumerate(lines):
        top = number * (head + height)
        out[:, top : top + head] = _header(names, width, columns=columns)
        for column, name in enumerate(names):
            left = column * (width + _MARGIN)
            out[:, top + head : top + head + height, left : left + width] = films[name][:frames]
    return out


def encode_gif(film: UInt8[Array, "T H W 3"], *, fps: float) -> bytes:
    """An endlessly looping GIF; all frames share one palette, so that nothing flickers."""
    seen = (
        film[:: max(1, len(film) // 8), ::2, ::2] & 0xF8 | 4
    )  # with 32 shades a channel the palette is found in a third
    sample = Image.fromarray(rearrange(seen, "t h w c -> (t h) w c"))  # of the time, and is the better one
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in film]
    stream = io.BytesIO()
    duration = round(1000 / fps / 10) * 10  # GIF counts in hundredths of a second
    images[0].save(
        stream, format="GIF", save_all=True, append_images=images[1:], duration=[duration] * len(images), loop=0
    )
    return stream.getvalue()


def encode_png(picture: UInt8[Array, "H W 3"]) -> bytes:
    """A PNG, in half of the time and an eighth more bytes than at Pillow's own level of compression."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def save_png(picture: UInt8[Array, "H W 3"], path: Path) -> None:
    """Write a picture as PNG."""
    path.write_bytes(encode_png(picture))


def _enlarge(film: UInt8[Array, "T H W 3"], scale: int, upscale: Upscale = "nearest") -> UInt8[Array, "T h w 3"]:
    if scale == 1 or upscale == "nearest":
        return film.repeat(scale, axis=1).repeat(scale, axis=2)
    size = (film.shape[2] * scale, film.shape[1] * scale)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)) for frame in film])


def _header(names: list[str], width: int, *, columns: int) -> UInt8[Array, "h w 3"]:
    """Names in columns of a width, on paper."""
    size = max(9, min(14, width // 8))
    font = ImageFont.load_default(size)
    height = size + 6
    image = Image.new("RGB", (columns * (width + _MARGIN) - _MARGIN, height), _PAPER)
    draw = ImageDraw.Draw(image)
    for column, name in enumerate(names):
        draw.text((column * (width + _MARGIN) + width // 2, height // 2), name, _INK, font=font, anchor="mm")
    return np.asarray(image)


def _label(tiles: dict[str, UInt8[Array, "_ _ 3"]], scale: int, *, captions: list[str]) -> UInt8[Array, "h w 3"]:
    """Rows of tiles with names on the left and captions above the columns."""
    font = ImageFont.load_default(size=12)
    left = max(int(font.getlength(name)) for name in tiles) + 12
    first = next(iter(tiles.values()))
    height, width = first.shape[0] * scale, first.shape[1] * scale
    image = Image.new("RGB", (left + width, 18 + len(tiles) * (height + _MARGIN) - _MARGIN), _PAPER)
    draw = ImageDraw.Draw(image)
    for column, caption in enumerate(captions):
        draw.text((left + (column + 0.5) * width / len(captions), 9), caption, _INK, font=font, anchor="mm")
    for row, (name, tile) in enumerate(tiles.items()):
        top = 18 + row * (height + _MARGIN)
        draw.text((left - 6, top + height // 2), name, _INK, font=font, anchor="rm")
        image.paste(Image.fromarray(_enlarge(tile[None], scale)[0]), (left, top))
    return np.asarray(image)
