"""The preparation: films in, packed splits out. What is finished stays finished when it is killed and started again."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.draft import Draft, Layout, create_store, exclusive
from vidpred.data.parallel import count_cores, map_processes
from vidpred.data.source import SPLITS, Split
from vidpred.data.splits import Splitting
from vidpred.data.store import SequenceInfo, StoreError, open_store
from vidpred.pose.cleaning import clean
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.keypoints import present
from vidpred.pose.maps import PoseMap
from vidpred.pose.skeletons import SKELETONS, Skeleton, skeleton_to_dict
from vidpred.preparation.cropping import CropWindow, choose_window, move_keypoints
from vidpred.preparation.films import Film, choose_frames
from vidpred.preparation.jobs import FrameJob, PoseJob, cut_frames, estimate_poses

_CHUNK = 200  # frames of a job; what a kill loses at most


class PreparationError(ValueError):
    """Films cannot be prepared as asked."""


class Posed(NamedTuple):
    """A film, and what was found in it."""

    film: Film
    numbers: tuple[int, ...]  # of the frames that are looked at
    keypoints: Float[Array, "T J 3"]  # cleaned, in pixels of the film
    stretches: tuple[slice, ...]  # of them, that are kept
    interpolated: int
    cut: int
    window: CropWindow


class Piece(NamedTuple):
    """One sequence of a split: frames ``begin`` to ``end`` of those that are looked at."""

    posed: Posed
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How films become data.

    Args:
        out: folder that gets ``train``, ``val`` and maybe ``test``.
        height: of the stored frames, pixels.
        width: likewise.
        fps: frames a second to take; None takes all.
        crop: "person", "none" or "x,y,w,h"; see ``choose_window``.
        margin: around the person, in heights of the person.
        splitting: divides films, or each film's time.
        min_confidence: joints below are missing.
        max_gap: seconds that are bridged by interpolation.
        min_stretch: seconds that a stretch with a person lasts at least.
        maps: pose maps to draw and store beside the keypoints; None stores keypoints alone.
        workers: processes.

    Raises:
        ValueError: for an option out of its range.
    """

    out: Path
    height: int
    width: int
    fps: float | None = None
    crop: str = "person"
    margin: float = 0.15
    splitting: Splitting = field(default_factory=Splitting)
    min_confidence: float = 0.3
    max_gap: float = 0.4
    min_stretch: float = 1.0
    maps: PoseMap | None = None
    workers: int = field(default_factory=count_cores)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 8 or not 0 <= self.min_confidence <= 1:
            raise ValueError(f"height and width must be >= 8 and min_confidence in [0, 1], "
                             f"got {self.height}, {self.width}, {self.min_confidence}")  # fmt: skip
        if min(self.margin, self.max_gap, self.min_stretch) < 0 or self.workers < 1 or (self.fps or 1) <= 0:
            given = (self.margin, self.max_gap, self.min_stretch, self.fps, self.workers)
            raise ValueError(f"margin, max_gap and min_stretch must be >= 0, fps > 0 and workers >= 1, got {given}")

    def run(self, films: Sequence[Film], estimator: PoseEstimator, *, identity: str) -> dict[str, Any]:
        """Prepare films.

        Args:
            films: what there is.
            estimator: finds the person.
            identity: of the estimator and its options, so that its results are used again only for the same.

        Returns:
            What was done, as plain data; it is also in ``out/prepare.json``.

        Raises:
            PreparationError: if a film shows no person.
            FilmError: if a film cannot be read.
            SplitError: if a split stays empty.
        """
        settings = {**asdict(self), "out": None, "workers": None, "maps": repr(self.maps), "estimator": identity}
        key = json.dumps([settings, [film.digest for film in films]], sort_keys=True)
        fingerprint = hashlib.sha256(key.encode()).hexdigest()[:16]
        finished = self._finished(fingerprint)
        if finished is not None:
            return finished
        work = self.out / ".work"
        posed = self._find_poses(films, estimator, work, identity)
        pieces = self._divide(posed)
        for split in SPLITS:
            if split in pieces:
                self._store(split, pieces[split], _skeleton_of(estimator), fingerprint)
            elif (self.out / split).is_dir():
                shutil.rmtree(self.out / split)
        shutil.rmtree(work, ignore_errors=True)
        return self._report(posed, pieces, fingerprint)

    def _finished(self, fingerprint: str) -> dict[str, Any] | None:
        """What was done, if the same was done before."""
        try:
            report: dict[str, Any] = json.loads((self.out / "prepare.json").read_text(encoding="utf-8"))
            stores = [open_store(self.out / split) for split in report["splits"]]
        except (OSError, ValueError, KeyError):
            return None
        return report if all(store.fingerprint == fingerprint for store in stores) else None

    def _find_poses(self, films: Sequence[Film], estimator: PoseEstimator, work: Path, identity: str) -> list[Posed]:
        jobs: dict[Film, list[PoseJob]] = {}
        for film in films:
            numbers = choose_frames(film.times, self.fps)
            key = hashlib.sha256(f"{film.digest} {self.fps} {identity}".encode()).hexdigest()[:16]
            jobs[film] = [
                PoseJob(film, tuple(numbers[first : first + _CHUNK]), estimator, work / key / f"poses-{first:07}.npy")
                for first in range(0, len(numbers), _CHUNK)
            ]
        missing = [job for several in jobs.values() for job in several if not job.file.is_file()]
        for _ in map_processes(estimate_poses, missing, title="Finding poses", workers=self.workers, chunk=1):
            pass
        return [self._clean(film, several) for film, several in jobs.items()]

    def _clean(self, film: Film, jobs: Sequence[PoseJob]) -> Posed:
        raw = np.concatenate([np.load(job.file, allow_pickle=False) for job in jobs])
        rate = self._rate(film)
        cleaned = clean(raw, min_confidence=self.min_confidence, max_gap=round(self.max_gap * rate),
                        min_stretch=max(2, round(self.min_stretch * rate)))  # fmt: skip
        if not cleaned.stretches:
            found = int(present(raw).any(axis=1).sum())
            raise PreparationError(
                f"{film.path} shows no person for {self.min_stretch} s on end (found in {found} of {len(raw)} frames); "
                f"leave it out, or lower min_stretch, min_confidence or the estimator's thresholds"
            )
        kept = np.concatenate([cleaned.keypoints[stretch] for stretch in cleaned.stretches])
        size = (self.height, self.width)
        window = choose_window(self.crop, kept, film.size, size, margin=self.margin)
        numbers = tuple(number for job in jobs for number in job.numbers)
        return Posed(
            film, numbers, cleaned.keypoints, tuple(cleaned.stretches), cleaned.interpolated, cleaned.cut, window
        )

    def _rate(self, film: Film) -> float:
        """Frames a second that are looked at."""
        return self.fps or film.fps

    def _divide(self, posed: Sequence[Posed]) -> dict[Split, list[Piece]]:
        """Every split's sequences: where its share of a film's time meets a stretch with a person."""
        pieces: dict[Split, list[Piece]] = {}
        for share in self.splitting.divide([len(one.numbers) for one in posed]):
            one = posed[share.sequence]
            shortest = max(2, round(self.min_stretch * self._rate(one.film)))
            for stretch in one.stretches:
                begin, end = max(stretch.start, share.begin), min(stretch.stop, share.end)
                if end - begin >= shortest:
                    pieces.setdefault(share.split, []).append(Piece(one, begin, end))
        for split in ("train", "val"):
            if split not in pieces:
                raise PreparationError(f"no stretch with a person of {self.min_stretch} s falls into {split}; "
                                       f"set split.by, split.val or min_stretch")  # fmt: skip
        return pieces

    def _store(self, split: Split, pieces: Sequence[Piece], skeleton: Skeleton, fingerprint: str) -> None:
        path, size = self.out / split, (self.height, self.width)
        with exclusive(path):
            if _is_stored(path, fingerprint):
                return
            infos: list[SequenceInfo] = []
            for piece in pieces:
                first = infos[-1].first + infos[-1].length if infos else 0
                length = piece.end - piece.begin
                name = f"{piece.posed.film.name}-{piece.begin:06}"
                infos.append(SequenceInfo(name, first, length, length, piece.posed.film.digest, piece.begin))
            shapes: dict[str, tuple[int, ...]] = {"frames": (3, *size), "keypoints": (len(skeleton.joints), 3)}
            if self.maps is not None:
                shapes["poses"] = (self.maps.channels(skeleton), *size)
            films = {piece.posed.film.digest: str(piece.posed.film.path) for piece in pieces}
            about = {"fps": self._rate(pieces[0].posed.film), "skeleton": skeleton_to_dict(skeleton), "films": films}
            layout = Layout(sequences=tuple(infos), shapes=shapes, fingerprint=fingerprint, about=about)
            with create_store(path, layout) as draft:
                self._fill(draft, infos, pieces, skeleton, title=f"Packing {split}")

    def _fill(
        self, draft: Draft, infos: Sequence[SequenceInfo], pieces: Sequence[Piece], skeleton: Skeleton, *, title: str
    ) -> None:
        size = (self.height, self.width)
        jobs = {}
        for info, piece in zip(infos, pieces, strict=True):
            keypoints = move_keypoints(piece.posed.keypoints[piece.begin : piece.end], piece.posed.window, size)
            rows = slice(info.first, info.first + info.length)
            draft.array("keypoints")[rows] = keypoints
            if self.maps is not None:
                draft.array("poses")[rows] = self.maps(keypoints, skeleton, size)
            for job in _frame_jobs(draft, info, piece, size):
                key = hashlib.sha256(f"{info.source} {job.row} {job.numbers} {job.window}".encode()).hexdigest()
                if not draft.is_done(key):
                    jobs[key] = job
        done = map_processes(cut_frames, list(jobs.values()), title=title, workers=self.workers, chunk=1)
        for key, _ in zip(jobs, done, strict=True):
            draft.finish(key)

    def _report(self, posed: Sequence[Posed], pieces: dict[Split, list[Piece]], fingerprint: str) -> dict[str, Any]:
        films = [
            {
                "film": str(one.film.path),
                "seconds": len(one.numbers) / self._rate(one.film),
                "frames": len(one.numbers),
                "kept": sum(stretch.stop - stretch.start for stretch in one.stretches),
                "stretches": len(one.stretches),
                "interpolated": one.interpolated,
                "cut": one.cut,
                "size": list(one.film.size),
                "window": list(one.window),
            }
            for one in posed
        ]
        splits = {split: {"sequences": len(several), "frames": sum(piece.end - piece.begin for piece in several)}
                  for split in SPLITS if (several := pieces.get(split))}  # fmt: skip
        report = {"fingerprint": fingerprint, "size": [self.height, self.width], "films": films, "splits": splits}
        (self.out / "prepare.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        return report


def _frame_jobs(draft: Draft, info: SequenceInfo, piece: Piece, size: tuple[int, int]) -> Iterator[FrameJob]:
    for offset in range(0, info.length, _CHUNK):
        numbers = piece.posed.numbers[piece.begin + offset : min(piece.begin + offset + _CHUNK, piece.end)]
        yield FrameJob(piece.posed.film, numbers, piece.posed.window, size, draft.folder, info.first + offset)


def _is_stored(path: Path, fingerprint: str) -> bool:
    try:
        return open_store(path).fingerprint == fingerprint
    except StoreError:
        return False


def _skeleton_of(estimator: PoseEstimator) -> Skeleton:
    """The built-in skeleton with the estimator's joints.

    Raises:
        PreparationError: if there is none.
    """
    for skeleton in SKELETONS.values():
        if skeleton.joints == estimator.joints:
            return skeleton
    raise PreparationError(f"no skeleton has the joints {list(estimator.joints)}")
