"""Skin, face and hair of a person."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.assets import Assets
from training.synthetic.body import Traits
from training.synthetic.colors import Color, hair_color, luminance
from training.synthetic.labels import TEXTURE, Material
from training.synthetic.noise import smooth_noise
from training.synthetic.workroom import HAIR_KIND, SKIN_KIND, Finish, Workroom

Array = NDArray[Any]

WOMEN: Final = {
    "bob01": 0.7, "bob02": 1.0, "braid01": 1.0, "long01": 2.2, "ponytail01": 2.0, "short03": 0.6,
    "afro01": 0.6,
}  # fmt: skip
MEN: Final = {"short01": 1.0, "short02": 1.0, "short03": 0.8, "short04": 1.2, "afro01": 0.4}
"""Styles and how often they are worn."""
BALD: Final = "bald"
CHEST_TEXELS: Final = (slice(60, 240), slice(120, 300))
"""Where the skin textures show the upper body: their colour is measured there."""


def groom(rng: np.random.Generator, room: Workroom) -> str:
    """Skin, eyes, brows, lashes, hair and beard; the name of the hair style."""
    traits = room.body.traits
    color = hair_color(rng, traits.tone, traits.age)
    skin = _skin(rng, room.assets, traits)
    _eyes(rng, room)
    _brows(rng, room, color)
    style = _hair(rng, room, color)
    skin = _painted(rng, room, skin, style, color)
    room.finishes[Material.BODY] = Finish(
        room.texture(skin), specular=0.07, gloss=16, wrap=0.22, culled=True, kind=SKIN_KIND,
        subsurface=0.35,
    )  # fmt: skip
    return style


def _skin(rng: np.random.Generator, assets: Assets, traits: Traits) -> Array:
    """A skin texture brought to the person's tone, float (512, 512, 3) sRGB."""
    dark = traits.tone > 5.2
    names = [name for name in assets.texture_names("skin_") if ("dark" in name) == dark]
    if not dark:  # the pack has dark skins of men only
        names = [name for name in names if ("female" in name) == traits.female]
    unfit = "young" if traits.age > 0.55 and not traits.female else "old"
    names = [name for name in names if unfit not in name] or names
    texture = assets.texture(str(rng.choice(names)))
    if texture is None:
        raise RuntimeError(f"a skin texture of {assets.folder} cannot be read")
    linear = (texture[..., :3].astype(np.float32) / 255) ** 2
    measured = np.median(linear[CHEST_TEXELS].reshape(-1, 3), 0)
    goal = (traits.skin * np.float32(rng.uniform(0.94, 1.04))) ** 2
    linear = linear * (goal / measured) ** np.array((0.9, 0.95, 1.0), np.float32)
    return np.asarray(np.sqrt(np.clip(linear, 0, 1)), np.float32)


def _eyes(rng: np.random.Generator, room: Workroom) -> None:
    room.wear("low-poly", Material.EYES)
    other = ("blue", "bluegreen", "brownlight", "green", "grey", "deepblue")
    brown = rng.random() < 0.62 or room.body.traits.tone > 6
    name = "eye_brown" if brown else f"eye_{rng.choice(other)}"
    texture = room.assets.texture(name)
    if texture is None:
        texture = room.assets.texture("eye_brown")
    image = np.asarray(texture)[..., :3].astype(np.float32) / 255
    image = image * 0.55 + image.mean(-1, keepdims=True) * 0.40  # the brown one is reddish
    room.finishes[Material.EYES] = Finish(
        room.texture(image), specular=0.25, gloss=60, culled=True, kind=SKIN_KIND
    )


def _brows(rng: np.random.Generator, room: Workroom, color: Color) -> None:
    brow = str(rng.choice(room.assets.of_kind("brow")))
    for item, material, shade, bias in (
        (brow, Material.BROW, np.clip(color * 0.8, 0.03, 0.6), 0.03),
        ("eyelashes01", Material.LASH, np.full(3, 0.05), 0.02),
    ):
        room.wear(item, material)
        alpha = room.cutout(opacity(room.assets.texture(item)))
        room.finishes[material] = Finish(room.plain(shade), alpha=alpha, bias=bias, kind=SKIN_KIND)


def opacity(texture: Array | None) -> NDArray[np.uint8]:
    """The cut-out of a texture: its alpha, or else its darkness."""
    if texture is None:
        return np.full((TEXTURE, TEXTURE), 255, np.uint8)
    return np.ascontiguousarray(texture[..., 3] if texture.shape[2] == 4 else 255 - texture[..., 0])


def _style(rng: np.random.Generator, traits: Traits) -> str:
    if not traits.female and rng.random() < 0.07:
        return BALD
    if not traits.female and rng.random() < 0.05:
        return str(rng.choice(("long01", "ponytail01", "bob02")))
    shares = dict(WOMEN if traits.female else MEN)
    shares["afro01"] += 1.2 * (traits.tone > 5)
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _hair(rng: np.random.Generator, room: Workroom, color: Color) -> str:
    style = _style(rng, room.body.traits)
    if style == BALD:
        return style
    room.wear(style, Material.HAIR)
    texture = room.assets.texture(f"{style}_diffuse")
    if texture is None:
        shade, alpha = _made_hair(rng, style)
    else:
        shade = luminance(texture[..., :3].astype(np.float32) / 255)
        alpha = texture[..., 3] if texture.shape[2] == 4 else np.full_like(texture[..., 0], 255)
        middle = max(0.02, float(np.median(shade[alpha > 128])))
        shade = np.clip(shade / middle, 0.25, 2.2) ** 0.7
    room.finishes[Material.HAIR] = Finish(
        room.texture(np.clip(shade[..., None] * color, 0.01, 1)),
        alpha=room.cutout(np.ascontiguousarray(alpha)),
        specular=0.10, gloss=30, wrap=0.3, bias=0.30, kind=HAIR_KIND,
    )  # fmt: skip
    return style


def _made_hair(rng: np.random.Generator, style: str) -> tuple[Array, Array]:
    """Shade and cut-out of a style whose texture the pack lacks: curls, or straight strands."""
    if style == "afro01":
        noise = smooth_noise(rng, TEXTURE, (64, 128, 256), 0.2)
        alpha = np.clip(150 + 90 * noise, 0, 255).astype(np.uint8)
    else:
        strands = rng.standard_normal((3, 160)).astype(np.float32)
        noise = cv2.resize(strands, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
        alpha = np.full((TEXTURE, TEXTURE), 255, np.uint8)
    return np.clip(0.8 + 0.25 * noise, 0.2, 1.5), alpha


def _painted(
    rng: np.random.Generator, room: Workroom, skin: Array, style: str, hair: Color
) -> Array:
    """The skin with scalp, lips or beard."""

    assets, traits = room.assets, room.body.traits

    def mixed(mask: Array, color: Array, amount: float) -> Array:
        share = mask * np.float32(amount)
        return skin * (1 - share) + np.asarray(color, np.float32) * share

    if style != BALD:
        covered = 0.85 if "short" in style or "afro" in style else 0.6
        skin = mixed(face_mask(assets, "scalp"), np.clip(hair * 0.9, 0.03, 0.7), covered)
    if traits.female and rng.random() < 0.55:
        red = np.array((0.62, 0.16, 0.2)) * rng.uniform(0.6, 1.1) + rng.uniform(-0.05, 0.12, 3)
        skin = mixed(face_mask(assets, "lips"), red, rng.uniform(0.25, 0.75))
    if not traits.female and rng.random() < 0.5:
        kind = str(rng.choice(("beard", "beard", "moustache", "goatee")))
        grain = np.clip(0.75 + 0.35 * smooth_noise(rng, TEXTURE, (256, 512), 0.1), 0, 1)
        dense = rng.uniform(0.15, 0.4) if rng.random() < 0.5 else rng.uniform(0.6, 0.9)
        mask = face_mask(assets, kind) * grain[..., None]
        skin = mixed(mask, np.clip(hair * 0.75, 0.03, 0.5), dense)
    return skin


def face_mask(assets: Assets, kind: str) -> Array:
    """Soft mask (512, 512, 1) in the skin's texture, drawn from regions of the template's head."""

    def make() -> Array:
        middle = assets.template[assets.body_tri].mean(1)
        x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
        head = (y > 5.9) & (x < 1.2)
        lips = head & (y > 6.53) & (y < 6.78) & (x < 0.27 - 0.9 * np.abs(y - 6.65)) & (z > 1.2)
        jaw = (y < 6.86) & (y > 6.02) & (z > 0.45) & (x < 0.95)
        temple = (y < 7.15) & (y >= 6.8) & (x > 0.56) & (z > 0.2) & (z < 0.85)
        top = ((y > 7.75) & (z < 1.05)) | ((y > 6.9) & (z < -0.05)) | (y > 8.1)
        chosen = {
            "lips": lips,
            "beard": head & ~lips & (jaw | temple),
            "moustache": head & ~lips & (y > 6.70) & (y < 6.86) & (x < 0.36) & (z > 1.2),
            "goatee": head & ~lips & (y > 6.05) & (y < 6.86) & (x < 0.36) & (z > 1.0),
            "scalp": head & top,
        }[kind]
        mask = np.zeros((TEXTURE, TEXTURE), np.uint8)
        for corners in assets.arrays["body_uv"][chosen]:
            pixels = np.round(corners * (TEXTURE, -TEXTURE) + (0, TEXTURE)).astype(np.int32)
            cv2.fillPoly(mask, [pixels], 255)
        blur = 1.2 if kind == "lips" else 2.5
        soft = cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32) / 255
        return np.asarray(soft[..., None])

    return np.asarray(assets.once(("face", kind), make))
