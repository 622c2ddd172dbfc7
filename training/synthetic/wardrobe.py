"""Garments: pieces of the pack's suits, and clothes cut from helper surfaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.assets import Assets
from training.synthetic.colors import luminance
from training.synthetic.fabrics import fabric
from training.synthetic.labels import TEXTURE, Material
from training.synthetic.maths import unit
from training.synthetic.workroom import Finish, Helper, Workroom, helper_surface, item_surface

Array = NDArray[Any]

BIAS: Final = {
    Material.BOTTOM: 0.06, Material.TOP: 0.16, Material.OUTER: 0.40,
}  # fmt: skip
"""Layers of clothes, dm towards the camera."""
WAIST: Final = 1.6
"""Height on the template that divides a suit into its top and its bottom."""
NEUTRAL: Final = 0.70
"""Texture value that leaves the cloth's colour as it is."""
LOGO: Final = frozenset(
    ("female_casualsuit01", "female_casualsuit02", "male_casualsuit02", "male_casualsuit04",
     "male_casualsuit06")
)  # fmt: skip
"""Suits whose T-shirt texture carries MakeHuman's logo: only their shading is used."""


def smooth_step(value: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, without a kink between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


@dataclass(frozen=True)
class TopCut:
    """Where a top ends, on the template in dm.

    Attributes:
        hem: height.
        sleeve: distance from the shoulder along the arm; about 0: none.
        neck: height of the neckline in front.
        vee: how much deeper it is in the middle.
        loose: distance from the body.
        gap: half the opening in front; 0: closed.
        spread: how much wider the opening gets below.
    """

    hem: float
    sleeve: float
    neck: float
    vee: float = 0.0
    loose: float = 0.25
    gap: float = 0.0
    spread: float = 0.0


def arm_lengths(assets: Assets) -> tuple[float, float]:
    """Upper and fore arm of the template, dm."""
    shoulder, elbow, wrist = (
        assets.canon.joint(f"{name}.L") for name in ("upperarm01", "lowerarm01", "wrist")
    )
    return float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))


def along_arm(assets: Assets, at: Array, arm: Array) -> Array:
    """(n,) distance from the shoulder along the arm; far below 0 on the trunk."""
    shoulder, elbow, wrist = (
        assets.canon.joint(f"{name}.L") for name in ("upperarm01", "lowerarm01", "wrist")
    )
    mirrored = np.column_stack((np.abs(at[:, 0]), at[:, 1:]))
    upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
    above = (mirrored - shoulder) @ upper
    below = np.linalg.norm(elbow - shoulder) + (mirrored - elbow) @ lower
    past = smooth_step((mirrored - elbow) @ unit(upper + lower), -0.15, 0.15)
    return np.asarray(above * (1 - past) + below * past + 8 * (smooth_step(arm, 0, 0.35) - 1))


def top_cuts(assets: Assets, helper: Helper, cut: TopCut) -> Array:
    """Cut fields (n, 4) of a top: hem, sleeve, neckline, opening."""
    at = helper.smoothed(helper.surface.position, 8)
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    front = smooth_step(z, -0.25, 0.45)
    hem = np.where(helper.arm > 0.5, 9.0, y - cut.hem)
    sleeve = cut.sleeve - along_arm(assets, at, helper.arm)
    dip = -cut.vee * np.clip(1 - x / 0.9, 0, 1) + 0.25 * np.clip(x - 0.5, 0, 1.5)
    neck = cut.neck + front * dip + (1 - front) * 0.35 - y
    fields = [hem, sleeve, neck]
    if cut.gap:
        wider = cut.spread * np.clip(2 - y, 0, 4) * 0.5
        fields.append(x - cut.gap - wider + 9 * (1 - smooth_step(z, 0.0, 0.25)))
    return np.stack(fields, 1).astype(np.float32)


def drape_top(room: Workroom, material: Material, cut: TopCut) -> None:
    """A top, or the upper part of a jacket, of the tights' surface."""
    helper = helper_surface(room.assets, "tights")
    at = helper.surface.position
    arm = np.clip(np.abs(at[:, 0]) - 1.5, 0, 1)
    below = np.clip((5.0 - at[:, 1]) / 3.5, 0, 1)
    offset = 0.06 + cut.loose * (below * (1 - arm) + 0.45 * arm)
    room.drape("tights", material, top_cuts(room.assets, helper, cut), offset, rounds=8)


def drape_coat(room: Workroom, material: Material, cut: TopCut, flare: float) -> None:
    """A coat: the top down to the waist, and below it a skirt with the same opening."""
    helper = helper_surface(room.assets, "skirt")
    at = helper.smoothed(helper.surface.position, 4)
    opening = np.abs(at[:, 0]) - cut.gap - cut.spread + 9 * (1 - smooth_step(at[:, 2], 0.0, 0.25))
    fields = np.stack((at[:, 1] - cut.hem, opening), 1)
    room.drape("skirt", material, fields, 0.25, rounds=4, flare=flare)
    drape_top(room, material, replace(cut, hem=0.4))


def drape_legs(room: Workroom, hem: float, waist: float, loose: float) -> None:
    """Leggings, trousers or shorts of the tights' surface."""
    helper = helper_surface(room.assets, "tights")
    at = helper.smoothed(helper.surface.position, 4)
    off_arms = 0.15 - helper.arm
    fields = np.stack((at[:, 1] - hem, waist - at[:, 1], off_arms * 9), 1)
    offset = 0.05 + loose * np.clip((0.8 - helper.surface.position[:, 1]) / 2, 0, 1)
    room.drape("tights", Material.BOTTOM, fields, offset, rounds=4)


def drape_skirt(room: Workroom, hem: float, offset: float, flare: float) -> None:
    """A skirt, down to ``hem``."""
    helper = helper_surface(room.assets, "skirt")
    at = helper.smoothed(helper.surface.position, 3)
    room.drape("skirt", Material.SKIRT, (at[:, 1] - hem)[:, None], offset, rounds=3, flare=flare)


def finish_cloth(
    rng: np.random.Generator,
    room: Workroom,
    material: Material,
    *,
    bias: float,
    printed: bool,
    calm: bool,
    detail: int = -1,
) -> None:
    """Give a garment new cloth, over the shading in slot ``detail`` (-1: none)."""
    cloth = fabric(rng, printed=printed, calm=calm, avoid=room.body.traits.skin)
    if detail < 0:
        detail = room.plain(np.full(3, NEUTRAL))
    room.finishes[material] = Finish(detail, fabric=room.texture(cloth), bias=bias)


def suit_piece(
    rng: np.random.Generator,
    room: Workroom,
    suit: str,
    material: Material,
    *,
    components: tuple[int, ...] = (),
    own_colors: float = 0.2,
    hide: bool = True,
) -> None:
    """One garment of a suit, in its own colours or in new cloth.

    Args:
        rng: draws.
        room: where it is put on.
        suit: the item.
        material: TOP takes its upper, BOTTOM its lower components, unless given.
        components: of the item's mesh.
        own_colors: how often its texture's colours are kept.
        hide: remove the skin below.
    """
    top = material != Material.BOTTOM
    surface, _, _ = item_surface(room.assets, suit)
    of = room.assets.arrays[f"{suit}/comp"]
    y = surface.position[:, 1]
    chosen = np.zeros(len(of), bool)
    for number in np.unique(of):
        mean = y[of == number].mean()
        if (number in components) if components else ((mean > WAIST) == top):
            chosen[of == number] = True
    piece = room.wear(suit, material, chosen)
    if components:
        if hide:
            room.hide_under(suit)
    else:  # otherwise holes appear between pieces of two suits
        low, high = float(y[chosen].min()), float(y[chosen].max())
        room.hide_under(suit, *((low + 0.35, 99.0) if top else (-99.0, high - 0.35)))
    shade, colors = suit_detail(room.assets, suit)
    if top and suit in LOGO and not components:
        colors = None
    if colors is not None and rng.random() < own_colors:
        image = _recolored(rng, colors * shade[..., None] ** 0.7, top)
        room.finishes[material] = Finish(room.texture(image), bias=BIAS[material])
        return
    detail = shade
    if colors is not None:
        brightness = luminance(colors)
        corners = (piece.uv.reshape(-1, 2) * (1, -1) + (0, 1)) * TEXTURE
        column, row = np.clip(corners, 0, TEXTURE - 1).astype(int).T
        middle = float(np.median(brightness[row, column]))
        relative = np.clip(brightness / max(middle, 0.04), 0.35, 1.7)
        detail = shade * relative ** (0.8 if middle > 0.1 else 0.5)
    image = np.repeat(np.clip(detail * NEUTRAL, 0, 1)[..., None], 3, 2)
    finish_cloth(
        rng, room, material, bias=BIAS[material], printed=top, calm=not top,
        detail=room.texture(image),
    )  # fmt: skip


def _recolored(rng: np.random.Generator, image: Array, top: bool) -> Array:
    """A texture in its own pattern, with another hue."""
    bright = np.clip(image * np.float32(rng.uniform(0.6, 1.3)), 0, 1).astype(np.float32)
    hsv = cv2.cvtColor(bright, cv2.COLOR_RGB2HSV)
    turn = rng.uniform(0, 360) if top else rng.normal(0, 8)
    hsv[..., 0] = (hsv[..., 0] + turn) % 360
    hsv[..., 1] *= rng.uniform(0.3, 1.1)
    return np.asarray(
        cv2.cvtColor(np.clip(hsv, 0, (360, 1, 1)).astype(np.float32), cv2.COLOR_HSV2RGB)
    )


def suit_detail(assets: Assets, suit: str) -> tuple[Array, Array | None]:
    """Baked shading (512, 512) of a suit, and its colours (512, 512, 3) or None."""

    def make() -> tuple[Array, Array | None]:
        colors, hollows, bumps = (
            assets.texture(f"{suit}_{k}") for k in ("diffuse", "ao", "normal")
        )
        shade = np.ones((TEXTURE, TEXTURE), np.float32)
        if hollows is not None:
            shade = np.clip(hollows[..., 0].astype(np.float32) / 255, 0.35, 1)
        if bumps is not None:
            slope = bumps[..., :3].astype(np.float32) / 127.5 - 1
            slope -= slope.mean((0, 1))
            shade = shade * np.clip(1 + 0.45 * slope[..., 1] + 0.15 * slope[..., 0], 0.6, 1.4)
        rgb = None if colors is None else colors[..., :3].astype(np.float32) / 255
        return shade, rgb

    made: tuple[Array, Array | None] = assets.once(("detail", suit), make)
    return made
