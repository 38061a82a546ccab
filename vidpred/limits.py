"""Files that strangers may have made, refused before they fill the memory: huge JSON, archives that swell, links."""

import json
import zipfile
from pathlib import Path
from typing import Any


def read_json(file: Path, *, most: int = 64_000_000) -> Any:
    """The value in a JSON file.

    Args:
        file: to read.
        most: bytes that it may have.

    Raises:
        ValueError: if it has more, which is known before it is read, or is no JSON.
        OSError: if it cannot be read.
    """
    text = read_text(file, most=most)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_text(file: Path, *, most: int) -> str:
    """The text in a file of at most so many bytes.

    Raises:
        ValueError: if it has more, which is known before it is read, or is not in UTF-8.
        OSError: if it cannot be read.
    """
    _check_size(file.stat().st_size, most)
    return file.read_text(encoding="utf-8")


def check_archive(file: Path, *, most: int) -> None:
    """Refuse an archive, such as .npz, that holds more than so many bytes: zeros shrink a thousandfold.

    Raises:
        ValueError: if it does, which is known before anything is unpacked.
        OSError: if it cannot be read; zipfile.BadZipFile: if it is damaged.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            _check_size(sum(info.file_size for info in archive.infolist()), most)


def check_inside(file: Path, home: Path) -> None:
    """Refuse a file that a link takes out of its folder.

    Raises:
        ValueError: if it does.
    """
    if not file.resolve().is_relative_to(home.resolve()):
        raise ValueError(f"it is a link that leaves {home}")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it holds {size / 1e6:.1f} MB, and such a file at most {most / 1e6:.1f}")
