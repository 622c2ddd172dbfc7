"""Six cameras over a square: small, tilted, each with its own colours, as in Market-1501."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.synthetic.assets import Assets
from training.synthetic.camera import Viewpoint
from training.synthetic.outfit import Outfit
from training.synthetic.person import make_person
from training.synthetic.photographic import Film, photograph
from training.synthetic.scene import Scene, sample_scene
from training.synthetic.views import BARE, NEXT_SEED, TRIES, Session, View, bare_share, sample_view

SIZE: Final = (128, 64)
CAMERAS: Final = 6


@dataclass(frozen=True, eq=False)
class Post:
    """One camera: where it hangs, what it looks at, and how it sees."""

    viewpoint: Viewpoint
    scene: Scene
    film: Film


def posts() -> tuple[Post, ...]:
    """The six cameras, always the same."""
    return tuple(_post(np.random.default_rng((20200601, index))) for index in range(CAMERAS))


def _post(rng: np.random.Generator) -> Post:
    distance = rng.uniform(70, 140)
    height = rng.uniform(1.4, 3.2)
    viewpoint = Viewpoint(
        distance=(distance * 0.8, distance * 1.2), height=(height, height * 1.1),
        tilt=(0.85, 1.0), fill=(0.78, 1.02), loose=0.05,
    )  # fmt: skip
    warm = rng.normal(0, 0.08)
    film = Film(
        gains=(1 + warm, 1 + rng.normal(0, 0.03), 1 - warm),
        exposure=rng.normal(0, 0.25),
        contrast=float(np.exp(rng.normal(0, 0.12))),
        saturation=rng.uniform(0.6, 1.1),
        lift=rng.uniform(0, 0.05),
        blur=rng.uniform(0.2, 0.7),
        shot=rng.uniform(0.005, 0.02),
        read=rng.uniform(0, 0.012),
        quality=int(rng.integers(60, 92)),
        sharpen=rng.uniform(0, 0.6),
    )
    return Post(viewpoint, sample_scene(rng, "wild"), film)


def render_surveillance(
    assets: Assets,
    seed: int,
    views: int = 6,
    size: tuple[int, int] = SIZE,
    *,
    outfit: Outfit | None = None,
    samples: int = 2,
    one_camera: bool = False,
) -> tuple[Session, tuple[int, ...]]:
    """A person before several of the six cameras, and which they are; whole body, any turn.

    With ``one_camera`` all views are of one camera, which is the person's own and none of the six:
    pairs to learn reposing from, for any such camera.
    """
    for attempt in range(TRIES):
        number = seed + attempt * NEXT_SEED
        person = make_person(assets, number, outfit)
        rng = np.random.default_rng((number, 10))
        order = np.concatenate([rng.permutation(CAMERAS) for _ in range(-(-views // CAMERAS))])
        chosen = tuple(int(camera) for camera in order[:views])
        stations = posts()
        if one_camera:
            chosen, stations = (0,) * views, (_post(np.random.default_rng((number, 12))),)
        made = tuple(
            sample_view(
                assets, person, stations[camera].scene, index, size, samples=samples,
                full_body=True, viewpoint=stations[camera].viewpoint,
            )
            for index, camera in enumerate(chosen)
        )  # fmt: skip
        if max((bare_share(view) for view in made), default=0) < BARE:
            break
    taken = tuple(
        _taken(stations[camera].film, view, number, index)
        for index, (camera, view) in enumerate(zip(chosen, made, strict=True))
    )
    return Session(person, taken), chosen


def _taken(film: Film, view: View, seed: int, index: int) -> View:
    lot = int(np.random.default_rng((seed, 11, index)).integers(1 << 30))
    image, _ = photograph(replace(film, seed=lot), view.image)
    return replace(view, image=image)
