"""The crop around a person: its box by hand, and the way back by bits."""

import numpy as np
import pytest

from reposedm.errors import PoseError
from reposedm.imaging import Frame, mask_box
from reposedm.pose import JointState, Pose


def pose(points: list[tuple[float, float]], size: tuple[int, int], hidden: int = 0) -> Pose:
    """A pose whose first joints are ``points``; the rest, and the last ``hidden``, are hidden."""
    every = points + [points[-1]] * (18 - len(points))
    state = np.zeros(18, np.uint8)
    state[: len(points) - hidden] = JointState.VISIBLE
    return Pose(np.array(every), np.ones(18), state, size)


SIZE = (1000, 1600)


def test_the_box_is_the_union_plus_margin_grown_to_the_aspect() -> None:
    source = pose([(400, 400), (600, 1200)], SIZE)
    target = pose([(300, 500), (500, 1300)], SIZE)
    frame = Frame.around(source, target, SIZE, mask_box=(380, 380, 620, 1220))
    # Union (300, 380) - (620, 1300): 320 x 920; with 12 % a side 396.8 x 1140.8.
    # 1140.8 / 16 = 71.3, so 72 units: 792 x 1152, around the union's centre (460, 840).
    assert frame.box == (460 - 396, 840 - 576, 460 + 396, 840 + 576)
    assert frame.size == (792, 1152)
    assert frame.is_native


def test_a_wide_person_makes_the_box_taller() -> None:
    lying = pose([(100, 800), (900, 800)], SIZE)
    frame = Frame.around(lying, lying, SIZE, mask_box=(100, 700, 900, 900))
    # 800 * 1.24 = 992; / 11 = 90.2, so 91 units: 1001 x 1456. The box reaches outside the photo.
    assert frame.size == (1001, 1456)
    assert frame.box == (0, 800 - 728, 1001, 800 + 728)


def test_joints_outside_the_photo_and_hidden_ones_extend_nothing() -> None:
    source = pose([(400, 400), (600, 1200)], SIZE)
    box = (380, 380, 620, 1220)
    alone = Frame.around(source, source, SIZE, mask_box=box)
    for far in [(-5, 800), (1001, 800), (500, -1), (500, 1601)]:
        target = pose([(400, 400), (600, 1200), far], SIZE)
        assert Frame.around(source, target, SIZE, mask_box=box) == alone
    hidden = pose([(400, 400), (600, 1200), (10, 10)], SIZE, hidden=1)
    assert Frame.around(source, hidden, SIZE, mask_box=box) == alone
    inside = pose([(400, 400), (600, 1200), (10, 10)], SIZE)
    assert Frame.around(source, inside, SIZE, mask_box=box) != alone


def test_without_a_mask_the_joints_box_is_padded_by_head_and_feet() -> None:
    person = pose([(450, 400), (550, 1200)], SIZE)
    frame = Frame.around(person, person, SIZE, aspect=None, margin=0)
    assert frame.box == (402, 320, 598, 1264)


def test_nobody_in_the_photo_is_refused() -> None:
    outside = pose([(-50, -50), (-10, -80)], SIZE)
    with pytest.raises(PoseError, match="place the skeleton"):
        Frame.around(outside, outside, SIZE)
    with pytest.raises(PoseError):
        Frame((1000, 0, 1100, 100), (100, 100), SIZE)


@pytest.mark.parametrize("native", [(352, 512), (176, 256), (256, 256), (192, 256), (513, 257)])
def test_a_native_size_scales_both_axes_alike(native: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        photo = tuple(int(side) for side in rng.integers(64, 2000, 2))
        points = [tuple(point) for point in rng.uniform(0, photo, (6, 2))]
        person = pose(points, photo)
        frame = Frame.around(person, person, photo, native_size=native)
        x, y = frame.scale
        assert frame.size == native and x == pytest.approx(y, rel=1e-12)
        left, top, right, bottom = frame.box
        for joint_x, joint_y in points:
            assert left <= joint_x <= right and top <= joint_y <= bottom


@pytest.mark.parametrize(
    "box", [(20, 30, 53, 78), (-7, -9, 26, 39), (90, 100, 123, 148), (-40, -50, 180, 270)]
)
def test_crop_then_place_is_bit_exact(box: tuple[int, int, int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (120, 100, 4), np.uint8)
    frame = Frame(box, (box[2] - box[0], box[3] - box[1]), (100, 120))
    window = frame.crop(photo)
    assert window.shape == (frame.size[1], frame.size[0], 4)
    back = frame.place(window)
    left, top, right, bottom = (
        max(box[0], 0), max(box[1], 0), min(box[2], 100), min(box[3], 120)
    )  # fmt: skip
    assert np.array_equal(back[top:bottom, left:right], photo[top:bottom, left:right])
    back[top:bottom, left:right] = 0
    assert not back.any()


def test_the_photo_is_never_changed_by_its_crop() -> None:
    photo = np.zeros((100, 100, 3), np.uint8)
    window = Frame((0, 0, 100, 100), (100, 100), (100, 100)).crop(photo)
    window[:] = 9
    assert not photo.any()


def test_outside_the_photo_the_border_repeats_or_a_colour_fills() -> None:
    photo = np.arange(16, dtype=np.uint8).reshape(4, 4)
    frame = Frame((-2, -1, 5, 6), (7, 7), (4, 4))
    edge = frame.crop(photo)
    assert edge[0].tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert edge[6].tolist() == [12, 12, 12, 13, 14, 15, 15]
    colored = np.repeat(photo[..., None], 3, axis=2)
    filled = frame.crop(colored, fill=(1, 2, 3))
    assert filled[0, 3].tolist() == [1, 2, 3] and filled[6, 6].tolist() == [1, 2, 3]
    assert filled[1, 2].tolist() == [0, 0, 0] and filled[4, 5].tolist() == [15, 15, 15]
    mask = frame.crop_mask(np.ones((4, 4)))
    assert mask.dtype == np.float32 and mask.sum() == 16 and mask[1:5, 2:6].all()


def test_poses_go_to_the_frame_and_back() -> None:
    rng = np.random.default_rng(0)
    person = pose([tuple(point) for point in rng.uniform(0, SIZE, (18, 2))], SIZE)
    frame = Frame((100, 200, 100 + 11 * 64, 200 + 16 * 64), (352, 512), SIZE)
    inside = frame.to_frame(person)
    assert inside.size == (352, 512)
    assert np.allclose(inside.points, (person.points - (100, 200)) / 2, atol=1e-4)
    assert np.allclose(frame.to_photo(inside).points, person.points, atol=1e-3)
    assert frame.to_photo(inside).size == SIZE


def test_a_joint_stays_on_its_pixel_when_the_frame_is_resized() -> None:
    photo = np.zeros((320, 220, 3), np.uint8)
    photo[200:204, 100:104] = 255  # its middle: (102, 202)
    for native in [(110, 160), (440, 640)]:
        frame = Frame((0, 0, 220, 320), native, (220, 320))
        joint = frame.to_frame(pose([(102, 202)], (220, 320))).points[0]
        spot = frame.crop(photo)[..., 0].astype(float)
        rows, columns = np.mgrid[: native[1], : native[0]] + 0.5
        middle = (columns * spot).sum() / spot.sum(), (rows * spot).sum() / spot.sum()
        assert np.allclose(joint, middle, atol=0.05)


def test_resizing_transparent_pixels_brings_no_fringe() -> None:
    layer = np.zeros((160, 110, 4), np.uint8)
    layer[40:120, 30:80] = (200, 150, 100, 255)
    for size in [(55, 80), (220, 320), (77, 112)]:
        frame = Frame((0, 0, *size), (110, 160), size)
        placed = frame.place(layer)
        solid = placed[placed[..., 3] > 8].astype(int)
        assert np.abs(solid[:, :3] - (200, 150, 100)).max() <= 2
        share = placed[..., 3].mean() / layer[..., 3].mean()
        assert share == pytest.approx(1, abs=0.02)


def test_pictures_of_another_size_are_a_mistake() -> None:
    frame = Frame((0, 0, 11, 16), (11, 16), (20, 20))
    with pytest.raises(ValueError, match="cannot crop"):
        frame.crop(np.zeros((21, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="cannot place"):
        frame.place(np.zeros((16, 12, 4), np.uint8))


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((50, 40), np.float32)
    assert mask_box(mask) is None
    mask[10:20, 5:8] = 0.9
    mask[45, 39] = 0.3
    assert mask_box(mask) == (5, 10, 8, 20)
