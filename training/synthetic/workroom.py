"""Where a person is put together: pieces of mesh, textures and finishes are collected here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic import mesh
from training.synthetic.assets import Assets
from training.synthetic.body import Body
from training.synthetic.canonical import Surface
from training.synthetic.labels import (
    ARM_PARTS,
    BODY_VERTICES,
    CHEST,
    HAIR_PART,
    HAT_PART,
    HIPS,
    SKIRT_PART,
    TEXTURE,
    Material,
)

Array = NDArray[Any]

CUTS: Final = 4
"""Cut fields of a vertex: hem, sleeve, neckline, opening. Each is a smooth field of its own, so
that its edge stays a line; their minimum, interpolated, would be ragged where two of them meet."""
SKIN_KIND, CLOTH_KIND, HAIR_KIND = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of the mesh; vertices (N), triangles (T).

    Attributes:
        rest: float32 (N, 3) on the person's body at rest.
        canonical: float32 (N, 3) on the template.
        triangles: int32 (T, 3).
        uv: float32 (T, 3, 2) texture coordinates of the corners.
        chart: float32 (T, 3, 2) fabric coordinates of the corners.
        part: int32 (T,) body part.
        bones: int32 (N, 4).
        weights: float32 (N, 4).
        cuts: float32 (N, 4), kept where all are >= 0.
        material: of all its triangles.
    """

    rest: Array
    canonical: Array
    triangles: Array
    uv: Array
    chart: Array
    part: Array
    bones: Array
    weights: Array
    cuts: Array
    material: Material


@dataclass(frozen=True)
class Finish:
    """How a material looks.

    Attributes:
        texture: slot of the colour (or, with cloth, of its shading).
        fabric: slot of the cloth on the fabric chart, or -1.
        alpha: slot of the cut-out, or -1.
        specular: strength of the highlight.
        gloss: its exponent.
        wrap: how far light reaches round.
        bias: how much nearer to the camera it is drawn, dm: layers never poke through.
        culled: back faces are not drawn.
        kind: skin, cloth or hair.
        subsurface: red at the edge of the shadow.
    """

    texture: int
    fabric: int = -1
    alpha: int = -1
    specular: float = 0.03
    gloss: float = 12.0
    wrap: float = 0.1
    bias: float = 0.0
    culled: bool = False
    kind: int = CLOTH_KIND
    subsurface: float = 0.0


@dataclass(frozen=True, eq=False)
class Helper:
    """A helper surface of the base mesh, on the template."""

    surface: Surface
    vertices: Array  # their numbers in the base mesh
    triangles: Array
    uv: Array
    bones: Array
    weights: Array
    neighbours: Any  # sparse (n, n): mean of the neighbours
    arm: Array  # (n,) how far the arm moves a vertex, smoothed
    nearest: Array  # (13380,) nearest vertex to each of the skin's
    distance: Array  # (13380,) dm

    def smoothed(self, values: Array, rounds: int) -> Array:
        """Values (n, ...) averaged with their neighbours."""
        for _ in range(rounds):
            values = 0.5 * values + 0.5 * (self.neighbours @ values)
        return np.asarray(values, np.float32)


class Workroom:
    """Collects the parts of one person."""

    def __init__(self, assets: Assets, body: Body) -> None:
        """Begin with a naked body."""
        self.assets, self.body = assets, body
        self.pieces: list[Piece] = []
        self.finishes: dict[Material, Finish] = {}
        self.textures: list[NDArray[np.uint8]] = []
        self.alphas: list[NDArray[np.uint8]] = [np.full((TEXTURE, TEXTURE), 255, np.uint8)]
        self.hidden = np.zeros(BODY_VERTICES, bool)

    def texture(self, image: Array) -> int:
        """Keep a picture, uint8 or float in 0..1, (512, 512, 3); its slot."""
        if image.dtype != np.uint8:
            image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        self.textures.append(image)
        return len(self.textures) - 1

    def plain(self, color: Array) -> int:
        """Keep a picture of one colour (3,), sRGB in 0..1; its slot."""
        pixel = (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)
        return self.texture(np.broadcast_to(pixel, (TEXTURE, TEXTURE, 3)))

    def cutout(self, alpha: NDArray[np.uint8]) -> int:
        """Keep a cut-out (512, 512); its slot."""
        self.alphas.append(alpha)
        return len(self.alphas) - 1

    def wear(self, item: str, material: Material, chosen: Array | None = None) -> Piece:
        """Put on a fitted item of the pack, or the vertices ``chosen`` (bool) of it."""
        surface, bones, weights = item_surface(self.assets, item)
        arrays = self.assets.arrays
        triangles = arrays[f"{item}/tri"]
        kept = np.ones(len(triangles), bool) if chosen is None else chosen[triangles].all(1)
        rest = self.assets.fitted(item, self.body.vertices)
        piece = Piece(
            rest, surface.position, triangles[kept], arrays[f"{item}/uv"][kept],
            chart_of(surface, material)[kept], surface.part[kept], bones, weights,
            np.ones((len(rest), CUTS), np.float32), material,
        )  # fmt: skip
        self.pieces.append(piece)
        return piece

    def hide_under(self, item: str, lowest: float = -99.0, highest: float = 99.0) -> None:
        """Remove the skin that the item covers, between two heights of the template."""
        covered = self.assets.arrays[f"{item}/del"]
        covered = covered[covered < BODY_VERTICES]
        y = self.assets.template[covered, 1]
        self.hidden[covered[(y > lowest) & (y < highest)]] = True

    def drape(
        self,
        name: str,
        material: Material,
        cuts: Array,
        offset: Array | float,
        *,
        rounds: int,
        flare: float = 0.0,
    ) -> Piece:
        """Make a garment of a helper surface.

        Args:
            name: "tights" or "skirt".
            material: of the garment.
            cuts: (n, up to 4) cut fields.
            offset: (n,) or one, how far from the skin, dm.
            rounds: of smoothing: cloth does not follow every muscle.
            flare: how much wider it is 6 dm below the waist.
        """
        helper = helper_surface(self.assets, name)
        rest = helper.smoothed(self.body.vertices[helper.vertices].astype(np.float32), rounds)
        out = np.zeros_like(rest)
        mesh.normals(rest, helper.triangles, out)
        rest = rest + out * np.broadcast_to(np.asarray(offset, np.float32), (len(rest),))[:, None]
        if flare:
            wider = 1 + flare * np.clip((1.0 - helper.surface.position[:, 1]) / 6, 0, 1)
            rest[:, 0] *= wider
            rest[:, 2] = (rest[:, 2] - 0.2) * wider + 0.2
        fields = np.ones((len(rest), CUTS), np.float32)
        fields[:, : cuts.shape[1]] = cuts
        piece = Piece(
            rest.astype(np.float32), helper.surface.position, helper.triangles, helper.uv,
            chart_of(helper.surface, material), helper.surface.part, helper.bones, helper.weights,
            fields, material,
        )  # fmt: skip
        self.pieces.append(piece)
        self._hide_inside(name, helper, fields.min(1))
        return piece

    def _hide_inside(self, name: str, helper: Helper, cut: Array) -> None:
        """Remove skin well inside the garment. Under a skirt only that of hips and thighs: at
        rest the hands are close to it."""
        near = helper.distance < 0.8
        if name == "skirt":
            of_legs = np.isin(self.assets.body_part(), (CHEST, HIPS, 11, 12, 13, 14))
            near = (helper.distance < 2.2) & of_legs
        self.hidden |= near & (cut[helper.nearest] > 0.3)


def chart_of(surface: Surface, material: Material) -> Array:
    """The fabric coordinates of a surface as a garment of that material."""
    upper = material in (Material.TOP, Material.OUTER)
    return surface.long_chart if upper else surface.chart


def item_surface(assets: Assets, item: str) -> tuple[Surface, Array, Array]:
    """Canonical data, bones and weights of a fitted item."""

    def make() -> tuple[Surface, Array, Array]:
        arrays = assets.arrays
        bones, weights = arrays[f"{item}/bi"], arrays[f"{item}/bw"]
        position = assets.fitted(item, assets.template)
        kind = assets.items[item]["kind"]
        whole = {"hair": HAIR_PART, "hat": HAT_PART}.get(kind, 0)
        surface = assets.canon.surface(position, arrays[f"{item}/tri"], bones, weights, whole)
        if kind == "hair":  # strands below the neck follow the upper back
            head = np.clip((position[:, 1] - 4.4) / 1.8, 0, 1)
            names = ("head", "neck01", "spine01", "root")
            bones = np.tile(np.array([assets.bone[n] for n in names], np.int32), (len(head), 1))
            shares = (head, 0.3 * (1 - head), 0.7 * (1 - head), 0 * head)
            weights = np.stack(shares, 1).astype(np.float32)
        return surface, bones, weights

    made: tuple[Surface, Array, Array] = assets.once(("item", item), make)
    return made


def helper_surface(assets: Assets, name: str) -> Helper:
    """A helper surface of the base mesh: "tights" or "skirt"."""
    made: Helper = assets.once(("helper", name), lambda: _make_helper(assets, name))
    return made


def _make_helper(assets: Assets, name: str) -> Helper:
    from scipy.sparse import coo_matrix, diags
    from scipy.spatial import cKDTree

    vertices, inverse = np.unique(assets.arrays[f"{name}_tri"], return_inverse=True)
    triangles = inverse.reshape(-1, 3).astype(np.int32)
    bones, weights = assets.base_bones[vertices], assets.base_weights[vertices]
    position = assets.template[vertices]
    whole = SKIRT_PART if name == "skirt" else 0
    surface = assets.canon.surface(position, triangles, bones, weights, whole)
    edges = np.concatenate([triangles[:, pair] for pair in ((0, 1), (1, 2), (2, 0))])
    edges = np.unique(np.sort(edges, 1), axis=0)
    rows, columns = np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]]
    count = len(vertices)
    links = coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(count, count))
    links = links.tocsr()
    valence = np.maximum(1, np.asarray(links.sum(1)).ravel())
    neighbours = (diags(1 / valence) @ links).astype(np.float32).tocsr()
    arm = (weights * np.isin(assets.bone_part[bones], ARM_PARTS)).sum(1).astype(np.float32)
    for _ in range(3):
        arm = 0.5 * arm + 0.5 * (neighbours @ arm)
    distance, nearest = cKDTree(position).query(assets.template[:BODY_VERTICES])
    return Helper(
        surface, vertices, triangles, assets.arrays[f"{name}_uv"], bones, weights,
        neighbours, arm, nearest, distance,
    )  # fmt: skip
