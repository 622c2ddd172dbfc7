"""The benchmark of untouched pixels on a drawn photo: what it counts, and that nothing changed."""

import pytest

from benchmarks.untouched import MARGIN, judge
from reposedm.jobs.settings import ReposeSettings
from tests.drawn import arms_up, photo


@pytest.mark.models
def test_far_from_the_person_nothing_changes() -> None:
    image, pose, mask = photo(240, 320)
    found = judge(image, pose, arms_up(pose), ReposeSettings())
    assert found["changed_outside"] == 0
    assert found["changed_in_all"] > 500, "the arms did move"
    assert 0 < found["outside"] < image[..., 0].size - (mask > 0.5).sum()
    assert MARGIN == 16
