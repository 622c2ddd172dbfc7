"""Cheap changes of colour, light, lens and file: a few milliseconds, for every sample of training.

``training.synthetic.photographic`` is the thorough camera; rendered folders have been through it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def recolored(image: Image, rng: np.random.Generator) -> Image:
    """Another exposure, contrast, white balance, saturation and hue."""
    levels = np.arange(256, dtype=np.float64) / 255
    levels = levels ** np.exp(rng.normal(0, 0.3))
    levels = (levels - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.06)
    table = levels[:, None] * np.exp(rng.normal(0, 0.1, 3)) * 255
    image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])  # type: ignore[assignment]
    if rng.random() < 0.5:
        grey = image.mean(2, keepdims=True)
        mixed = grey + (image - grey) * rng.uniform(0.0, 1.6)
        image = np.clip(mixed, 0, 255).astype(np.uint8)
    return image


def lit(image: Image, rng: np.random.Generator) -> Image:
    """Uneven light: soft clouds, or the hard edge of a shadow."""
    if rng.random() < 0.5:
        return image
    height, width = image.shape[:2]
    light = rng.normal(1, rng.uniform(0.05, 0.25), (4, 3)).astype(np.float32)
    field = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4)
        x, y = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
        dark = (np.cos(angle) * x + np.sin(angle) * y > offset).astype(np.float32)
        dark = cv2.GaussianBlur(dark, (0, 0), rng.uniform(0.5, 6))
        field = field * (1 - dark * rng.uniform(0.1, 0.5))
    return np.clip(image * field[..., None], 0, 255).astype(np.uint8)


def filed(image: Image, rng: np.random.Generator) -> Image:
    """Blur, fewer pixels, noise and JPEG, each of them sometimes."""
    height, width = image.shape[:2]
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6))  # type: ignore[assignment]
    if rng.random() < 0.2:
        scale = rng.uniform(0.3, 0.9)
        small = (max(8, int(width * scale)), max(8, int(height * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    if rng.random() < 0.2:
        blurred = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = cv2.addWeighted(image, 1.8, blurred, -0.8, 0)  # type: ignore[assignment]
    if rng.random() < 0.3:
        noise = rng.standard_normal((height, width, 3), np.float32) * rng.uniform(2, 14)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        _, data = cv2.imencode(".jpg", image, quality)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image


def textured(image: Image, where: NDArray[np.bool_], rng: np.random.Generator) -> Image:
    """A piece of cloth in another colour or pattern, its light and shade kept.

    Args:
        image: uint8 (H, W, 3).
        where: bool (H, W), the cloth.
        rng: draws.
    """
    if not where.any():
        return image
    height, width = where.shape
    grey = image.mean(2)
    shade = np.clip(grey / max(float(grey[where].mean()), 12.0), 0.2, 2.2)
    first, second = rng.uniform(5, 250, (2, 3)) * rng.choice((1.0, 0.25), p=(0.75, 0.25))
    if rng.random() < 0.35:
        first, second = (v.mean() + 0.1 * (v - v.mean()) for v in (first, second))
    share = np.zeros((height, width))
    kind = int(rng.integers(5))
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    period = rng.uniform(5, 40)
    if kind == 1:
        angle = rng.uniform(0, np.pi)
        share = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period) > 0
    elif kind == 2:
        share = (np.sin(2 * np.pi * x / period) > 0.3) * 0.5 + (
            np.sin(2 * np.pi * y / period) > 0.3
        ) * 0.5
    elif kind == 3:
        share = (np.hypot(x % period - period / 2, y % period - period / 2) < period / 4) * 1.0
    elif kind == 4:
        cells = rng.random((max(2, int(height / period)), max(2, int(width / period))))
        share = cv2.resize((cells > 0.5).astype(np.float32), (width, height)) > rng.uniform(
            0.3, 0.7
        )
    share = np.asarray(share, np.float64)[..., None]
    color = (first * (1 - share) + second * share) * shade[..., None]
    out = image.copy()
    out[where] = np.clip(color, 0, 255).astype(np.uint8)[where]
    return out
