"""What the methods with networks can do, where it can be read without importing their libraries."""

from __future__ import annotations

from typing import Final

from reposedm.pipelines.base import Capabilities

ALIGN: Final = "align"
DENOISE: Final = "denoise"
DECODE: Final = "decode"

TEXTURE: Final = "texture"
"""The control of methods whose ``Output`` has a correspondence: the photo's own texture."""

REPOSEDM: Final = Capabilities(
    name="reposedm",
    label="RePoseDM",
    description=(
        "Makes a new picture of the person in the pose, with a diffusion model whose view of the "
        "photo is aligned to the pose step by step."
    ),
    native_size=(176, 256),
    stages=(ALIGN, DENOISE, DECODE),
    controls=frozenset({"steps", "guidance_scale", "pose_guidance_scale", TEXTURE}),
    default_steps=20,
    default_guidance=2.0,
)

STREET: Final = Capabilities(
    name="reposedm-street",
    label="RePoseDM for small pictures (128 x 64)",
    description=(
        "RePoseDM with weights for pictures of surveillance cameras: small, dark and blurred."
    ),
    native_size=(176, 256),
    stages=(ALIGN, DENOISE, DECODE),
    controls=frozenset({"steps", "guidance_scale", TEXTURE}),
)

PIDM: Final = Capabilities(
    name="pidm",
    label="PIDM-style baseline (B1)",
    description=(
        "The same diffusion model without alignment and without pose guidance: for comparison."
    ),
    native_size=(176, 256),
    stages=(ALIGN, DENOISE, DECODE),
    controls=frozenset({"steps", "guidance_scale"}),
    default_steps=20,
    default_guidance=2.0,
)

SWAP: Final = Capabilities(
    name="swap",
    label="Garment swap",
    description=(
        "Paints the region with a diffusion model that is told of the garment, warped to the "
        "person's pose, and of the person around it."
    ),
    native_size=(176, 256),
    stages=(ALIGN, DENOISE, DECODE),
    controls=frozenset({"steps", "guidance_scale", "resample", TEXTURE}),
)
