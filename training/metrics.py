"""Picture metrics under named protocols: SSIM in its three variants, PSNR, masks, flow error.

Numbers of this field are only comparable when resize filter, size and file format are. So a
``Protocol`` fixes them, its ``text`` is printed with every number, and pictures are brought to it
by ``Protocol.fit`` alone. scikit-image computes SSIM and PSNR.

    ssim51      window of 51, uniform, pictures in [0, 1], data range 1 (rarely quoted)
    ssim_g1.2   Gaussian window, sigma 1.2, data range of the *prediction* (PIDM, PCDMs)
    ssim_g1.5   the same with sigma 1.5 (PATN, CFLD, FPDM); the headline
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from reposedm.errors import RePoseError
from reposedm.pose import Pose
from reposedm.pose.skeleton import LIMBS

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Filter = Literal["bilinear", "bicubic"]

FILTERS: Final[Mapping[Filter, str]] = {
    "bilinear": "OpenCV bilinear without antialias",
    "bicubic": "Pillow bicubic with antialias",
}
SSIMS: Final = ("ssim51", "ssim_g1.2", "ssim_g1.5")
HEADLINE: Final = "ssim_g1.5"
SSIM51_SIDE: Final = 51
"""Pixels of the window, so of the smallest picture, of ``ssim51``."""

MA_LIMBS: Final = (*LIMBS, (1, 16), (1, 17), (8, 11), (11, 5), (8, 2), (16, 17))
"""Bones of the mask of Ma et al. that Market-1501's masked numbers are taken in."""
MA_RADIUS: Final = 4.0
"""Pixels of a 128 x 64 picture."""
MA_CLOSING: Final = 5


class MetricsError(RePoseError):
    """A number cannot be computed as it was asked for: says what is missing and what to do."""


@dataclass(frozen=True)
class Protocol:
    """How pictures are compared; the name of the row's rules.

    Attributes:
        name: what it is called.
        size: (H, W) that pictures are brought to; None: the real picture's own.
        resize: how, where a picture has another size.
        inception: whose Inception network the FID uses.
        real: the real pictures of the FID: "train", "test" or a folder.
        drop_last: leave out the last partial batch of the FID, as PIDM's code does.
        batch: pictures per batch of the FID's network.
        masked: also compare under the limb mask, as is done on Market-1501.
    """

    name: str
    size: tuple[int, int] | None
    resize: Filter
    inception: Literal["torchvision", "tensorflow"]
    real: str = "train"
    drop_last: bool = False
    batch: int = 64
    masked: bool = False

    @property
    def fid(self) -> str:
        """What the FID is called: it differs between networks by more than between methods."""
        return "fid_legacy_torchvision" if self.inception == "torchvision" else "fid_tf"

    @property
    def text(self) -> str:
        """Everything that changes a number, in one line."""
        size = "size of the data" if self.size is None else f"{self.size[0]}x{self.size[1]} (HxW)"
        network = {
            "torchvision": "torchvision's Inception v3, legacy normalisation",
            "tensorflow": "TensorFlow's Inception of 2015 (torch-fidelity)",
        }[self.inception]
        last = f"last partial batch of {self.batch} dropped" if self.drop_last else "all pictures"
        parts = [
            f"{self.name}: {size}, resized with {FILTERS[self.resize]}, uint8 RGB",
            f"FID by {network}, against {self.real}, {last}",
            "LPIPS AlexNet v0.1 in [-1, 1]",
        ]
        if self.masked:
            parts.append("ma-mask: both pictures black outside the limb mask")
        return "; ".join(parts)

    def __str__(self) -> str:
        """``text``."""
        return self.text

    def fit(self, image: Image, size: tuple[int, int] | None = None) -> Image:
        """The picture at the protocol's size, or, where that is the data's own, at ``size``."""
        wanted = self.size or size
        if wanted is None or image.shape[:2] == wanted:
            return image
        height, width = wanted
        if self.resize == "bilinear":
            resized: Any = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            resized = np.array(
                Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BICUBIC)
            )
        return resized.astype(np.uint8)


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    protocol.name: protocol
    for protocol in (
        # PIDM's filter at 256, where the published rows are its code's; CFLD's at 512.
        Protocol("legacy-256", (256, 176), "bilinear", "torchvision"),
        Protocol("legacy-512", (512, 352), "bicubic", "torchvision"),
        Protocol("market", (128, 64), "bilinear", "torchvision", masked=True),
        Protocol("tf", None, "bicubic", "tensorflow"),
    )
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        MetricsError: there is none.
    """
    if name not in PROTOCOLS:
        raise MetricsError(
            f"there is no protocol {name!r:.40}: choose one of {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]


def ssim_map(name: str, picture: Image, truth: Image) -> NDArray[np.float64]:
    """SSIM at every pixel, the mean over colours: float64 (H, W); NaN where it is undefined.

    Args:
        name: one of ``SSIMS``.
        picture: uint8 (H, W, 3), the prediction, whose range the Gaussian variants take.
        truth: uint8 (H, W, 3).

    Raises:
        MetricsError: no such variant, pictures of two sizes, or smaller than the window.
    """
    from skimage.metrics import structural_similarity

    _check(picture, truth)
    margin = ssim_margin(name)
    if min(truth.shape[:2]) < 2 * margin + 1:
        raise MetricsError(
            f"{name} needs pictures of at least {2 * margin + 1} pixels, not "
            f"{truth.shape[1]} x {truth.shape[0]}"
        )
    options: dict[str, Any] = {"channel_axis": -1, "full": True}
    if name == "ssim51":
        scale = 1 / 255
        options |= {"win_size": SSIM51_SIDE, "data_range": 1.0}
    else:
        scale = 1.0
        span = float(picture.max()) - float(picture.min())
        options |= {
            "gaussian_weights": True,
            "sigma": float(name.removeprefix("ssim_g")),
            "use_sample_covariance": False,
            "data_range": span,
        }
    # A prediction of one colour has the data range 0, and with it 0 / 0 wherever both are flat.
    with np.errstate(invalid="ignore", divide="ignore"):
        _, full = structural_similarity(
            truth.astype(np.float64) * scale, picture.astype(np.float64) * scale, **options
        )
    plane: NDArray[np.float64] = np.asarray(full, np.float64).mean(-1)
    return plane


def ssim_margin(name: str) -> int:
    """Pixels along the edge that the mean leaves out: half a window.

    Raises:
        MetricsError: no such variant.
    """
    if name not in SSIMS:
        raise MetricsError(f"there is no SSIM {name!r:.40}: choose one of {', '.join(SSIMS)}")
    if name == "ssim51":
        return SSIM51_SIDE // 2
    return int(3.5 * float(name.removeprefix("ssim_g")) + 0.5)


def ssim(name: str, picture: Image, truth: Image, mask: Mask | None = None) -> float:
    """Mean SSIM, over the mask (H, W) where one is given; NaN where it is undefined.

    Raises:
        MetricsError: see ``ssim_map``.
    """
    return ssim_mean(name, ssim_map(name, picture, truth), mask)


def ssim_mean(name: str, full: NDArray[np.float64], mask: Mask | None = None) -> float:
    """The mean of ``ssim_map``'s answer, its margin left out; see ``ssim``."""
    margin = ssim_margin(name)
    inner = (slice(margin, full.shape[0] - margin), slice(margin, full.shape[1] - margin))
    if mask is None:
        return float(full[inner].mean())
    inside = full[inner][mask[inner]]
    return float(inside.mean()) if inside.size else math.nan


def psnr(picture: Image, truth: Image, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal pictures, NaN for no pixel.

    Raises:
        MetricsError: pictures of two sizes.
    """
    from skimage.metrics import peak_signal_noise_ratio

    _check(picture, truth)
    first, second = (picture, truth) if mask is None else (picture[mask], truth[mask])
    if not first.size:
        return math.nan
    if np.array_equal(first, second):
        return math.inf
    return float(peak_signal_noise_ratio(second, first, data_range=255))


def limb_mask(pose: Pose, shape: tuple[int, int], radius: float = MA_RADIUS) -> Mask:
    """The mask of Ma et al.: bones and joints of ``radius`` pixels, closed with a 5 x 5 square.

    Args:
        pose: in pixels of the picture; hidden joints are left out.
        shape: (H, W).
        radius: half a bone's width; 4 on Market-1501.
    """
    from skimage.draw import disk, polygon
    from skimage.morphology import closing

    mask = np.zeros(shape, bool)
    # Rows and columns; our pixel centres lie at +0.5, those of the data's annotations at 0.
    joints = pose.points[:, ::-1].astype(np.float64) - 0.5
    for start, end in MA_LIMBS:
        across = (joints[end] - joints[start])[::-1] * (-1, 1)
        length = float(np.hypot(*across))
        if not (pose.drawn[start] and pose.drawn[end]) or length == 0:
            continue
        side = radius * across / length
        corners = np.stack(
            (joints[start] + side, joints[start] - side, joints[end] - side, joints[end] + side)
        )
        mask[polygon(corners[:, 0], corners[:, 1], shape=shape)] = True
    for joint in joints[pose.drawn]:
        mask[disk(tuple(joint), radius, shape=shape)] = True
    closed: Mask = closing(mask.astype(np.uint8), np.ones((MA_CLOSING, MA_CLOSING))) > 0
    return closed


def person_mask(pose: Pose, alpha: Image | None, shape: tuple[int, int]) -> tuple[Mask, str]:
    """The pixels of the person on the real picture, and where that is known from.

    Args:
        pose: the target's, in pixels of the picture.
        alpha: uint8 (H, W) if the data has one.
        shape: (H, W) of the picture.

    Returns:
        bool (H, W), and "alpha" or "limbs": the bones, as thick as on a 128 x 64 picture.
    """
    if alpha is not None:
        return alpha >= 128, "alpha"
    return limb_mask(pose, shape, MA_RADIUS * shape[0] / 128), "limbs"


def blacked(image: Image, mask: Mask) -> Image:
    """The picture, black outside the mask: what Market-1501's masked numbers compare."""
    return image * mask[..., None].astype(np.uint8)


def flow_error(
    found: NDArray[np.float32], truth: NDArray[np.float32], seen: Mask, size: tuple[int, int]
) -> tuple[float, float]:
    """Mean distance between two mappings over the cells that the source shows.

    Args:
        found: (2, h, w) offsets (x, y) in cells.
        truth: (2, h, w).
        seen: bool (h, w), where the true one is exact.
        size: (H, W) of the pictures in pixels.

    Returns:
        In cells and in pixels; NaN without a visible cell.

    Raises:
        MetricsError: mappings of two shapes.
    """
    if found.shape != truth.shape or truth.shape != (2, *seen.shape):
        raise MetricsError(f"mappings of {found.shape}, {truth.shape} and {seen.shape} do not fit")
    if not seen.any():
        return math.nan, math.nan
    error = (found.astype(np.float64) - truth)[:, seen]
    pixels = error * np.array([[size[1] / seen.shape[1]], [size[0] / seen.shape[0]]])
    return float(np.hypot(*error).mean()), float(np.hypot(*pixels).mean())


def _check(picture: Image, truth: Image) -> None:
    for image in (picture, truth):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise MetricsError(f"pictures are uint8 (H, W, 3), not {image.dtype} {image.shape}")
    if picture.shape != truth.shape:
        raise MetricsError(
            f"a picture of {picture.shape[1]} x {picture.shape[0]} pixels cannot be compared with "
            f"one of {truth.shape[1]} x {truth.shape[0]}: bring both to a protocol's size"
        )
