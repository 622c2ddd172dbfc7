"""Samples -> tensors: what a training step gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.pose import Pose, draw_map, heat_maps
from training.sample import DataError, Sample

if TYPE_CHECKING:
    from torch import Tensor

FACTOR: Final = 8
"""Pixels of the picture per cell of the latent grid, along each side."""
HEAT_SIGMA: Final = 1.0
"""Of the heat maps, in cells of their own grid: the pipelines' (this module is light, without
torch; a test holds the two together)."""
ENOUGH: Final = 0.5
"""A cell has a flow when it is known for this part of the pixels in it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors of B samples at one training size H x W; h, w = H / 8, W / 8.

    Attributes:
        source: float32 (B, 3, H, W) in [-1, 1].
        target: float32 (B, 3, H, W), or (B, 4, H, W) where every sample has an alpha; [-1, 1].
        source_alpha: float32 (B, 1, H, W) in [-1, 1], where every sample has one.
        source_heat: float32 (B, 18, h, w) in [0, 1].
        target_heat: float32 (B, 18, h, w) in [0, 1].
        source_map: float32 (B, 3, H, W) in [-1, 1], the drawn pose.
        target_map: float32 (B, 3, H, W) in [-1, 1], the drawn pose (of all people on it).
        target_heat17: float32 (B, 17, h', w'), COCO's joints, for the interaction field.
        source_joints: float32 (B, 18, 2), x and y in pixels of H x W.
        target_joints: float32 (B, 18, 2).
        source_states: int64 (B, 18) of ``JointState``.
        target_states: int64 (B, 18).
        flow: float32 (B, 2, h, w), where the target looks in the source: offsets (x, y) in cells
            as in ``reposedm.models.mapping``; 0 where unknown. None if no sample knows any.
        flow_valid: float32 (B, 1, h, w), 1 where ``flow`` is exact.
        visibility: float32 (B, 1, h, w) in [0, 1]: the part of the cell that the source shows.
            Where it is 0 on the background, that is because nothing is known of it: weigh it with
            the alpha. A sample without a mapping has 0 everywhere: ``flow_known``.
        flow_known: bool (B,), which samples have a mapping at all.
        names: the pairs' ids.
        persons: the people's ids.
        captions: what the targets show, or "".
    """

    source: Tensor
    target: Tensor
    source_alpha: Tensor | None
    source_heat: Tensor
    target_heat: Tensor
    source_map: Tensor | None
    target_map: Tensor | None
    target_heat17: Tensor | None
    source_joints: Tensor
    target_joints: Tensor
    source_states: Tensor
    target_states: Tensor
    flow: Tensor | None
    flow_valid: Tensor | None
    visibility: Tensor | None
    flow_known: Tensor
    names: tuple[str, ...]
    persons: tuple[str, ...]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        """B."""
        return len(self.names)

    def to(self, device: Any, *, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on a device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in pinned memory; a ``DataLoader`` calls this."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def __getitem__(self, part: slice) -> Batch:
        """Some of its samples."""
        cut = self._mapped(lambda tensor: tensor[part])
        texts = {name: getattr(self, name)[part] for name in ("names", "persons", "captions")}
        return dataclasses.replace(cut, **texts)

    def _mapped(self, change: Any) -> Batch:
        import torch

        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        tensors = {k: change(v) for k, v in fields.items() if isinstance(v, torch.Tensor)}
        return dataclasses.replace(self, **tensors)


def collate(
    samples: Sequence[Sample],
    size: tuple[int, int] | None = None,
    *,
    maps: bool = True,
    heat17_shape: tuple[int, int] | None = None,
    sigma: float = HEAT_SIGMA,
    sigma17: float = HEAT_SIGMA,
) -> Batch:
    """One batch of float32 tensors on the CPU; the same samples give the same bits.

    Args:
        samples: at least one.
        size: (H, W) to train at, multiples of 8; pictures of another size are resized. None: the
            first sample's.
        maps: draw the poses as pictures too.
        heat17_shape: (h', w') of the interaction field's maps, HigherHRNet's (H / 2, W / 2); None:
            leave them out.
        sigma: of the 18 heat maps, in cells of the latent grid.
        sigma17: of the 17, in cells of their own grid.

    Raises:
        DataError: no samples, or a size that is not a multiple of 8.
    """
    if not samples:
        raise DataError("a batch needs at least one sample")
    size = size or samples[0].size
    if size[0] % FACTOR or size[1] % FACTOR or min(size) < FACTOR:
        raise DataError(
            f"pictures of {size[0]} x {size[1]} cannot be trained on: use multiples of 8"
        )
    samples = [resized(sample, size) for sample in samples]
    sources, targets = [s.source_pose for s in samples], [s.target_pose for s in samples]
    crowds = [sample.people or (sample.target_pose,) for sample in samples]
    alphas = [(s.source_alpha, s.target_alpha) for s in samples]
    target = _pictures([s.target_image for s in samples])
    source_alpha = None
    if all(a is not None and b is not None for a, b in alphas):
        source_alpha = _pictures([a[..., None] for a, _ in alphas if a is not None])
        target_alpha = _pictures([b[..., None] for _, b in alphas if b is not None])
        target = np.concatenate((target, target_alpha), 1)
    grid = (size[0] // FACTOR, size[1] // FACTOR)
    arrays: dict[str, NDArray[Any] | None] = {
        "source": _pictures([s.source_image for s in samples]),
        "target": target,
        "source_alpha": source_alpha,
        "source_heat": np.stack([heat_maps(pose, grid, sigma) for pose in sources]),
        "target_heat": np.stack([heat_maps(pose, grid, sigma) for pose in targets]),
        "source_map": _pictures([draw_map([p], None) for p in sources]) if maps else None,
        "target_map": _pictures([draw_map(people, None) for people in crowds]) if maps else None,
        "target_heat17": _heat17(targets, heat17_shape, sigma17),
        "source_joints": np.stack([pose.points for pose in sources]),
        "target_joints": np.stack([pose.points for pose in targets]),
        "source_states": np.stack([pose.state for pose in sources]).astype(np.int64),
        "target_states": np.stack([pose.state for pose in targets]).astype(np.int64),
        **_flows(samples, grid),
    }
    import torch

    tensors: dict[str, Any] = {
        name: None if array is None else torch.from_numpy(np.ascontiguousarray(array))
        for name, array in arrays.items()
    }
    return Batch(
        **tensors,
        names=tuple(sample.pair for sample in samples),
        persons=tuple(sample.person for sample in samples),
        captions=tuple(sample.caption for sample in samples),
    )


def resized(sample: Sample, size: tuple[int, int]) -> Sample:
    """The sample at another size (H, W), bicubic with antialias; itself if it has that size."""
    if sample.size == size:
        return sample
    scale = (size[1] / sample.size[1], size[0] / sample.size[0])

    def picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC)
        return np.array(image)

    def pose(pose: Pose) -> Pose:
        return pose.transformed(scale, (0, 0), (size[1], size[0]))

    changes: dict[str, Any] = {
        name: picture(value)
        for name in ("source_image", "target_image", "source_alpha", "target_alpha")
        if (value := getattr(sample, name)) is not None
    }
    return sample.replace(
        **changes,
        source_pose=pose(sample.source_pose),
        target_pose=pose(sample.target_pose),
        people=tuple(pose(person) for person in sample.people),
    )


def mapping_on_grid(
    mapping: NDArray[np.float32], seen: NDArray[np.float32], grid: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A mapping on another grid: the mean over what is known in each cell.

    Args:
        mapping: (2, h0, w0) offsets in cells of its own grid.
        seen: (h0, w0), how far each of them is known.
        grid: (h, w) wanted.

    Returns:
        float32 (2, h, w) offsets in the new cells, 0 where nothing is known, and (h, w), the part
        of each cell that is known.
    """
    height, width = seen.shape
    share = _averaged(seen, grid)
    offsets = np.zeros((2, *grid), np.float32)
    for axis, scale in enumerate((grid[1] / width, grid[0] / height)):
        mean = _averaged(mapping[axis] * seen, grid) / np.maximum(share, 1e-6)
        offsets[axis] = np.where(share > 1e-6, mean * np.float32(scale), 0)
    return offsets, share


def _averaged(plane: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
    if plane.shape == grid:
        return plane.astype(np.float32)
    smaller = grid[0] < plane.shape[0] and grid[1] < plane.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    plane = cv2.resize(plane.astype(np.float32), (grid[1], grid[0]), interpolation=method)
    return plane


def _pictures(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """uint8 (H, W, C) each -> float32 (B, C, H, W) in [-1, 1]."""
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return stacked.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _heat17(
    poses: Sequence[Pose], shape: tuple[int, int] | None, sigma: float
) -> NDArray[np.float32] | None:
    if shape is None:
        return None
    from reposedm.diffusion.interaction import COCO_17

    return np.stack([heat_maps(pose, shape, sigma)[list(COCO_17)] for pose in poses])


def _flows(samples: Sequence[Sample], grid: tuple[int, int]) -> dict[str, NDArray[Any] | None]:
    known = np.array([sample.mapping is not None for sample in samples])
    if not known.any():
        return {"flow": None, "flow_valid": None, "visibility": None, "flow_known": known}
    flow = np.zeros((len(samples), 2, *grid), np.float32)
    visibility = np.zeros((len(samples), 1, *grid), np.float32)
    for index, sample in enumerate(samples):
        if sample.mapping is not None and sample.seen is not None:
            flow[index], visibility[index, 0] = mapping_on_grid(sample.mapping, sample.seen, grid)
    valid = (visibility >= ENOUGH).astype(np.float32)
    return {
        "flow": flow * valid,
        "flow_valid": valid,
        "visibility": visibility,
        "flow_known": known,
    }
