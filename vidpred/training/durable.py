"""Checkpoints that survive: written beside, synced, and moved in place, with the one before kept."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name, syncs it to the disk and renames it.

    A process that is killed, or a machine that loses its power, leaves the old file or the new one, never a half. Of
    ``last.ckpt`` the file before is kept as ``previous.ckpt``, for disks that lose what they have confirmed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: if it cannot be written; what was there before stays.
        """
        target = Path(path)
        temporary = target.with_name(f".{target.name}-{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            written = io.BytesIO()  # torch's own writer does not tell why a disk refuses
            torch.save(checkpoint, written)
            with temporary.open("wb") as stream:
                stream.write(written.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
            if target.name == "last.ckpt" and target.is_file():
                _keep(target, target.with_name("previous.ckpt"))
            os.replace(temporary, target)
            _sync_folder(target.parent)
        except OSError as error:
            reason = error.strerror or error
            advice = "; the one before is kept. Make room, then go on with resume=…" if target.is_file() else ""
            raise OSError(f"the checkpoint {target} could not be written: {reason}{advice}") from error
        finally:
            with contextlib.suppress(OSError):  # its folder may be gone
                temporary.unlink(missing_ok=True)


def _keep(file: Path, name: Path) -> None:
    """Give a file a second name, so that it stays when its first is taken over; at no moment is it without one."""
    spare = name.with_name(f".{name.name}-{os.getpid()}")
    spare.unlink(missing_ok=True)
    try:
        os.link(file, spare)
    except OSError:  # no hard links on this disk: then there is a moment with one good file, the old one
        os.replace(file, name)
        return
    os.replace(spare, name)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable too; where folders cannot be opened (Windows), that is the system's matter."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
