"""Films of dancers: what a clip's seed draws, painted frame by frame, with the pose map beside every frame."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array

from vidpred.data.dancers.choreography import Motion, choreograph
from vidpred.data.dancers.factors import BALL_RADIUS, Factors, Strengths, draw_factors, swing_hair
from vidpred.data.dancers.room import Camera, Room, furnish, set_camera
from vidpred.data.dancers.wardrobe import HAIR_SEGMENTS, Look, Parts, body_parts, dress, tail_root
from vidpred.pose.drawing import draw_limbs, rasterize_capsule
from vidpred.pose.skeletons import DANCER

_CHUNK = 64  # frames painted together: hides the overhead of NumPy's calls, and still fits the cache
_BALL_DEPTH = 0.12
_SPLITS = {"train": 0, "val": 1, "test": 2}
_DANCER, _CLIP, _FUTURE = range(3)


class Film(NamedTuple):
    """One clip with all that was drawn for it."""

    frames: UInt8[Array, "T 3 H W"]
    poses: UInt8[Array, "T 3 H W"]
    keypoints: Float[Array, "T J 2"]  # x, y in pixels
    factors: Factors


class _Scene(NamedTuple):
    """What a clip's futures share."""

    look: Look
    motion: Motion
    room: Room
    camera: Camera
    reach: float
    keypoints: Float[Array, "T J 2"]


@dataclass(frozen=True, kw_only=True)
class Dancers:
    """Procedural dancers: clip ``index`` of a split is a pure function of these settings and the index.

    The dance, the dancer's looks and the room come from (seed, split, index); what the pose does not tell (light,
    wind, ball) from (seed, split, index, future). All futures of a clip share the first frame and the poses.

    Args:
        seed: of everything drawn.
        height: of a frame, pixels.
        width: of a frame, pixels.
        fps: frames a second, which turns the dance's tempo into frames.
        clips_per_dancer: consecutive indices that show the same person, in another dance and room.
        stochastic: factor on all ``strengths``; 0 makes frames a function of first frame and poses.
        strengths: of the random factors.

    Raises:
        ValueError: for sizes below 16 pixels, or a number that is not positive where it must be.
    """

    seed: int = 0
    height: int = 64
    width: int = 64
    fps: float = 12.0
    clips_per_dancer: int = 2
    stochastic: float = 1.0
    strengths: Strengths = field(default_factory=Strengths)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise ValueError(f"dancers need frames of at least 16x16 pixels, got {self.height}x{self.width}")
        if self.fps <= 0 or self.clips_per_dancer < 1:
            raise ValueError(
                f"fps must be > 0 and clips_per_dancer >= 1, got fps={self.fps}, "
                f"clips_per_dancer={self.clips_per_dancer}"
            )
        if self.stochastic < 0 or min(self.strengths) < 0:
            raise ValueError(f"strengths must be >= 0, got stochastic={self.stochastic}, {self.strengths}")

    def film(self, split: str, index: int, frames: int, *, future: int = 0) -> Film:
        """Draw one clip.

        Args:
            split: "train", "val" or "test"; no dancer is in two of them.
            index: of the clip, from 0.
            frames: number of frames; a longer clip begins with the shorter one, up to rounding by one level of 255.
            future: which drawing of the random factors.
        """
        scene = self._scene(split, index, frames)
        factors = self._factors(scene, split, index, frames, [future])
        return Film(
            frames=self._paint(scene, factors, 0),
            poses=draw_limbs(scene.keypoints, DANCER, (self.height, self.width), thickness=self._line_width),
            keypoints=scene.keypoints,
            factors=factors,
        )

    def oracle(self, split: str, index: int, frames: int, *, futures: int) -> Float[Array, "T 3 H W"]:
        """Pixel-wise mean of futures 1 to ``futures``, in [0, 1]: the best prediction that does not know the future.

        Future 0, the one that the data shows, is not among them. The mean minimizes the expected squared error.
        """
        scene = self._scene(split, index, frames)
        factors = self._factors(scene, split, index, frames, list(range(1, futures + 1)))
        total = np.zeros((frames, 3, self.height, self.width), dtype=np.float32)
        for future in range(futures):
            total += self._paint(scene, factors, future)
        return total / (255 * futures)

    @property
    def _line_width(self) -> float:
        return max(1.0, min(self.height, self.width) / 40)

    def _rng(self, split: str, kind: int, *key: int) -> np.random.Generator:
        if split not in _SPLITS:
            raise ValueError(f"split must be one of {list(_SPLITS)}, got {split!r}")
        return np.random.default_rng([self.seed, _SPLITS[split], kind, *key])

    def _scene(self, split: str, index: int, frames: int) -> _Scene:
        camera = set_camera(self.height, self.width)
        reach = max(0.1, self.width / camera.scale / 2 - 0.12)
        look = dress(self._rng(split, _DANCER, index // self.clips_per_dancer))
        dance_rng, room_rng = self._rng(split, _CLIP, index).spawn(2)
        motion = choreograph(dance_rng, look.body, frames, fps=self.fps, reach=max(0.0, reach - 0.28))
        room = furnish(room_rng, camera, (self.height, self.width), reach)
        return _Scene(look, motion, room, camera, reach, camera.project(motion.joints).astype(np.float32))

    def _factors(self, scene: _Scene, split: str, index: int, frames: int, futures: list[int]) -> Factors:
        return draw_factors(
            [self._rng(split, _FUTURE, index, future) for future in futures],
            frames,
            fps=self.fps,
            strengths=Strengths(*(self.stochastic * strength for strength in self.strengths)),
            ball_start=scene.room.ball_start,
            reach=scene.reach,
        )

    def _paint(self, scene: _Scene, factors: Factors, future: int) -> UInt8[Array, "T 3 H W"]:
        tail = swing_hair(
            tail_root(scene.look, scene.motion),
            factors.wind[future, None],
            segments=HAIR_SEGMENTS,
            length=scene.look.tail_length,
            fps=self.fps,
        )[0]
        parts = _add_ball(body_parts(scene.look, scene.motion, tail), factors.ball[future], scene.room)
        frames = len(parts.start)
        film = np.empty((frames, 3, self.height, self.width), dtype=np.uint8)
        for first in range(0, frames, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            canvas = np.repeat(scene.room.backdrop[:, None], len(film[chunk]), axis=1)
            _cast_shadows(canvas, scene, parts, chunk)
            _paint_parts(canvas, scene, parts, chunk)
            canvas *= (255 * factors.light[future, chunk]).astype(np.float32).T[:, :, None, None]
            canvas += np.float32(0.5)
            film[chunk] = np.clip(canvas, 0, 255, out=canvas).swapaxes(0, 1)
        return film


def _add_ball(parts: Parts, ball: Float[Array, "T 2"], room: Room) -> Parts:
    center = np.stack([ball[:, 0], ball[:, 1], np.full(len(ball), _BALL_DEPTH)], axis=1)[:, None]
    color = np.array([room.ball], dtype=np.float32)
    one = np.ones(1, dtype=np.float32)
    return Parts(
        start=np.concatenate([parts.start, center], axis=1),
        end=np.concatenate([parts.end, center], axis=1),
        start_radius=np.concatenate([parts.start_radius, BALL_RADIUS * one]),
        end_radius=np.concatenate([parts.end_radius, BALL_RADIUS * one]),
        color=np.concatenate([parts.color, color]),
        stripe=np.concatenate([parts.stripe, color]),
        stripes=np.concatenate([parts.stripes, 0 * one]),
        depth=np.concatenate([parts.depth, center[..., 2]], axis=1),
    )


def _cast_shadows(canvas: Float[Array, "3 T H W"], scene: _Scene, parts: Parts, chunk: slice) -> None:
    """Darken the floor softly below the feet and below the ball."""
    height, width = canvas.shape[2:]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    joints = scene.motion.joints[chunk]
    feet = joints[:, [DANCER.joints.index("left_ankle"), DANCER.joints.index("right_ankle")]]
    ball = parts.start[chunk, -1:]
    for points, base, strength in ((feet, 0.15, 0.30), (joints[:, :1], 0.26, 0.22), (ball, 0.08, 0.35)):
        for index in range(points.shape[1]):
            spot = points[:, index].copy()
            spread = base * (1 + 0.6 * spot[:, 1])
            spot[:, 0] -= 0.1 * scene.room.light * spot[:, 1]
            fade = strength / (1 + 1.5 * spot[:, 1])
            spot[:, 1] = 0
            center = scene.camera.project(spot)
            wide = (scene.camera.scale * spread)[:, None]
            across = ((x - center[:, :1]) / wide) ** 2
            down = ((y - center[:, 1:]) / (0.34 * wide)) ** 2
            falloff_x = np.exp(-1.5 * across).astype(np.float32)
            falloff_y = (np.exp(-1.5 * down) * fade[:, None]).astype(np.float32)
            top = max(0, math.floor(float((center[:, 1] - wide[:, 0]).min())))
            canvas[:, :, top:] *= 1 - falloff_y[:, top:, None] * falloff_x[:, None, :]


def _paint_parts(canvas: Float[Array, "3 T H W"], scene: _Scene, parts: Parts, chunk: slice) -> None:
    """Paint all capsules from back to front, shaded as if round."""
    camera = scene.camera
    order = np.argsort(parts.depth[chunk], axis=1, kind="stable")
    frames = np.arange(len(order))
    start, end = camera.project(parts.start[chunk]), camera.project(parts.end[chunk])
    lamp = np.array([0.55 * scene.room.light, -0.75], dtype=np.float32)
    size = canvas[0].shape[1:]
    planes = [channel.reshape(-1) for channel in canvas]
    for slot in range(order.shape[1]):
        part = order[:, slot]
        begin, stop = start[frames, part], end[frames, part]
        radii = parts.start_radius[part] * camera.scale, parts.end_radius[part] * camera.scale
        stroke = rasterize_capsule(begin, stop, *radii, size)
        axis = stop - begin
        length = np.maximum(np.hypot(axis[:, 0], axis[:, 1]), 1e-3)
        facing = (0.22 * (axis[:, 1] * lamp[0] - axis[:, 0] * lamp[1]) / length).astype(np.float32)[:, None]
        across = np.minimum(np.maximum(stroke.across, -1), 1)
        shade = (facing - np.float32(0.26) * across) * across + np.float32(1)
        color, second = parts.color[part][:, :, None], None
        striped = parts.stripes[part]
        if np.any(striped):
            phase = stroke.along * (2 * np.pi * striped / length).astype(np.float32)[:, None]
            second = np.clip(2 * np.sin(phase) + np.float32(0.5), 0, 1) * (striped > 0)[:, None]
            stripe = parts.stripe[part][:, :, None] - color
        for channel, plane in enumerate(planes):
            paint = (
                color[:, channel] * shade
                if second is None
                else (color[:, channel] + stripe[:, channel] * second) * shade
            )
            below = plane[stroke.pixels]
            paint -= below
            paint *= stroke.coverage
            paint += below
            plane[stroke.pixels] = paint
