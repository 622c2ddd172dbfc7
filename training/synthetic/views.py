"""Pictures of a person, with everything that is known about them."""

# ruff: noqa: PLR0917
# (compiled functions: no keywords, and a call in the innermost loop would cost)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reposedm.pose import Pose
from training.synthetic import mesh
from training.synthetic.assets import Assets
from training.synthetic.background import render_background
from training.synthetic.body import Posture, joints_in_space, skinned
from training.synthetic.camera import (
    FRAMINGS,
    Camera,
    Placement,
    Viewpoint,
    placed,
    sample_camera,
    sample_yaw,
)
from training.synthetic.joint_states import joint_states
from training.synthetic.labels import BODY_VERTICES, HIPS, Material
from training.synthetic.outfit import Outfit
from training.synthetic.person import Person, make_person
from training.synthetic.pose_sampling import sample_posture
from training.synthetic.props import with_seat
from training.synthetic.raster import rasterise
from training.synthetic.scene import Scene, Style, sample_scene
from training.synthetic.shading import hollows, shade, shadow_map

Array = NDArray[Any]

BARE: Final = 0.05
"""More bare hips and belly than this part of the person: clothes that failed, not a fashion."""
TRIES: Final = 5
NEXT_SEED: Final = 500009


@dataclass(frozen=True, eq=False)
class View:
    """One picture and its answers; H x W pixels.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        alpha: uint8 (H, W), 255 on the person.
        pose: 18 joints and their states.
        segment: uint8 (H, W), index into ``labels.SEGMENTS``.
        part: uint8 (H, W), index into ``labels.PARTS``.
        canonical: float32 (H, W, 3), the seen point's place on the template, dm; 0 outside.
        depth: float32 (H, W) at the same samples.
        triangle: int32 (H, W), -1 outside.
        weights: float32 (H, W, 2), barycentrics of the triangle's second and third corner.
        screen: float32 (N, 3), all vertices: x, y in pixels and depth.
        posture: the pose in space.
        camera: of this picture.
        placement: of the person in the scene.
        scene: light and background.
        yaw: away from the camera, degrees.
        framing: of ``camera.FRAMINGS``.
        grain: number of the film's noise, and of the part of a photographed background.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    pose: Pose
    segment: NDArray[np.uint8]
    part: NDArray[np.uint8]
    canonical: NDArray[np.float32]
    depth: NDArray[np.float32]
    triangle: NDArray[np.int32]
    weights: NDArray[np.float32]
    screen: NDArray[np.float32]
    posture: Posture
    camera: Camera
    placement: Placement
    scene: Scene
    yaw: float
    framing: str
    grain: int = 0


@dataclass(frozen=True, eq=False)
class Session:
    """The pictures of one identity."""

    person: Person
    views: tuple[View, ...]


def render_session(
    assets: Assets,
    seed: int,
    views: int = 6,
    size: tuple[int, int] = (256, 176),
    *,
    outfit: Outfit | None = None,
    style: Style = "studio",
    samples: int = 2,
    full_body: bool = False,
    viewpoint: Viewpoint | None = None,
) -> Session:
    """A person and pictures of it; the same arguments give the same bytes.

    A seed whose clothes leave hips or belly bare is replaced by the next.

    Args:
        assets: the pack.
        seed: of everything.
        views: how many pictures; the first is frontal.
        size: (H, W).
        outfit: which garments; None: the first.
        style: "studio": light and background of a catalogue; "wild": of anywhere.
        samples: along each side of a pixel.
        full_body: never cut at knee, thigh or waist.
        viewpoint: kind of camera; None: of a catalogue.
    """
    for attempt in range(TRIES):
        number = seed + attempt * NEXT_SEED
        person = make_person(assets, number, outfit)
        scene = sample_scene(np.random.default_rng((number, 4)), style)
        made = tuple(
            sample_view(
                assets, person, scene, index, size,
                samples=samples, full_body=full_body, viewpoint=viewpoint or Viewpoint(),
            )
            for index in range(views)
        )  # fmt: skip
        if max((bare_share(view) for view in made), default=0) < BARE:
            break
    return Session(person, made)


def render_person(
    assets: Assets, seed: int, views: int = 6, size: tuple[int, int] = (256, 176), **options: Any
) -> list[View]:
    """The pictures of ``render_session`` alone."""
    return list(render_session(assets, seed, views, size, **options).views)


def bare_share(view: View) -> float:
    """The part of the person that is bare skin of hips and belly."""
    bare = (view.segment == 3) & (view.part == HIPS)
    return float(bare.sum() / max(1, int((view.segment > 0).sum())))


def sample_view(
    assets: Assets,
    person: Person,
    scene: Scene,
    index: int,
    size: tuple[int, int],
    *,
    samples: int = 2,
    full_body: bool = False,
    viewpoint: Viewpoint | None = None,
) -> View:
    """Picture number ``index`` of a person: its own pose, turn, framing and camera."""
    posture = sample_posture(
        np.random.default_rng((person.seed, 5, index)), assets, person.body,
        skirt=person.wears(Material.SKIRT),
    )  # fmt: skip
    rng = np.random.default_rng((person.seed, 6, index))
    yaw = sample_yaw(rng, frontal=index == 0)
    kinds, shares = list(FRAMINGS), list(FRAMINGS.values())
    framing = str(rng.choice(kinds, p=shares))
    if full_body or posture.seat or posture.airborne:
        framing = "full"
    light = scene.jittered(np.random.default_rng((person.seed, 7, index)))
    vertices = skinned(person.rest, person.bones, person.weights, person.body, posture)
    root = posture.position[assets.bone["root"]]
    placement = placed(vertices, person.seen_vertices, root, yaw, posture.airborne)
    joints = placement(joints_in_space(assets, person.body, posture, vertices[:BODY_VERTICES]))
    seen = placement(vertices)[person.seen_vertices]
    camera = sample_camera(
        rng, seen, joints, size=size, framing=framing, viewpoint=viewpoint or Viewpoint()
    )
    return render_view(
        assets, person, posture, light, camera, placement, samples=samples, yaw=yaw,
        framing=framing, grain=index,
    )  # fmt: skip


def render_again(assets: Assets, person: Person, like: View, *, samples: int = 2) -> View:
    """Another outfit (or person) in the pose, place, light and camera of a view.

    The joints of the same body stay where they are to the bit; so does, for the same seed, all of
    the background that the person's shadow does not reach.
    """
    return render_view(
        assets, person, like.posture, like.scene, like.camera, like.placement,
        samples=samples, yaw=like.yaw, framing=like.framing, grain=like.grain,
    )  # fmt: skip


def render_view(
    assets: Assets,
    person: Person,
    posture: Posture,
    scene: Scene,
    camera: Camera,
    placement: Placement,
    *,
    samples: int = 2,
    yaw: float = 0.0,
    framing: str = "full",
    grain: int = 0,
) -> View:
    """Draw a person in a scene; ``grain`` is the number of the film's noise."""
    vertices = skinned(person.rest, person.bones, person.weights, person.body, posture)
    joints = placement(joints_in_space(assets, person.body, posture, vertices[:BODY_VERTICES]))
    points, drawn = placement(vertices), person
    if posture.seat is not None:
        seat = placement(np.array([posture.seat], np.float32))[0]
        points, drawn = with_seat(points, person, seat, placement.turned)
    screen = camera.project(points)
    height, width = camera.size
    fine = screen.copy()
    fine[:, :2] *= samples
    shape = height * samples, width * samples
    lists = drawn.triangles, drawn.material, drawn.cuts, drawn.uv, drawn.raster_table, drawn.alphas
    buffers = rasterise(fine, *lists, shape)
    normals = np.empty_like(points)
    mesh.normals(points, drawn.triangles, normals)
    lit = shadow_map(points, person.seen_vertices, *lists, scene.light_axes())
    middle = (slice(samples // 2, None, samples),) * 2
    triangle = np.ascontiguousarray(buffers.triangle[middle])
    depth = np.ascontiguousarray(buffers.depth[middle])
    weights = np.ascontiguousarray(buffers.weights[middle])
    openness = hollows(depth, camera.focal / camera.distance)
    color, cover = shade(
        buffers, points, normals, drawn, lit, scene.lights(), camera.position, samples, openness
    )
    rng = np.random.default_rng((person.seed, 8, grain))
    image = _developed(color, cover, render_background(scene, camera, lit, rng), rng)
    count = len(person.triangles)
    segment, part, canonical = _annotated(triangle, weights, person)
    marks = camera.project(joints)
    head = placement.turned @ posture.turned[assets.bone["head"]]
    shown = np.where(triangle >= count, 0, part).astype(np.uint8)
    pose = Pose(
        marks[:, :2], np.ones(18, np.float32), joint_states(marks, shown, depth, head),
        (width, height),
    )  # fmt: skip
    alpha = cover if drawn is person else cover - _covered(buffers.triangle >= count, samples)
    return View(
        image, (np.clip(alpha, 0, 1) * 255 + 0.5).astype(np.uint8), pose, segment, part,
        canonical, depth, np.where(triangle >= count, -1, triangle), weights,
        screen[: len(person.rest)], posture, camera, placement, scene, yaw, framing, grain,
    )  # fmt: skip


def _covered(fine: Array, samples: int) -> Array:
    """Share of each pixel's samples that are True."""
    height, width = fine.shape[0] // samples, fine.shape[1] // samples
    return np.asarray(fine.reshape(height, samples, width, samples).mean((1, 3)), np.float32)


def _developed(
    color: Array, cover: Array, behind: Array, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Linear light to a picture: highlights roll off, gamma, grain."""
    linear = color + behind * (1 - cover[..., None])
    grain = rng.uniform(0.002, 0.010) * rng.standard_normal(cover.shape, np.float32)[..., None]
    grain = grain + 0.003 * rng.standard_normal(linear.shape, np.float32)
    out = np.empty(linear.shape, np.uint8)
    _tone(linear, grain, out)
    return out


def _annotated(triangle: Array, weights: Array, person: Person) -> tuple[Array, Array, Array]:
    shape = triangle.shape
    segment, part = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    canonical = np.zeros((*shape, 3), np.float32)
    _annotate(
        triangle, weights, person.triangles, person.segment, person.part, person.canonical,
        segment, part, canonical,
    )  # fmt: skip
    return segment, part, canonical


@njit(cache=True)
def _annotate(
    triangle: Array, weights: Array, triangles: Array, segments: Array, parts: Array,
    places: Array, segment: Array, part: Array, canonical: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    for y in range(triangle.shape[0]):
        for x in range(triangle.shape[1]):
            t = triangle[y, x]
            if t < 0 or t >= triangles.shape[0]:
                continue
            segment[y, x], part[y, x] = segments[t], parts[t]
            w1, w2 = weights[y, x, 0], weights[y, x, 1]
            for k in range(3):
                canonical[y, x, k] = (
                    (1 - w1 - w2) * places[triangles[t, 0], k]
                    + w1 * places[triangles[t, 1], k]
                    + w2 * places[triangles[t, 2], k]
                )


@njit(fastmath=True, cache=True)
def _tone(linear: Array, grain: Array, out: Array) -> None:  # pragma: no cover - compiled
    for y in range(linear.shape[0]):
        for x in range(linear.shape[1]):
            for c in range(3):
                v = linear[y, x, c]
                if v > 0.8:
                    v = 0.8 + 0.2 * (1 - np.exp(-(v - 0.8) / 0.2))
                v = max(v, 0.0) ** (1 / 2.2) + grain[y, x, c]
                out[y, x, c] = int(min(1.0, max(0.0, v)) * 255 + 0.5)
