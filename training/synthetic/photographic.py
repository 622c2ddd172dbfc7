"""What a camera does to a picture: light, colour, lens, sensor and file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.colors import luminance
from training.synthetic.noise import smooth_noise

Array = NDArray[Any]


@dataclass(frozen=True)
class Film:
    """One camera's settings; the defaults change nothing.

    Attributes:
        gains: (3,) white balance, in linear light.
        exposure: stops.
        contrast: slope of the tone curve in the middle.
        saturation: 0 grey, 1 as it is.
        lift: added to black, 0 to 0.1: haze and flare.
        vignette: how much darker the corners are, 0 to 1.
        uneven: how much the light varies over the picture, 0 to 1.
        blur: of the lens, pixels (standard deviation).
        motion: length in pixels and direction in radians.
        resolution: of the sensor, as a part of the picture's.
        shot: noise that grows with the root of the light.
        read: noise of the sensor, 0 to 1.
        quality: of JPEG, 1 to 100; 0: none.
        sharpen: of the camera's software.
        seed: of noise and unevenness.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    lift: float = 0.0
    vignette: float = 0.0
    uneven: float = 0.0
    blur: float = 0.0
    motion: tuple[float, float] = (0.0, 0.0)
    resolution: float = 1.0
    shot: float = 0.0
    read: float = 0.0
    quality: int = 0
    sharpen: float = 0.0
    seed: int = 0


def sample_film(rng: np.random.Generator, strength: float = 1.0, width: int = 176) -> Film:
    """Draw a camera.

    Args:
        rng: draws.
        strength: 0 nothing, 1 the range of photographs found anywhere.
        width: of the pictures: blur and motion are in proportion.
    """
    k, scale = strength, width / 176
    warm, green = rng.normal(0, 0.10 * k), rng.normal(0, 0.04 * k)
    gains = tuple(float(v) for v in np.clip((1 + warm, 1 + green, 1 - warm), 0.6, 1.6))
    soft = rng.random() < 0.45
    moved = rng.random() < 0.10
    return Film(
        gains=(gains[0], gains[1], gains[2]),
        exposure=float(np.clip(rng.normal(0, 0.35 * k), -1.2, 1.2)),
        contrast=float(np.exp(rng.normal(0, 0.16 * k))),
        saturation=float(np.clip(rng.normal(1, 0.20 * k), 0.05, 1.8)),
        lift=float(rng.uniform(0, 0.06) * k) if rng.random() < 0.3 else 0.0,
        vignette=float(rng.uniform(0, 0.35) * k) if rng.random() < 0.3 else 0.0,
        uneven=float(rng.uniform(0, 0.25) * k),
        blur=float(rng.uniform(0.2, 1.1) * k * scale) if soft else 0.0,
        motion=(float(rng.uniform(1, 4) * k * scale) if moved else 0.0, float(rng.uniform(0, 3.2))),
        resolution=float(rng.uniform(0.45, 1)) if rng.random() < 0.25 * k else 1.0,
        shot=float(rng.uniform(0, 0.03) * k),
        read=float(rng.uniform(0, 0.02) * k),
        quality=int(rng.uniform(40, 97)) if rng.random() < 0.7 * min(k, 1) else 0,
        sharpen=float(rng.uniform(0, 0.7) * k) if rng.random() < 0.35 else 0.0,
        seed=int(rng.integers(1 << 30)),
    )


def photograph(
    film: Film, image: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The picture (H, W, 3) as that camera takes it; the alpha (H, W) gets the same lens."""
    rng = np.random.default_rng(film.seed)
    linear = (image.astype(np.float32) / 255) ** 2.2
    linear = linear * np.asarray(film.gains, np.float32) * np.float32(2**film.exposure)
    linear = linear * _falloff(film, image.shape[:2], rng)[..., None]
    linear = _lens(film, linear)
    if alpha is not None:
        softened = _lens(film, alpha.astype(np.float32) / 255)
        alpha = (np.clip(softened, 0, 1) * 255 + 0.5).astype(np.uint8)
    if film.shot or film.read:
        light = np.sqrt(np.clip(linear, 0, None))
        noise = rng.standard_normal(linear.shape, np.float32)
        linear = linear + noise * (film.shot * light + film.read * 0.3) * np.float32(0.7)
    encoded = np.clip(linear, 0, 1) ** np.float32(1 / 2.2)
    grey = luminance(encoded)[..., None]
    encoded = grey + (encoded - grey) * np.float32(film.saturation)
    encoded = (encoded - 0.5) * np.float32(film.contrast) + 0.5
    encoded = film.lift + encoded * np.float32(1 - film.lift)
    if film.sharpen:
        encoded = encoded + film.sharpen * (encoded - cv2.GaussianBlur(encoded, (0, 0), 1.0))
    out = (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
    return _filed(film, out), alpha


def _falloff(film: Film, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Brightness over the picture, (H, W)."""
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    far = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    light = 1 - film.vignette * far
    if film.uneven:
        cloud = smooth_noise(rng, 128, (2, 3), 1.0)
        light = light * (1 + film.uneven * 0.5 * cv2.resize(cloud, (width, height)))
    return np.asarray(np.clip(light, 0.2, 2), np.float32)


def _lens(film: Film, image: Array) -> Array:
    height, width = image.shape[:2]
    if film.blur:
        image = cv2.GaussianBlur(image, (0, 0), film.blur)
    length, angle = film.motion
    if length >= 1:
        side = int(length) * 2 + 1
        kernel = np.zeros((side, side), np.float32)
        for step in np.linspace(-length / 2, length / 2, side * 2):
            row = round(side // 2 + step * np.sin(angle))
            kernel[row, round(side // 2 + step * np.cos(angle))] += 1
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if film.resolution < 1:
        small = max(8, round(width * film.resolution)), max(8, round(height * film.resolution))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, np.float32)


def _filed(film: Film, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not film.quality:
        return image
    quality = [cv2.IMWRITE_JPEG_QUALITY, film.quality]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), quality)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
