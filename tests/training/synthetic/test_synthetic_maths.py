"""Rotations, limbs, bones, triangles: numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.synthetic import mesh
from training.synthetic.maths import REACH, fraction, rotation, turn_x, turn_y, turn_z, two_bone
from training.synthetic.raster import FAR, rasterise

UPPER, LOWER = np.array((0, -3.0, 0.2)), np.array((0, -2.5, -0.3))
places = st.tuples(*[st.floats(-6, 6)] * 3).map(np.array)


def test_turns_follow_the_right_hand() -> None:
    # Leaning forward brings the top (+y) to the front (+z); turning left brings it to +x.
    assert turn_x(90) @ (0, 1, 0) == pytest.approx((0, 0, 1), abs=1e-12)
    assert turn_y(90) @ (0, 0, 1) == pytest.approx((1, 0, 0), abs=1e-12)
    assert turn_z(90) @ (1, 0, 0) == pytest.approx((0, 1, 0), abs=1e-12)


def test_a_fraction_of_a_rotation_is_about_the_same_axis() -> None:
    whole = rotation((0.3, -0.2, 0.5))
    half = fraction(whole, 0.5)
    assert half @ half == pytest.approx(whole, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(places, places)
def test_two_bones_end_at_the_target_or_point_at_it(target: np.ndarray, pole: np.ndarray) -> None:
    if np.linalg.norm(np.cross(target, pole)) < 1e-2:
        return
    start = np.array((1.0, 2.0, 3.0))
    upper, lower = two_bone(UPPER, LOWER, start, start + target, pole)
    for turned in (upper, lower):  # rotations, not stretches
        assert turned @ turned.T == pytest.approx(np.eye(3), abs=1e-6)
        assert np.linalg.det(turned) == pytest.approx(1, abs=1e-6)
    end = upper @ UPPER + lower @ LOWER
    a, b = np.linalg.norm(UPPER), np.linalg.norm(LOWER)
    wanted = np.clip(np.linalg.norm(target), abs(a - b) * 1.15 + 0.2, (a + b) * REACH)
    assert end == pytest.approx(target / np.linalg.norm(target) * wanted, abs=1e-5)


def test_the_middle_joint_goes_where_the_pole_points() -> None:
    upper, _ = two_bone(UPPER, LOWER, np.zeros(3), (0, -4.5, 0), (0, 0, 1))
    assert (upper @ UPPER)[2] > 0.5
    upper, _ = two_bone(UPPER, LOWER, np.zeros(3), (0, -4.5, 0), (1, 0, 0))
    assert (upper @ UPPER)[0] > 0.5


def test_the_hinge_stays_a_hinge() -> None:
    """Both bones turn the normal of the limb's plane to the same new normal."""
    upper, lower = two_bone(UPPER, LOWER, np.zeros(3), (2, -3, 1), (0, 0, 1))
    normal = np.cross(UPPER, LOWER)
    assert upper @ normal == pytest.approx(lower @ normal, abs=1e-9)
    bent = np.cross(upper @ UPPER, lower @ LOWER)
    assert np.cross(bent, upper @ normal) == pytest.approx(np.zeros(3), abs=1e-6)


def test_bones_carry_what_hangs_on_them() -> None:
    rest = np.array(((0.0, 0, 0), (0, 1, 0), (0, 2, 0)))
    local = np.tile(np.eye(3), (3, 1, 1))
    local[1] = turn_z(90)
    turned, position = np.tile(np.eye(3), (3, 1, 1)), rest.copy()
    mesh.pose_bones(np.array((-1, 0, 1), np.int32), local, rest, turned, position)
    assert position == pytest.approx(np.array(((0, 0, 0), (0, 1, 0), (-1, 1, 0))), abs=1e-12)
    out = np.empty((1, 3), np.float32)
    vertex = np.array(((0, 3, 0),), np.float32)
    bones, weights = np.array(((2, 0, 0, 0),), np.int32), np.array(((1, 0, 0, 0),), np.float32)
    mesh.skin(vertex, bones, weights, turned, position, rest, out)
    assert out[0] == pytest.approx((-2, 1, 0), abs=1e-6)


def test_normals_of_a_square_point_up() -> None:
    square = np.array(((0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0)), np.float32)
    out = np.empty_like(square)
    mesh.normals(square, np.array(((0, 1, 2), (0, 2, 3)), np.int32), out)
    assert out == pytest.approx(np.tile((0, 1, 0), (4, 1)), abs=1e-6)


def drawn(points, triangles, *, size=(4, 4), table=((0, -1, 0),), cuts=None, materials=None):
    points, triangles = np.array(points, np.float32), np.array(triangles, np.int32)
    if materials is None:
        materials = np.zeros(len(triangles), np.int32)
    if cuts is None:
        cuts = np.ones((len(points), 1), np.float32)
    uv = np.tile(
        np.array(((0.25, 0.5), (0.25, 0.5), (0.25, 0.5)), np.float32), (len(triangles), 1, 1)
    )
    alphas = np.zeros((1, 2, 2), np.uint8)
    table = np.array(table, np.float32)
    return rasterise(points, triangles, materials, cuts, uv, table, alphas, size)


TRIANGLE = ((0, 0, 10), (4, 0, 20), (0, 4, 30))


def test_a_triangle_covers_the_centres_inside_it() -> None:
    # x + y < 4 at centres 0.5, 1.5 ...: the diagonal's own centres (sum 4) count as inside.
    found = drawn(TRIANGLE, ((0, 1, 2),))
    rows, columns = np.mgrid[:4, :4] + 0.5
    assert np.array_equal(found.triangle == 0, rows + columns <= 4)


def test_barycentrics_and_depth_are_interpolated() -> None:
    found = drawn(TRIANGLE, ((0, 1, 2),))
    # At (1.5, 0.5): 1.5/4 of the second corner, 0.5/4 of the third.
    assert found.weights[0, 1] == pytest.approx((0.375, 0.125))
    assert found.depth[0, 1] == pytest.approx(0.5 * 10 + 0.375 * 20 + 0.125 * 30)
    assert found.depth[3, 3] == FAR


def test_a_bias_brings_a_layer_to_the_front() -> None:
    both = (*TRIANGLE, *((x, y, z + 0.1) for x, y, z in TRIANGLE))
    faces, materials = ((0, 1, 2), (3, 4, 5)), np.array((0, 1), np.int32)
    plain = drawn(both, faces, materials=materials, table=((0, -1, 0), (0, -1, 0)))
    assert plain.triangle[0, 0] == 0
    layered = drawn(both, faces, materials=materials, table=((0, -1, 0), (0.2, -1, 0)))
    assert layered.triangle[0, 0] == 1


def test_a_cut_is_a_straight_line_through_a_triangle() -> None:
    cuts = np.array(((-1,), (3,), (-1,)), np.float32)  # x - 1 at the corners
    found = drawn(TRIANGLE, ((0, 1, 2),), cuts=cuts)
    assert (found.triangle[:, 0] == -1).all()
    assert found.triangle[0, 1] == 0 and found.triangle[2, 1] == 0


def test_two_cuts_keep_what_both_keep() -> None:
    cuts = np.array(((-1, 2), (3, 2), (-1, -2)), np.float32)  # x > 1 and y < 2
    found = drawn(TRIANGLE, ((0, 1, 2),), cuts=cuts)
    kept = found.triangle == 0
    assert kept[0, 1] and kept[1, 2] and not kept[0, 0] and not kept[2, 1]


def test_back_faces_are_culled_where_asked() -> None:
    turned = ((0, 2, 1),)
    assert (drawn(TRIANGLE, turned, table=((0, -1, 1),)).triangle == 0).any() != (
        drawn(TRIANGLE, ((0, 1, 2),), table=((0, -1, 1),)).triangle == 0
    ).any()


def test_a_cut_out_texture_removes_pixels() -> None:
    assert (drawn(TRIANGLE, ((0, 1, 2),), table=((0, 0, 0),)).triangle == -1).all()
