"""Mappings: sampling, Eq. 7, and the limb mapping against numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reposedm.models.mapping import (
    BONES,
    centres,
    compose,
    identity,
    limb_mapping,
    mapping_from_pixels,
    mapping_to_pixels,
    resize_mapping,
    sample,
    warp,
)
from reposedm.pose.skeleton import LIMBS
from tests.drawn import STANDING
from tests.models.networks import noise

SIZE, SHAPE = (256, 176), (32, 22)


def shift(x: float, y: float, shape: tuple[int, int] = SHAPE) -> torch.Tensor:
    return torch.tensor([float(x), float(y)])[None, :, None, None].expand(1, 2, *shape).contiguous()


def standing(batch: int = 1) -> torch.Tensor:
    joints = torch.tensor(STANDING) * torch.tensor([0.75 * 224, 224.0])
    return joints[None].repeat(batch, 1, 1)


def limbs(
    source: torch.Tensor,
    target: torch.Tensor,
    source_states: torch.Tensor | None = None,
    target_states: torch.Tensor | None = None,
) -> torch.Tensor:
    seen = torch.full(source.shape[:2], 2)
    return limb_mapping(
        source,
        target,
        seen if source_states is None else source_states,
        seen if target_states is None else target_states,
        size=SIZE,
        shape=SHAPE,
    )


def cell_of(point: torch.Tensor) -> tuple[int, int]:
    return int(point[1] // 8), int(point[0] // 8)


@pytest.mark.parametrize("size", [(32, 22), (256, 176), (7, 5), (1, 1)])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_identity_changes_no_bit(size: tuple[int, int], padding: str) -> None:
    image = noise(2, 3, *size)
    assert torch.equal(warp(image, identity(2, size), padding), image)
    assert torch.equal(warp(image, identity(2, (4, 3)), padding), image)


def test_identity_is_neutral_in_composition() -> None:
    field = noise(2, 2, 8, 6) * 2
    nothing = identity(2, (8, 6))
    assert torch.equal(compose(nothing, field), field)
    assert torch.equal(compose(field, nothing), field)


def test_two_shifts_compose_to_the_sum_of_their_offsets() -> None:
    composed = compose(shift(1.25, -2.0), shift(-3.5, 0.75))
    assert torch.equal(composed, shift(-2.25, -1.25))


def test_composition_is_one_warp_after_the_other() -> None:
    # Smooth picture and fields, away from the edge: both ways differ only by interpolation.
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = (torch.sin(x / 9) + torch.cos(y / 7))[None, None]
    first = torch.stack([3 * torch.sin(y / 20), 2 * torch.cos(x / 25)])[None]
    second = torch.stack([4 * torch.cos(y / 12), -4 * torch.sin(x / 12)])[None]
    twice = warp(warp(image, first), second)
    once = warp(image, compose(first, second))
    assert (twice - once)[..., 8:-8, 8:-8].abs().max() < 0.01
    other_way = warp(image, compose(second, first))
    assert (twice - other_way)[..., 8:-8, 8:-8].abs().max() > 0.05


def test_a_cell_looks_where_its_offset_points() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    right = warp(image, shift(1, 0, (3, 4)))
    assert right[0, 0].tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]
    half_down = warp(image, shift(0, 0.5, (3, 4)), "zeros")
    assert half_down[0, 0].tolist() == [[2, 3, 4, 5], [6, 7, 8, 9], [4, 4.5, 5, 5.5]]


def test_one_cell_is_eight_pixels_of_the_photo() -> None:
    image = noise(1, 3, 64, 48)
    moved = warp(image, shift(1, -2, (8, 6)))
    assert torch.equal(moved[..., 16:, :40], image[..., :-16, 8:])


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_sampling_agrees_with_torch(padding: str) -> None:
    image = noise(2, 5, 9, 7).double().requires_grad_()
    points = (noise(2, 2, 6, 8, seed=1) * 4 + 4).requires_grad_()
    ours = sample(image, points, padding)
    grid = (points * (2 / torch.tensor([7.0, 9.0]))[:, None, None] - 1).permute(0, 2, 3, 1)
    theirs = F.grid_sample(image, grid.double(), padding_mode=padding, align_corners=False)
    assert torch.allclose(ours, theirs, atol=1e-5)
    ours_back = torch.autograd.grad(ours.square().sum(), (image, points))
    theirs_back = torch.autograd.grad(theirs.square().sum(), (image, points))
    for a, b in zip(ours_back, theirs_back, strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_positions_far_outside_or_not_finite_do_no_harm() -> None:
    image = noise(1, 2, 4, 4)
    points = torch.full((1, 2, 2, 2), torch.inf)
    points[:, :, 0] = torch.nan
    points[:, :, 1, 1] = -1e30
    found = sample(image, points)
    assert found.isfinite().all()
    assert torch.equal(found[..., 1, 1], image[..., 0, 0])
    assert not sample(image, points, "zeros")[..., 1, :].any()


def test_resized_mappings_point_to_the_same_places() -> None:
    fine = resize_mapping(shift(3, -1, (8, 6)), (16, 24))
    assert torch.allclose(fine, shift(12, -2, (16, 24)))
    assert torch.allclose(resize_mapping(fine, (8, 6)), shift(3, -1, (8, 6)))
    points = mapping_to_pixels(shift(3, -1, (8, 6)), (64, 48))
    assert points[0, :, 10, 20].tolist() == [20.5 + 24, 10.5 - 8]
    back = mapping_from_pixels(points[:, :, ::8, ::8] + 3.5, (64, 48))
    assert torch.allclose(back, shift(3, -1, (8, 6)), atol=1e-5)


def test_the_first_bones_are_the_drawn_ones() -> None:
    assert BONES[:17] == LIMBS
    assert len(BONES) == len(set(BONES)) == 21


def test_equal_poses_move_nothing_at_all() -> None:
    assert not limbs(standing(), standing()).any()


def test_a_moved_person_is_followed_everywhere() -> None:
    target = standing() + torch.tensor([24.0, -16.0])
    assert torch.allclose(limbs(standing(), target), shift(-3, 2), atol=1e-4)


def test_a_person_of_twice_the_size_is_looked_up_at_half() -> None:
    neck = standing()[:, 1:2]
    target = neck + 2 * (standing() - neck)
    field = limbs(standing(), target)
    points = centres(SHAPE, field.device)
    expected = (neck / 8).reshape(2, 1, 1) + (points - (neck / 8).reshape(2, 1, 1)) / 2 - points
    assert torch.allclose(field[0], expected, atol=1e-3)


def test_a_raised_arm_is_looked_up_where_it_hung() -> None:
    source, target = standing(), standing()
    target[0, 3] = source[0, 2] + torch.tensor([-30.0, 0.0])
    target[0, 4] = source[0, 2] + torch.tensor([-58.0, 0.0])
    field = limbs(source, target)
    for joint in (3, 4, 9, 12):
        row, column = cell_of(target[0, joint])
        start = torch.tensor([column + 0.5, row + 0.5])
        looked = start + field[0, :, row, column]
        inside_cell = start - target[0, joint] / 8
        assert (looked - source[0, joint] / 8).norm() < inside_cell.norm() + 0.5, joint


def test_bones_without_both_ends_in_both_poses_do_not_count() -> None:
    source, target = standing(), standing() + 8.0
    known, wanted = torch.full((1, 18), 2), torch.full((1, 18), 2)
    wild = source.clone()
    wild[0, 4], known[0, 4] = torch.tensor([1e6, -1e6]), 0
    wild_target = target.clone()
    wild_target[0, 10], wanted[0, 10] = torch.tensor([-9e5, 3.0]), 0
    field = limbs(wild, wild_target, known, wanted)
    assert torch.allclose(field, shift(-1, -1), atol=1e-4)


def test_without_any_bone_the_common_joints_are_followed() -> None:
    states = torch.zeros(3, 18, dtype=torch.long)
    states[0, 4] = states[1, 4] = states[1, 10] = 1
    target = standing(3) + torch.tensor([8.0, 16.0])
    target[1, 10] += torch.tensor([8.0, 0.0])
    field = limbs(standing(3), target, states, states)
    assert torch.allclose(field[0], shift(-1, -2)[0], atol=1e-5)
    assert torch.allclose(field[1], shift(-1.5, -2)[0], atol=1e-5)
    assert not field[2].any()


def test_joints_on_one_spot_stay_finite() -> None:
    spot = torch.full((1, 18, 2), 50.0)
    assert limbs(spot, standing()).isfinite().all()
    assert limbs(standing(), spot).isfinite().all()


def test_limb_mapping_of_a_batch_is_that_of_its_members() -> None:
    target = standing(3) + 20 * noise(3, 18, 2)
    source = standing(3) + 20 * noise(3, 18, 2, seed=1)
    together = limbs(source, target)
    for i in range(3):
        alone = limbs(source[i : i + 1], target[i : i + 1])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


def reference_limbs(source: np.ndarray, target: np.ndarray, p: np.ndarray) -> np.ndarray:
    """One point of the limb mapping, written out with complex numbers instead of vectors."""

    def at(pose: np.ndarray, joint: int) -> complex:
        return complex(*pose[joint])

    def trunk(pose: np.ndarray) -> float:
        return abs(at(pose, 1) - (at(pose, 8) + at(pose, 11)) / 2)

    scale, point = trunk(target) / trunk(source), complex(*p)
    total, weights = 0j, 0.0
    for a, b in BONES:
        bone_s, bone_t = at(source, b) - at(source, a), at(target, b) - at(target, a)
        if abs(bone_s) < 0.02 * trunk(source) or abs(bone_t) < 0.02 * trunk(target):
            continue
        local = (point - at(target, a)) / bone_t * abs(bone_t)  # along + i across
        inner = min(max(local.real, 0.0), abs(bone_t))
        along = inner * abs(bone_s) / abs(bone_t) + (local.real - inner) / scale
        looked = at(source, a) + complex(along, local.imag / scale) * bone_s / abs(bone_s)
        weight = math.exp(-1.5 * abs(local - inner) / (0.12 * trunk(target)))
        total, weights = total + weight * looked, weights + weight
    return np.array([(total / weights).real, (total / weights).imag])


def test_limb_mapping_is_the_formula() -> None:
    source = standing() + 6 * noise(1, 18, 2)
    target = standing() * 1.1 + 15 * noise(1, 18, 2, seed=1)
    field = limbs(source, target)
    looked = 8 * (centres(SHAPE, field.device) + field[0])
    for row, column in [(3, 10), (10, 4), (15, 11), (30, 21), (0, 0)]:
        point = np.array([8 * column + 4.0, 8 * row + 4.0])
        expected = reference_limbs(source[0].double().numpy(), target[0].double().numpy(), point)
        assert looked[:, row, column].numpy() == pytest.approx(expected, abs=0.01)
