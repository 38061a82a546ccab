"""Which files of a folder are which frames: the lab's layout, and folders of sequences."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from vidpred.data.pictures import SUFFIXES, list_pictures, picture_number
from vidpred.data.source import SPLITS, Split


class LayoutError(ValueError):
    """The files of a folder do not fit together."""


class SequenceFiles(NamedTuple):
    """The files of one sequence, in order."""

    name: str
    frames: tuple[Path, ...]
    poses: tuple[Path, ...] = ()  # pose images, one for each frame, or more where poses go on alone
    keypoints: Path | None = None  # a file, or a folder of OpenPose's


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """Finds sequences below a root.

    Two layouts are known. The lab's: ``{train,val,test}/{split}_img/*`` with ``{split}_label/*``, each one sequence, or
    one a sub-folder. And folders of sequences, ``NAME/`` or ``SPLIT/NAME/``, whose files patterns describe.

    Args:
        layout: "lab", "sequences", or "auto", which looks.
        frames: pattern of the frames, relative to the sequence's folder.
        poses: pattern of the pose images.
        keypoints: pattern of the keypoints: an .npy, .npz or .json file, or a folder of OpenPose's JSON files.
        allow_gaps: accept numbers that are missing from a sequence.
        follow_links: accept links to files outside of the root.
    """

    layout: Literal["auto", "lab", "sequences"] = "auto"
    frames: str = "frames/*"
    poses: str = "poses/*"
    keypoints: str = "keypoints*"
    allow_gaps: bool = False
    follow_links: bool = False

    def __post_init__(self) -> None:
        if self.layout not in ("auto", "lab", "sequences"):
            raise ValueError(f"data.layout must be auto, lab or sequences, got {self.layout!r}")
        for name in ("frames", "poses", "keypoints"):
            pattern = Path(getattr(self, name))
            if pattern.is_absolute() or ".." in pattern.parts:
                raise ValueError(f"data.{name} must stay inside of a sequence's folder, got {str(pattern)!r}")

    def find(self, root: Path) -> dict[Split | None, list[SequenceFiles]]:
        """The sequences of every split; under None those of a root that has no folders for splits.

        Raises:
            LayoutError: if the root is missing or holds no sequence, or files do not fit together.
        """
        if not root.is_dir():
            raise LayoutError(f"data.root={root}: there is no such folder")
        found: dict[Split | None, list[SequenceFiles]] = {}
        if self.layout != "sequences":
            found |= {split: _lab_sequences(root, split) for split in SPLITS if _lab_folder(root, split).is_dir()}
        if not found and self.layout != "lab":
            found |= {split: list(self._sequences(root / split)) for split in SPLITS if (root / split).is_dir()}
            if not any(found.values()):
                found = {None: list(self._sequences(root))}
        if not any(found.values()):
            raise LayoutError(
                f"data.root={root} holds neither train/train_img with train/train_label, nor folders with "
                f"{self.frames} and {self.poses} or {self.keypoints}; set data.frames, data.poses, data.keypoints"
            )
        for split, sequences in found.items():
            for sequence in sequences:
                self._check(root, sequence, poses_may_go_on=split == "test")
        return found

    def _sequences(self, root: Path) -> Iterator[SequenceFiles]:
        """Every folder below the root that holds frames, by the numbers in their names."""
        folders = [folder for folder in root.rglob("*") if folder.is_dir() and any(_glob(folder, self.frames))]
        for folder in sorted([root, *folders] if any(_glob(root, self.frames)) else folders):
            keypoints = sorted(folder.glob(self.keypoints))
            if len(keypoints) > 1:
                raise LayoutError(f"{folder} holds several {self.keypoints}: {', '.join(p.name for p in keypoints)}; "
                                  f"keep one, or set data.keypoints")  # fmt: skip
            name = folder.relative_to(root).as_posix()
            poses = tuple(list_pictures(folder.glob(self.poses)))
            yield SequenceFiles(name if name != "." else root.name, tuple(list_pictures(folder.glob(self.frames))),
                                poses, keypoints[0] if keypoints else None)  # fmt: skip

    def _check(self, root: Path, sequence: SequenceFiles, *, poses_may_go_on: bool) -> None:
        where = f"sequence {sequence.name!r} in {root}"
        if not sequence.frames:
            raise LayoutError(f"{where} has no frames: expected pictures ({', '.join(sorted(SUFFIXES))})")
        if not sequence.poses and sequence.keypoints is None:
            raise LayoutError(f"{where} has neither pose images nor keypoints; "
                              f"python -m vidpred.prepare source={root} finds the poses")  # fmt: skip
        frames, poses = len(sequence.frames), len(sequence.poses)
        if poses and poses != frames and not (poses_may_go_on and poses > frames):
            raise LayoutError(f"{where} has {frames} frames and {poses} pose images{_first_unmatched(sequence)}; "
                              f"each frame needs its pose")  # fmt: skip
        for files in (sequence.frames, sequence.poses):
            if not self.allow_gaps:
                _check_numbers(files)
        if not self.follow_links:
            _check_inside(root, list_files(sequence))


def list_files(sequence: SequenceFiles) -> list[Path]:
    """All files of a sequence, and those in a folder of keypoints."""
    keypoints = [] if sequence.keypoints is None else [sequence.keypoints]
    below = [file for path in keypoints if path.is_dir() for file in sorted(path.iterdir())]
    return [*sequence.frames, *sequence.poses, *keypoints, *below]


def _lab_folder(root: Path, split: Split) -> Path:
    return root / split / f"{split}_img"


def _lab_sequences(root: Path, split: Split) -> list[SequenceFiles]:
    frames, poses = _lab_folder(root, split), root / split / f"{split}_label"
    if not poses.is_dir():
        raise LayoutError(f"{frames} has no pose images beside it: expected {poses}")
    below = sorted((folder for folder in frames.iterdir() if folder.is_dir()), key=_by_number)
    parts = [(folder, poses / folder.name) for folder in below] or [(frames, poses)]
    sequences = []
    for images, labels in parts:
        if not labels.is_dir():
            raise LayoutError(f"{images} has no pose images: expected {labels}")
        name = images.relative_to(root / split).as_posix().replace(f"{split}_img", split)
        sequences.append(
            SequenceFiles(name, tuple(list_pictures(images.iterdir())), tuple(list_pictures(labels.iterdir())))
        )
    return sequences


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    return (file for file in folder.glob(pattern) if file.suffix.lower() in SUFFIXES)


def _by_number(file: Path) -> tuple[int, str]:
    number = picture_number(file)
    return (-1 if number is None else number, file.name)


def _first_unmatched(sequence: SequenceFiles) -> str:
    """The first number that only one side has, in words."""
    frames, poses = ({picture_number(file) for file in files} for files in (sequence.frames, sequence.poses))
    alone = sorted(number for number in frames ^ poses if number is not None)
    return f" (number {alone[0]} has only a {'frame' if alone[0] in frames else 'pose'})" if alone else ""


def _check_numbers(files: tuple[Path, ...]) -> None:
    """Numbers go up by one step; one that is missing is most likely lost."""
    numbers = [picture_number(file) for file in files]
    present = [number for number in numbers if number is not None]
    if len(present) < len(numbers) or len(present) < 3:
        return
    steps = [after - before for before, after in itertools.pairwise(present)]
    if 0 in steps:
        place = steps.index(0)
        raise LayoutError(f"{files[place]} and {files[place + 1].name} have the same number; rename one")
    step = min(steps)
    for place, jump in enumerate(steps):
        if jump != step:
            raise LayoutError(f"{files[place].parent} lacks number {present[place] + step}, after {files[place].name}; "
                              f"add it, or accept gaps with data.allow_gaps=true")  # fmt: skip


def _check_inside(root: Path, files: list[Path]) -> None:
    home = root.resolve()
    links = [file for file in files if file.is_symlink()]
    for place in [*{file.parent for file in files}, *links]:
        if not place.resolve().is_relative_to(home):
            raise LayoutError(f"{place} is a link that leaves {root}; accept such with data.follow_links=true")
