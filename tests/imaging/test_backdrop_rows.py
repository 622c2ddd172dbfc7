"""The fit of plain backdrops solves its rows by hand."""

import numpy as np

from reposedm.imaging.backdrop import _solved


def test_systems_of_two_unknowns_are_solved_as_lapack_does() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(40, 2, 2))
    normal = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    right = rng.normal(size=(40, 2, 3))
    found = _solved(normal[:, 0, 0], normal[:, 0, 1], normal[:, 1, 1], right)
    np.testing.assert_allclose(found, np.linalg.solve(normal, right), rtol=1e-8)
