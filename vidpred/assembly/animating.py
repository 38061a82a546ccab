"""Films, from their configuration: who is in the picture, and who drives."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from omegaconf import DictConfig

from vidpred.animation.driving import (
    DrivingError,
    Edits,
    estimate_driving,
    estimate_person,
    find_kind,
    read_driving,
)
from vidpred.animation.stage import DrawnPoses, Stage, frame_picture
from vidpred.assembly.building import build, to_plain
from vidpred.assembly.trained import PoseLook, data_of, pose_look_of
from vidpred.data.clips import whole_sequence
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.pictures import decode, read_folder
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.fitted import FittedEstimator
from vidpred.pose.fitting import fit_poses
from vidpred.pose.skeletons import load_skeleton
from vidpred.predictor import Predictor
from vidpred.preparation.films import VideoFile, choose_frames
from vidpred.runfolder import home_of

_FPS = 12.0  # where nobody knows


def set_stage(cfg: DictConfig, predictor: Predictor) -> Stage:
    """The picture and the poses that a configuration asks for.

    Raises:
        ValueError: if they cannot be had, with the reason.
    """
    edits = Edits(**to_plain(cfg)["edit"])
    if (cfg.image is None) != (cfg.poses is None):
        raise ValueError("image and poses go together: give both, or neither for a clip of the checkpoint's data")
    if cfg.image is None:
        _refuse(cfg, "a clip of the data", ("skeleton", "video_fps"))
        return _stage_clip(cfg, predictor, edits)
    _refuse(cfg, "a picture of your own", ("drive",))
    poses, image = Path(cfg.poses).expanduser(), Path(cfg.image).expanduser()
    picture = np.ascontiguousarray(decode(image, None)[0].transpose(1, 2, 0))
    kind = find_kind(poses)
    _refuse(cfg, f"poses={cfg.poses}", {"images": ("skeleton", "video_fps"), "keypoints": ("video_fps",),
                                        "video": ("skeleton",)}[kind])  # fmt: skip
    if kind == "images":
        return _stage_images(cfg, predictor, picture, read_folder(poses, predictor.size), edits)
    look = pose_look_of(predictor)
    if kind == "keypoints":
        own = None if cfg.skeleton is None else load_skeleton(cfg.skeleton)
        driving = read_driving(poses, look.skeleton, skeleton=own)
        estimator = _build_estimator(cfg) if cfg.fit != "none" else None
    else:
        film = VideoFile(poses)
        numbers = choose_frames(film.times, cfg.video_fps)  # of a broken film, before an estimator is fetched
        estimator = _build_estimator(cfg)
        driving = estimate_driving(film, numbers, estimator, look.skeleton)
    if cfg.fit == "none":
        person, dance = driving.keypoints[0], driving.keypoints[1:]
    else:
        assert estimator is not None
        person, dance = estimate_person(picture, estimator, look.skeleton, name=cfg.image), driving.keypoints
    if not len(dance):
        raise DrivingError("there is no pose to predict: the sequence holds only that of the picture")
    dance = fit_poses(edits(dance, look.skeleton), person, look.skeleton, fit=cfg.fit)
    known = predictor.context_frames
    every = np.concatenate([person[None].repeat(known, axis=0), dance])
    frame, moved = frame_picture(picture, predictor.size, crop=cfg.crop, keypoints=every, margin=cfg.margin)
    assert moved is not None
    return Stage(_repeat(frame, known), _draw(predictor, look, moved), None, driving.fps or _FPS)


def _refuse(cfg: DictConfig, beside: str, options: Sequence[str]) -> None:
    """Options that would be ignored.

    Raises:
        DrivingError: if one is given.
    """
    for name in options:
        if cfg[name] is not None:
            raise DrivingError(f"{name}={cfg[name]} means nothing beside {beside}: leave it out")


def default_film(ckpt: Path) -> Path:
    """Where a film goes if nobody says: an MP4 in the run's folder, or a GIF where nothing encodes MP4."""
    return home_of(ckpt) / f"prediction.{'mp4' if find_spec('av') else 'gif'}"


def _stage_images(cfg: DictConfig, predictor: Predictor, picture: Array, maps: Array, edits: Edits) -> Stage:
    """Pose images, of which the first is the picture's; all are scaled to the model's frames, as training data is."""
    if cfg.crop not in ("person", "none") or cfg.fit == "limbs":
        raise DrivingError(f"crop={cfg.crop} and fit={cfg.fit} take keypoints: pose images are scaled with "
                           f"their picture, and not fitted")  # fmt: skip
    if len(maps) < 2:
        raise DrivingError(f"poses={cfg.poses} holds only the pose of the picture: there is none to predict")
    known = predictor.context_frames
    frame, _ = frame_picture(picture, predictor.size, crop="none", keypoints=None, margin=cfg.margin)
    poses = torch.from_numpy(np.concatenate([maps[:1].repeat(known, axis=0), edits.of_images(maps[1:])]))
    return Stage(_repeat(frame, known), poses[None].to(predictor.device), None, _FPS)


def _stage_clip(cfg: DictConfig, predictor: Predictor, edits: Edits) -> Stage:
    """A clip of the checkpoint's own data, driven by its own poses or by those of another one."""
    data = data_of(predictor)
    known = predictor.context_frames
    frames, poses = whole_sequence(data.store(cfg.split), data.poses, cfg.clip, step=data.frame_step)
    if cfg.drive is None and not edits.any:
        truth = frames[known:] if len(frames) == len(poses) else None
        return Stage(frames[:known], poses[None].to(predictor.device), truth, data.fps)
    if data.store(cfg.split).keypoints is None:
        if cfg.drive is not None:
            _, other = whole_sequence(data.store(cfg.split), data.poses, cfg.drive, step=data.frame_step)
            poses = torch.cat([poses[:known], other[known:]])
        future = torch.from_numpy(edits.of_images(poses[known:].numpy()))
        return Stage(frames[:known], torch.cat([poses[:known], future])[None].to(predictor.device), None, data.fps)
    look = pose_look_of(predictor)
    own = _keypoints(data, cfg.split, cfg.clip)
    driver = own[known:] if cfg.drive is None else _keypoints(data, cfg.split, cfg.drive)
    changed = edits(driver, look.skeleton)
    if cfg.drive is not None:
        changed = fit_poses(changed, own[known - 1], look.skeleton, fit=cfg.fit)
    drawn = _draw(predictor, look, np.concatenate([own[:known], changed]))
    return Stage(frames[:known], drawn, None, data.fps)


def _keypoints(data: ClipDataModule, split: str, clip: int) -> Float[Array, "T J 3"]:
    """All poses of a clip, in pixels of the model's frames."""
    store = data.store(split)  # type: ignore[arg-type]
    info = store.info(clip)
    assert store.keypoints is not None
    rows = np.array(store.keypoints[info.first : info.first + info.length : data.frame_step], dtype=np.float32)
    ones = np.ones((*rows.shape[:2], 1), dtype=np.float32)
    return rows if rows.shape[2] == 3 else np.concatenate([rows, ones], axis=2)


def _draw(predictor: Predictor, look: PoseLook, keypoints: Float[Array, "T J 3"]) -> DrawnPoses:
    return DrawnPoses(keypoints, look.skeleton, look.draw, predictor.model.shape.pose_channels, predictor.size,
                      predictor.device)  # fmt: skip


def _build_estimator(cfg: DictConfig) -> PoseEstimator:
    estimator: PoseEstimator = build(cfg.pose_estimator)
    if isinstance(estimator, FittedEstimator):
        raise ValueError("pose_estimator=fitted knows the joints of its data alone: use blazepose or keypoint_rcnn")
    return estimator


def _repeat(frame: Array, known: int) -> torch.Tensor:
    return torch.from_numpy(frame)[None].repeat(known, 1, 1, 1)
