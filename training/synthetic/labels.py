"""Names and numbers shared by all parts: body parts, segments, materials, joints."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PARTS: Final = (
    "background", "head", "neck", "chest", "hips",
    "right upper arm", "left upper arm", "right forearm", "left forearm",
    "right hand", "left hand", "right thigh", "left thigh", "right shin", "left shin",
    "right foot", "left foot", "hair", "skirt", "hat",
)  # fmt: skip
"""What of the body a pixel belongs to, clothes included: the first index of canonical maps."""

HEAD, NECK_PART, CHEST, HIPS = 1, 2, 3, 4
ARM_PARTS: Final = (5, 6, 7, 8, 9, 10)
LEG_PARTS: Final = (11, 12, 13, 14, 15, 16)
HAIR_PART, SKIRT_PART, HAT_PART = 17, 18, 19
MIRRORED_PARTS: Final = (
    0, 1, 2, 3, 4, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 17, 18, 19,
)  # fmt: skip
"""Where a part's values come from when left and right are exchanged."""

SEGMENTS: Final = (
    "background", "hair", "face", "torso skin", "arm skin", "leg skin",
    "top", "outer", "bottom", "skirt or dress", "shoes", "hat",
)  # fmt: skip
"""What is seen at a pixel; the person is everything above 0."""

SKIN_SEGMENTS: Final = (0, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 1, 9, 11)
"""Segment of bare skin by body part."""


class Material(IntEnum):
    """What a triangle is made of; the order is that of drawing."""

    BODY = 0
    EYES = 1
    BROW = 2
    LASH = 3
    HAIR = 4
    SHOES = 5
    BOTTOM = 6
    TOP = 7
    OUTER = 8
    SKIRT = 9
    HAT = 10
    PROP = 11


SEGMENT_OF: Final = {
    Material.EYES: 2, Material.BROW: 2, Material.LASH: 2, Material.HAIR: 1, Material.TOP: 6,
    Material.OUTER: 7, Material.BOTTOM: 8, Material.SKIRT: 9, Material.SHOES: 10,
    Material.HAT: 11, Material.PROP: 0,
}  # fmt: skip
"""Segment of every material but skin."""

JOINT_BONES: Final = {
    2: "upperarm01.R", 3: "lowerarm01.R", 4: "wrist.R",
    5: "upperarm01.L", 6: "lowerarm01.L", 7: "wrist.L",
    8: "upperleg01.R", 9: "lowerleg01.R", 10: "foot.R",
    11: "upperleg01.L", 12: "lowerleg01.L", 13: "foot.L",
}  # fmt: skip
"""The bone whose head is the joint, by OpenPose index; neck and head points are measured."""

BODY_VERTICES: Final = 13380
"""The base mesh's own skin; helper surfaces and joint cubes follow."""
TEXTURE: Final = 512
"""Pixels along a side of every texture and fabric chart."""

_PREFIX_PARTS: Final = (
    ("upperarm", 5), ("shoulder", 5), ("lowerarm", 7), ("wrist", 9), ("finger", 9),
    ("metacarpal", 9), ("upperleg", 11), ("lowerleg", 13), ("foot", 15), ("toe", 15),
)  # fmt: skip


def part_of_bone(bone: str) -> int:
    """The body part that a bone of the rig moves."""
    for prefix, part in _PREFIX_PARTS:
        if bone.startswith(prefix):
            return part + (not bone.endswith(".R"))
    if bone.startswith("neck"):
        return NECK_PART
    if bone.startswith(("clavicle", "spine01", "spine02", "spine03", "breast")):
        return CHEST
    if bone.startswith(("root", "pelvis", "spine04", "spine05")):
        return HIPS
    return HEAD
