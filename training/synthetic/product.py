"""A garment alone, as a shop shows it: nobody in it, on white, with its landmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.garments.joints import LANDMARKS
from training.synthetic.assets import Assets
from training.synthetic.body import joints_in_space, skinned
from training.synthetic.camera import Viewpoint, placed, sample_camera
from training.synthetic.labels import ARM_PARTS, BODY_VERTICES, LEG_PARTS, Material
from training.synthetic.person import Person
from training.synthetic.pose_sampling import resting_posture
from training.synthetic.scene import Scene
from training.synthetic.views import View, render_view

Array = NDArray[Any]

GARMENTS: Final = (Material.TOP, Material.OUTER, Material.BOTTOM, Material.SKIRT)
STEPS: Final = 3.0


@dataclass(frozen=True, eq=False)
class Product:
    """A garment's picture.

    Attributes:
        view: with ``alpha`` on the garment.
        materials: what it consists of.
        landmarks: float32 (16, 2) pixels, of ``LANDMARKS``.
        known: bool (16,), which of them the garment has.
    """

    view: View
    materials: tuple[Material, ...]
    landmarks: NDArray[np.float32]
    known: NDArray[np.bool_]


def render_product(
    assets: Assets,
    person: Person,
    material: Material,
    size: tuple[int, int] = (256, 176),
    *,
    samples: int = 3,
) -> Product | None:
    """The garment of a material, seen from the front; a dress with both of its pieces.

    Returns:
        None where the person wears none, or where it is cut out below dungarees.
    """
    dress = person.style == "dress" and material in (Material.TOP, Material.SKIRT)
    materials = (Material.TOP, Material.SKIRT) if dress else (material,)
    hidden = person.style == "overall" and material == Material.TOP
    if hidden or not person.wears(material):
        return None
    garment = person.only(materials)
    posture = resting_posture(assets, person.body)
    vertices = skinned(garment.rest, garment.bones, garment.weights, garment.body, posture)
    root = posture.position[assets.bone["root"]]
    placement = placed(vertices, garment.seen_vertices, root, 0.0, 0.0)
    joints = placement(joints_in_space(assets, person.body, posture, vertices[:BODY_VERTICES]))
    viewpoint = Viewpoint((90, 90), (0.5, 0.5), (0, 0), (0.88, 0.88), 0.0)
    seen = placement(vertices)[garment.seen_vertices]
    rng = np.random.default_rng((person.seed, 12, int(material)))
    camera = sample_camera(rng, seen, joints, size=size, framing="full", viewpoint=viewpoint)
    view = render_view(
        assets, garment, posture, _white(), camera, placement, samples=samples, framing="product"
    )
    landmarks, known = _landmarks(garment, view)
    return Product(replace(view, image=_on_white(view)), materials, landmarks, known)


def _white() -> Scene:
    """Soft light before white paper, with hardly a shadow."""
    return Scene(
        azimuth=-20.0, elevation=50.0, key=np.full(3, 0.6), ambient=np.full(3, 0.55), fill=0.2,
        shadow=0.35, wall=np.full(3, 1.0), floor=np.full(3, 1.0), depth=40.0, noise=0.0, seed=0,
    )  # fmt: skip


def _on_white(view: View) -> NDArray[np.uint8]:
    """The ground in pure white, without the shadow on the floor."""
    share = view.alpha.astype(np.float32)[..., None] / 255
    return (view.image * share + 255 * (1 - share) + 0.5).astype(np.uint8)


def _landmarks(garment: Person, view: View) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Extreme pixels of the garment's parts, by canonical place."""
    points = np.zeros((len(LANDMARKS), 2), np.float32)
    known = np.zeros(len(LANDMARKS), bool)
    for name, score in _scores(garment, view):
        if np.isfinite(score).any():
            row, column = np.unravel_index(int(np.argmax(score)), score.shape)
            index = LANDMARKS.index(name)
            points[index], known[index] = (column + 0.5, row + 0.5), True
    return points, known


def _scores(garment: Person, view: View) -> Iterator[tuple[str, Array]]:
    """For each landmark a plane (H, W) that is largest there; -inf where it cannot be."""
    x, y, z = np.moveaxis(view.canonical, -1, 0)
    front = view.triangle >= 0
    limb = np.isin(view.part, ARM_PARTS + LEG_PARTS)
    trunk = front & ~limb

    def at(mask: Array, score: Array) -> Array:
        return np.where(mask, score, -np.inf)

    upper = bool((trunk & (y > 4)).any())
    lower = bool((front & (y < 0)).any())
    if upper:
        yield "collar right", at(trunk & (y > 4), y * STEPS - np.abs(x + 0.6))
        yield "collar middle", at(trunk & (y > 4) & (np.abs(x) < 0.15) & (z > 0), y)
        yield "collar left", at(trunk & (y > 4), y * STEPS - np.abs(x - 0.6))
        for side, parts, sign in (("right", ARM_PARTS[::2], -1), ("left", ARM_PARTS[1::2], 1)):
            sleeve = front & np.isin(view.part, parts)
            yield f"{side} cuff outer", at(sleeve, -y * STEPS + sign * x * STEPS)
            yield f"{side} cuff inner", at(sleeve, -y * STEPS - sign * x * 0.5)
    body = front & ~np.isin(view.part, ARM_PARTS)
    if lower and not upper:
        yield "waist right", at(body & (x < 0), y * STEPS - x)
        yield "waist left", at(body & (x > 0), y * STEPS + x)
    legs = np.isin(view.part, LEG_PARTS) & front
    trousers = lower and not upper and not (view.part == 18).any()
    if trousers:
        for side, sign in (("right", -1), ("left", 1)):
            leg = legs & (sign * x > 0)
            yield f"{side} leg outer", at(leg, -y * STEPS + sign * x)
            yield f"{side} leg inner", at(leg, -y * STEPS - sign * x)
    else:
        yield "hem right", at(body & (x < 0), -y * STEPS - x)
        yield "hem middle", at(body & (np.abs(x) < 0.3), -y)
        yield "hem left", at(body & (x > 0), -y * STEPS + x)
