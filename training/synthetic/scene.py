"""Light and surroundings of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from training.synthetic.backdrop import paint_backdrop
from training.synthetic.colors import cloth_color
from training.synthetic.maths import unit

Array = NDArray[Any]
Style = Literal["studio", "wild"]

FLOORS: Final = (
    (196, 170, 140), (150, 118, 88), (120, 120, 122), (180, 180, 178), (214, 208, 198),
    (90, 78, 68),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """Light and background, shared by the pictures of one identity as in a studio.

    Attributes:
        azimuth: of the key light, degrees to the camera's right.
        elevation: of the key light, degrees.
        key: (3,) its strength.
        ambient: (3,) of the sky.
        fill: of a weak light from the other side.
        shadow: how dark shadows are, 0 to 1.
        wall: (3,) linear colour, or a picture (H', W', 3).
        floor: (3,) linear colour, or a picture.
        depth: of the wall behind the person, dm.
        noise: of the background, 0 to 1.
        seed: of its noise.
    """

    azimuth: float
    elevation: float
    key: Array
    ambient: Array
    fill: float
    shadow: float
    wall: Array
    floor: Array
    depth: float
    noise: float
    seed: int

    def jittered(self, rng: np.random.Generator) -> Scene:
        """The light of another picture of the same session."""
        return replace(
            self,
            azimuth=self.azimuth + rng.normal(0, 6),
            elevation=self.elevation + rng.normal(0, 3),
        )

    def light_axes(self) -> Array:
        """(3, 3): right, up and towards the key light."""
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        towards = np.array((
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ))  # fmt: skip
        right = unit(np.cross((0, 1, 0), towards))
        return np.ascontiguousarray(np.stack((right, np.cross(towards, right), towards)))

    def lights(self) -> Array:
        """float64 (16,), as ``shading`` reads it: key, sky, ground, fill, its direction, shadow."""
        azimuth = np.radians(self.azimuth)
        floor = self.floor.reshape(-1, 3).mean(0)
        ground = self.ambient * 0.55 * (0.5 + 0.5 * floor)
        away = unit((-np.sin(azimuth) * 0.9, 0.25, 0.6))
        fill = np.full(3, self.fill)
        return np.concatenate((self.key, self.ambient, ground, fill, away, (self.shadow,)))


def sample_scene(rng: np.random.Generator, style: Style = "studio") -> Scene:
    """Draw a scene: a studio as of a catalogue, or any place and light ("wild")."""
    if style == "wild":
        return _wild(rng)
    warm = rng.uniform(-0.06, 0.06)
    tint = np.array((1 + warm, 1, 1 - warm))
    wall, floor = _studio_colors(rng, warm)
    return Scene(
        azimuth=rng.uniform(-55, 55),
        elevation=rng.uniform(32, 66),
        key=tint * rng.uniform(0.55, 0.9),
        ambient=rng.uniform(0.34, 0.54) * np.array((1 - warm / 2, 1, 1 + warm / 2)),
        fill=rng.uniform(0.08, 0.28),
        shadow=rng.uniform(0.3, 0.65),
        wall=wall,
        floor=floor,
        depth=rng.uniform(9, 30),
        noise=rng.uniform(0, 0.25) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(1 << 30)),
    )


def _studio_colors(rng: np.random.Generator, warm: float) -> tuple[Array, Array]:
    kind = rng.choice(("white", "grey", "color", "room"), p=(0.37, 0.27, 0.16, 0.20))
    if kind == "white":
        wall = np.full(3, rng.uniform(0.86, 0.97))
        floor = wall * rng.uniform(0.94, 1)
    elif kind == "grey":
        wall = np.full(3, rng.uniform(0.45, 0.85)) * (1 + warm / 3, 1, 1 - warm / 3)
        floor = wall * rng.uniform(0.85, 1.02)
    else:
        wall = cloth_color(rng, str(rng.choice(("pastel", "muted", "neutral", "neutral"))))
        grey = wall.mean()  # backdrops are seldom pink or violet
        wall = grey + (wall - grey) * rng.uniform(0.3, 1)
        floor = wall * rng.uniform(0.85, 1.0)
        if kind == "room":
            floor = np.array(FLOORS[rng.integers(len(FLOORS))]) / 255 * rng.uniform(0.85, 1.1)
    return np.asarray(wall, np.float64) ** 2.2, np.asarray(floor, np.float64) ** 2.2


def _wild(rng: np.random.Generator) -> Scene:
    """Sun, shade or lamps from any side, in front of something."""
    warm = rng.normal(0, 0.12)
    tint = np.clip((1 + warm, 1, 1 - warm), 0.6, 1.4)
    sky = np.clip((1 - warm * 0.7, 1 + rng.normal(0, 0.03), 1 + warm * 0.7), 0.6, 1.4)
    hard, azimuth = rng.uniform(0, 1), rng.normal(0, 65)
    sun, shade = 0.25 + 0.95 * hard, rng.uniform(0.25, 0.7) * (1.15 - 0.5 * hard)
    # A camera exposes for what it sees, within limits: little of the sun when it is behind.
    seen = shade + 0.7 * sun * max(0.15, float(np.cos(np.radians(azimuth))))
    exposure = rng.uniform(0.75, 1.15) / seen
    picture = paint_backdrop(rng)
    return Scene(
        azimuth=azimuth,
        elevation=rng.uniform(18, 75),
        key=tint * sun * exposure,
        ambient=sky * shade * exposure,
        fill=rng.uniform(0, 0.3),
        shadow=0.25 + 0.65 * hard * rng.uniform(0.6, 1),
        wall=picture,
        floor=picture,
        depth=rng.uniform(15, 60),
        noise=0.0,
        seed=int(rng.integers(1 << 30)),
    )
