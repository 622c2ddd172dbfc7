"""One identity, put together: a single mesh with its materials, ready for any pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthetic.assets import Assets
from training.synthetic.body import Body, build_body, sample_traits
from training.synthetic.colors import cloth_color
from training.synthetic.labels import BODY_VERTICES, SEGMENT_OF, SKIN_SEGMENTS, Material
from training.synthetic.outfit import Dresser, Outfit
from training.synthetic.skin_hair import groom
from training.synthetic.workroom import CUTS, Finish, Piece, Workroom

Array = NDArray[Any]

_LAST = (Material.HAIR, Material.BROW, Material.LASH)
"""Cut-out meshes are drawn after all others."""


@dataclass(frozen=True, eq=False)
class Person:
    """Everything that is fixed for an identity in one outfit; N vertices, T triangles.

    Attributes:
        seed: that it was drawn from.
        body: shape and skeleton.
        hair: name of the style.
        style: of the clothes: two (pieces), dress, suit, overall.
        outfit: lots of the garments.
        rest: float32 (N, 3); the first 13380 are the skin's.
        canonical: float32 (N, 3).
        cuts: float32 (N, 4).
        bones: int32 (N, 4).
        weights: float32 (N, 4).
        triangles: int32 (T, 3).
        uv: float32 (T, 3, 2).
        chart: float32 (T, 3, 2).
        part: int32 (T,).
        material: int32 (T,).
        segment: uint8 (T,).
        raster_table: float32 (12, 3), columns of ``raster``.
        shading_table: float32 (12, 7), columns of ``shading``.
        textures: uint8 (n, 512, 512, 3).
        alphas: uint8 (m, 512, 512).
        boxes: float32 (20, 2, 3), of canonical maps.
    """

    seed: int
    body: Body
    hair: str
    style: str
    outfit: Outfit
    rest: Array
    canonical: Array
    cuts: Array
    bones: Array
    weights: Array
    triangles: Array
    uv: Array
    chart: Array
    part: Array
    material: Array
    segment: Array
    raster_table: Array
    shading_table: Array
    textures: Array
    alphas: Array
    boxes: Array

    @cached_property
    def seen_vertices(self) -> Array:
        """Vertices of triangles that can be seen: for floor contact and framing."""
        whole = (self.cuts[self.triangles] >= 0).any(1).all(1)
        return np.unique(self.triangles[whole])

    def only(self, materials: tuple[Material, ...]) -> Person:
        """The same with the triangles of some materials alone."""
        kept = np.isin(self.material, [int(m) for m in materials])
        names = ("triangles", "uv", "chart", "part", "material", "segment")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def wears(self, material: Material) -> bool:
        """Whether anything is of that material."""
        return bool((self.material == int(material)).any())


def make_person(assets: Assets, seed: int, outfit: Outfit | None = None) -> Person:
    """A person; the same seed and outfit give the same one.

    Args:
        assets: the pack.
        seed: of body, face and hair, and of the lots of the clothes.
        outfit: which lots; None: the first of each.
    """
    outfit = outfit or Outfit()
    details = [name for name in assets.targets if name.startswith("detail/")]
    body = build_body(assets, sample_traits(np.random.default_rng((seed, 1)), details))
    room = Workroom(assets, body)
    hair = groom(np.random.default_rng((seed, 2)), room)
    style = Dresser(room, seed, outfit, hair).dress()
    seat = cloth_color(np.random.default_rng((seed, 9)), "neutral")
    room.finishes[Material.PROP] = Finish(room.plain(seat))
    return _joined(room, seed, hair, style, outfit)


def _skin_piece(room: Workroom) -> Piece:
    assets = room.assets
    surface = assets.once(
        "skin surface",
        lambda: assets.canon.surface(
            assets.template[:BODY_VERTICES], assets.body_tri, assets.base_bones,
            assets.base_weights,
        ),
    )  # fmt: skip
    kept = ~room.hidden[assets.body_tri].all(1)
    return Piece(
        room.body.vertices[:BODY_VERTICES], surface.position, assets.body_tri[kept],
        assets.arrays["body_uv"][kept], surface.chart[kept], surface.part[kept],
        assets.base_bones[:BODY_VERTICES], assets.base_weights[:BODY_VERTICES],
        np.ones((BODY_VERTICES, CUTS), np.float32), Material.BODY,
    )  # fmt: skip


def _joined(room: Workroom, seed: int, hair: str, style: str, outfit: Outfit) -> Person:
    pieces = [_skin_piece(room), *room.pieces]
    pieces.sort(key=lambda piece: piece.material in _LAST)
    counts = [len(piece.rest) for piece in pieces]
    starts = np.concatenate(((0,), np.cumsum(counts[:-1])))

    def stacked(name: str, dtype: Any) -> Array:
        parts = [getattr(piece, name) for piece in pieces]
        return np.ascontiguousarray(np.concatenate(parts), dtype)

    triangles = np.concatenate(
        [piece.triangles + start for piece, start in zip(pieces, starts, strict=True)]
    )
    material = np.concatenate([np.full(len(p.triangles), p.material, np.int32) for p in pieces])
    part = stacked("part", np.int32)
    segment = np.array(SKIN_SEGMENTS, np.uint8)[part]
    for kind, label in SEGMENT_OF.items():
        segment[material == kind] = label
    if style == "dress":
        segment[material == Material.TOP] = SEGMENT_OF[Material.SKIRT]
    assets = room.assets
    boxes = assets.once("boxes", lambda: assets.canon.boxes(*_body_parts(room)))
    return Person(
        seed, room.body, hair, style, outfit,
        stacked("rest", np.float32), stacked("canonical", np.float32),
        stacked("cuts", np.float32), stacked("bones", np.int32), stacked("weights", np.float32),
        np.ascontiguousarray(triangles, np.int32), stacked("uv", np.float32),
        stacked("chart", np.float32), part, material, segment,
        *_tables(room.finishes), np.stack(room.textures), np.stack(room.alphas), boxes,
    )  # fmt: skip


def _body_parts(room: Workroom) -> tuple[Array, Array]:
    assets = room.assets
    surface = assets.canon.surface(
        assets.template[:BODY_VERTICES], assets.body_tri, assets.base_bones, assets.base_weights
    )
    return assets.body_tri, surface.part


def _tables(finishes: dict[Material, Finish]) -> tuple[Array, Array]:
    """The materials as the raster and the shading read them."""
    raster = np.zeros((len(Material), 3), np.float32)
    shading = np.zeros((len(Material), 7), np.float32)
    raster[:, 1], shading[:, 1] = -1, -1
    for material, of in finishes.items():
        raster[material] = of.bias, of.alpha, of.culled
        shading[material] = (
            of.texture, of.fabric, of.specular, of.gloss, of.wrap, of.kind, of.subsurface
        )  # fmt: skip
    return raster, shading
