"""What makes people hard to recognise from camera to camera: light, lens, boxes, obstacles.

The renderer's surveillance mode has six cameras with their own place, background and film. Here
each gets a harsher development of its own, things that stand in front of people, and a person
detector whose boxes are loose; a picture's own share of it is drawn from the camera's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pose import JointState, Pose, hide_outside
from training.synthetic.photographic import Film, photograph

CAMERAS: Final = 6


@dataclass(frozen=True)
class Shown:
    """A picture, its person's visible part and pose.

    Attributes:
        image: uint8 (H, W, 3).
        alpha: uint8 (H, W), 255 where the person is seen.
        pose: in pixels of the picture.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    pose: Pose


@dataclass(frozen=True)
class Habit:
    """What one camera does to its pictures.

    Attributes:
        film: its development.
        exposure: how much the light changes from picture to picture, stops.
        obstacles: share of pictures with something in front.
        low: whether these are low and wide (benches, cars), or upright (poles, doors).
        shift: of the detector's box, in its sides (standard deviation).
        scale: of the box, likewise.
    """

    film: Film
    exposure: float
    obstacles: float
    low: bool
    shift: float
    scale: float


def habits() -> tuple[Habit, ...]:
    """Those of the six cameras, always the same."""
    return tuple(_habit(index) for index in range(CAMERAS))


def _habit(index: int) -> Habit:
    rng = np.random.default_rng((20150101, index))
    warm = rng.uniform(-0.12, 0.12)
    place = (index * 5 + 2) % CAMERAS / (CAMERAS - 1)  # 0 to 1: no two cameras alike
    film = Film(
        gains=(1 + warm, 1 + rng.normal(0, 0.03), 1 - warm),
        exposure=-0.6 + 0.9 * place,
        contrast=float(np.exp(rng.normal(0, 0.1))),
        saturation=rng.uniform(0.75, 1.1),
        lift=rng.uniform(0, 0.05),
        vignette=rng.uniform(0, 0.4),
        uneven=rng.uniform(0, 0.3),
        blur=rng.uniform(0, 0.9),
        resolution=rng.uniform(0.5, 1.0),
        shot=rng.uniform(0.01, 0.05),
        read=rng.uniform(0, 0.04),
        quality=int(rng.integers(45, 85)),
    )
    return Habit(
        film,
        exposure=rng.uniform(0.1, 0.25),
        obstacles=rng.uniform(0.1, 0.45),
        low=bool(index % 2),
        shift=rng.uniform(0.02, 0.05),
        scale=rng.uniform(0.03, 0.09),
    )


def seen_by(habit: Habit, shown: Shown, rng: np.random.Generator) -> Shown:
    """The picture as that camera and its detector give it; the same size."""
    if rng.random() < habit.obstacles:
        shown = _behind_something(habit, shown, rng)
    shown = _boxed(habit, shown, rng)
    moved = rng.uniform(1, 4) if rng.random() < 0.15 else 0.0
    film = replace(
        habit.film,
        exposure=habit.film.exposure + float(rng.normal(0, habit.exposure)),
        motion=(float(moved), float(rng.normal(0, 0.3))),
        seed=int(rng.integers(1 << 30)),
    )
    image, _ = photograph(film, shown.image)
    return replace(shown, image=image)


def _behind_something(habit: Habit, shown: Shown, rng: np.random.Generator) -> Shown:
    """A plain or striped thing between camera and person, cut off by the picture's edge."""
    height, width = shown.alpha.shape
    if habit.low:
        top = int(height * rng.uniform(0.6, 0.85))
        left, right = sorted(rng.uniform(-0.4, 1.4, 2) * width)
        box = (top, height, int(max(0, left)), int(min(width, right)))
    else:
        wide = rng.uniform(0.1, 0.35) * width
        left = rng.choice((rng.uniform(-0.5, 0.15), rng.uniform(0.6, 1.0))) * width
        box = (int(height * rng.choice((0, 0.3))), height, int(max(0, left)), int(left + wide))
    rows, columns = slice(box[0], box[1]), slice(box[2], max(box[2], box[3]))
    image, alpha = shown.image.copy(), shown.alpha.copy()
    color = rng.uniform(20, 200) * rng.uniform(0.75, 1.0, 3)
    stripes = 1 + 0.25 * np.sign(np.sin(np.arange(height) / rng.uniform(1, 6)))
    painted = color * stripes[rows, None, None]
    image[rows, columns] = np.clip(painted, 0, 255).astype(np.uint8)
    alpha[rows, columns] = 0
    x, y = shown.pose.points.T
    covered = (y >= box[0]) & (y < box[1]) & (x >= box[2]) & (x < box[3])
    state = np.where(covered & shown.pose.visible, np.uint8(JointState.BEHIND), shown.pose.state)
    return Shown(image, alpha, shown.pose.replace(state=state))


def _boxed(habit: Habit, shown: Shown, rng: np.random.Generator) -> Shown:
    """What a detector's box, a little off, holds."""
    height, width = shown.alpha.shape
    size = np.array((width, height), np.float64)
    scale = np.exp(rng.normal(0, habit.scale, 2))
    offset = size * ((1 - scale) / 2 + rng.normal(0, habit.shift, 2))
    # Pixel centres at +0.5: x' = scale x + offset for edges is the same for centres less 0.5.
    matrix = np.array(
        ((scale[0], 0, offset[0] + scale[0] / 2 - 0.5),
         (0, scale[1], offset[1] + scale[1] / 2 - 0.5))
    )  # fmt: skip
    image = cv2.warpAffine(
        shown.image, matrix, (width, height), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    alpha = cv2.warpAffine(shown.alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)
    pose = shown.pose.transformed(scale, offset, (width, height))
    return Shown(np.asarray(image, np.uint8), np.asarray(alpha, np.uint8), hide_outside(pose))
