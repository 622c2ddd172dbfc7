"""What a person wears: every garment from lots of its own, so that one alone can be changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from training.synthetic.colors import cloth_color, luminance
from training.synthetic.labels import Material
from training.synthetic.skin_hair import BALD
from training.synthetic.wardrobe import (
    BIAS,
    NEUTRAL,
    TopCut,
    arm_lengths,
    drape_coat,
    drape_legs,
    drape_skirt,
    drape_top,
    finish_cloth,
    suit_piece,
)
from training.synthetic.workroom import Finish, Workroom

SLOTS: Final = ("style", "bottom", "top", "outer", "shoes", "hat")
JACKET_BIAS: Final = 0.55
DRESS_BIAS: Final = 0.22
SKIRT_BIAS: Final = 0.28
"""Over the top, which is tucked in."""

WOMEN_TOPS: Final = ("female_casualsuit01", "female_elegantsuit01", "female_casualsuit02")
WOMEN_BOTTOMS: Final = (
    "female_casualsuit01", "female_casualsuit02", "female_sportsuit01", "female_elegantsuit01",
)  # fmt: skip
MEN_TOPS: Final = (
    "male_casualsuit02", "male_casualsuit03", "male_casualsuit04", "male_casualsuit05",
    "male_casualsuit06", "male_elegantsuit01",
)  # fmt: skip
MEN_BOTTOMS: Final = (
    "male_casualsuit02", "male_casualsuit03", "male_casualsuit06", "male_elegantsuit01",
    "male_casualsuit04",
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """Which lots each garment is drawn from: another number, another garment."""

    style: int = 0
    bottom: int = 0
    top: int = 0
    outer: int = 0
    shoes: int = 0
    hat: int = 0

    def changed(self, by: int, *slots: str) -> Outfit:
        """Other garments in some slots; none named: all clothes, the same shoes and hat."""
        names = slots or ("style", "bottom", "top", "outer")
        values = asdict(self)
        return replace(self, **{name: values[name] + by for name in names})


class Dresser:
    """Dresses one person."""

    def __init__(self, room: Workroom, seed: int, outfit: Outfit, hair: str) -> None:
        """Prepare the lots."""
        self.room, self.hair = room, hair
        self.female = room.body.traits.female
        numbers = asdict(outfit)
        self._lots = {
            slot: np.random.default_rng((seed, 3, index, numbers[slot]))
            for index, slot in enumerate(SLOTS)
        }

    def dress(self) -> str:
        """Put everything on; the style: two pieces, dress, suit or overall."""
        lot = self._lots["style"].random()
        if self.female:
            style = "dress" if lot < 0.22 else "two"
        else:
            style = "suit" if lot < 0.10 else "overall" if lot > 0.96 else "two"
        {
            "two": self._two_pieces,
            "dress": self._dress,
            "suit": self._suit,
            "overall": self._overall,
        }[style]()
        outer = self._lots["outer"]
        if style in ("two", "dress") and outer.random() < (0.22 if self.female else 0.2):
            self._jacket(outer)
        self._shoes(self._lots["shoes"])
        self._hat(self._lots["hat"])
        return style

    def _two_pieces(self) -> None:
        rng = self._lots["bottom"]
        kind = rng.random()
        if self.female and kind < 0.22:
            self._skirt(rng, rng.uniform(-6.0, -1.2))
            finish_cloth(rng, self.room, Material.SKIRT, bias=SKIRT_BIAS, printed=False, calm=False)
        elif kind < (0.45 if self.female else 0.12):
            self._leggings(rng)
        else:
            bottoms = WOMEN_BOTTOMS if self.female else MEN_BOTTOMS
            suit = str(rng.choice(bottoms))
            suit_piece(rng, self.room, suit, Material.BOTTOM, own_colors=0.45)
        rng = self._lots["top"]
        if rng.random() < (0.5 if self.female else 0.45):
            self._cut_top(rng)
            return
        suit = str(rng.choice(WOMEN_TOPS if self.female else MEN_TOPS))
        if suit == "male_casualsuit05":  # shirt, collar and an open jacket
            suit_piece(rng, self.room, suit, Material.TOP, components=(1, 2), hide=False)
            suit_piece(
                rng, self.room, suit, Material.OUTER, components=(0,), own_colors=0.3, hide=False
            )
            self.room.hide_under(suit, 1.6)
        else:
            suit_piece(rng, self.room, suit, Material.TOP, own_colors=0.12)

    def _suit(self) -> None:
        name = "male_elegantsuit01"
        for slot, material in (("bottom", Material.BOTTOM), ("top", Material.TOP)):
            suit_piece(self._lots[slot], self.room, name, material, own_colors=0.3)
        finishes = self.room.finishes  # both of the same cloth
        cloth = finishes[Material.BOTTOM].fabric
        finishes[Material.TOP] = replace(finishes[Material.TOP], fabric=cloth)

    def _overall(self) -> None:
        name = "male_worksuit01"
        suit_piece(self._lots["top"], self.room, name, Material.TOP, components=(0,), hide=False)
        suit_piece(
            self._lots["bottom"], self.room, name, Material.BOTTOM,
            components=(1, 2, 3, 4, 5), own_colors=0.4,
        )  # fmt: skip

    def _dress(self) -> None:
        """A top that goes over into a skirt of the same cloth."""
        rng = self._lots["bottom"]
        hem = rng.uniform(-6.6, -1.6)
        self._cut_top(self._lots["top"], hem=0.6)
        self._skirt(rng, hem)
        top = self.room.finishes[Material.TOP]
        self.room.finishes[Material.SKIRT] = replace(top, bias=DRESS_BIAS)

    def _skirt(self, rng: np.random.Generator, hem: float) -> None:
        flare = rng.uniform(0, 0.6) if rng.random() < 0.5 else 0.0
        drape_skirt(self.room, hem, rng.uniform(0.05, 0.15), flare)

    def _cut_top(self, rng: np.random.Generator, hem: float | None = None) -> None:
        """T-shirt, tank top, sweater ... cut from the helper surface."""
        room = self.room
        low = rng.uniform(-0.1, 1.1) if rng.random() < 0.85 else rng.uniform(1.6, 2.3)
        if not self.female:
            low = min(low, rng.uniform(-0.1, 0.9))
        sleeve = self._sleeve(rng)
        neck = rng.uniform(5.05, 5.95) if self.female else rng.uniform(5.5, 5.98)
        vee = rng.uniform(0, 1.2) if rng.random() < 0.4 else 0.0
        loose = rng.uniform(0.10, 0.45)
        cut = TopCut(low if hem is None else hem, sleeve, neck, vee, loose)
        drape_top(room, Material.TOP, cut)
        finish_cloth(rng, room, Material.TOP, bias=BIAS[Material.TOP], printed=True, calm=False)

    def _sleeve(self, rng: np.random.Generator) -> float:
        upper, fore = arm_lengths(self.room.assets)
        shares = (0.25, 0.30, 0.35, 0.10) if self.female else (0.12, 0.30, 0.35, 0.23)
        kind = rng.choice(4, p=shares)
        lengths = (
            rng.uniform(-0.10, 0.25),
            rng.uniform(0.7, 1.9),
            upper + fore * rng.uniform(0.90, 0.98),
            upper + fore * rng.uniform(0.2, 0.6),
        )
        return float(lengths[kind])

    def _jacket(self, rng: np.random.Generator) -> None:
        room = self.room
        upper, fore = arm_lengths(room.assets)
        length = 0.95 if rng.random() < 0.5 else rng.uniform(0.1, 0.6)
        coat = rng.random() < 0.3
        cut = TopCut(
            hem=rng.uniform(-4.5, -1.5) if coat else rng.uniform(-0.2, 1.4),
            sleeve=upper + fore * float(length),
            neck=rng.uniform(5.6, 6.1),
            loose=rng.uniform(0.4, 0.7),
            gap=rng.uniform(0.15, 1.0),
            spread=rng.uniform(0, 0.25),
        )
        if coat:
            drape_coat(room, Material.OUTER, cut, rng.uniform(0.1, 0.5))
        else:
            drape_top(room, Material.OUTER, cut)
        finish_cloth(rng, room, Material.OUTER, bias=JACKET_BIAS, printed=False, calm=True)

    def _leggings(self, rng: np.random.Generator) -> None:
        shares = (0.45, 0.15, 0.40) if self.female else (0.1, 0.2, 0.7)
        hems = (rng.uniform(-7.7, -7.0), rng.uniform(-6, -4), rng.uniform(-2.6, -1.2))
        hem = float(hems[rng.choice(3, p=shares)])
        tight = self.female and hem < -3
        loose = rng.uniform(0.05, 0.12) if tight else rng.uniform(0.15, 0.5)
        drape_legs(self.room, hem, rng.uniform(1.2, 1.9), loose)
        bias = BIAS[Material.BOTTOM]
        finish_cloth(rng, self.room, Material.BOTTOM, bias=bias, printed=False, calm=True)

    def _shoes(self, rng: np.random.Generator) -> None:
        room = self.room
        item = str(rng.choice(room.assets.of_kind("shoes")))
        room.wear(item, Material.SHOES)
        room.hide_under(item)
        texture = room.assets.texture(f"{item}_diffuse")
        image = np.asarray(texture)[..., :3].astype(np.float32) / 255
        if rng.random() < 0.55:
            shade = luminance(image)
            shade = shade / max(0.12, float(np.percentile(shade, 70)))
            image = np.clip(shade[..., None] * cloth_color(rng), 0.01, 1)
        room.finishes[Material.SHOES] = Finish(
            room.texture(image), specular=0.12, gloss=25, bias=0.06
        )

    def _hat(self, rng: np.random.Generator) -> None:
        # Over long or curly hair a hat looks squashed.
        fits = self.hair == BALD or self.hair.startswith("short")
        if not fits or rng.random() >= 0.08:
            return
        self.room.wear("fedora", Material.HAT)
        detail = self.room.plain(np.full(3, NEUTRAL))
        finish_cloth(
            rng, self.room, Material.HAT, bias=0.75, printed=False, calm=True, detail=detail
        )
