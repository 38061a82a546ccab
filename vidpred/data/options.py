"""Sources from the flat options of ``conf/data/folder.yaml`` and ``conf/data/packed.yaml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from vidpred.data.folder import FolderSource
from vidpred.data.layouts import FolderLayout
from vidpred.data.packed import PackedSource
from vidpred.data.splits import Splitting


def folder_source(
    *,
    root: str,
    height: int,
    width: int,
    layout: Literal["auto", "lab", "sequences"],
    frames: str,
    pose_images: str,
    keypoints: str,
    skeleton: str | None,
    keypoint_units: Literal["pixels", "unit"],
    split: Mapping[str, Any],
    fps: float,
    allow_gaps: bool,
    allow_overlap: bool,
    follow_links: bool,
    cache: str,
) -> FolderSource:
    """Build the source; see ``FolderSource``, ``FolderLayout`` and ``Splitting`` for the options.

    Raises:
        ValueError: for an option out of its range.
    """
    return FolderSource(
        root=Path(root).expanduser(),
        cache=Path(cache).expanduser(),
        height=height,
        width=width,
        layout=FolderLayout(
            layout=layout,
            frames=frames,
            poses=pose_images,
            keypoints=keypoints,
            allow_gaps=allow_gaps,
            follow_links=follow_links,
        ),
        splitting=Splitting(**split),
        skeleton=skeleton,
        keypoint_units=keypoint_units,
        fps=fps,
        allow_overlap=allow_overlap,
    )


def packed_source(*, root: str, allow_overlap: bool) -> PackedSource:
    """Build the source; see ``PackedSource``.

    Raises:
        StoreError: if there is no prepared data.
    """
    return PackedSource(root=Path(root).expanduser(), allow_overlap=allow_overlap)
