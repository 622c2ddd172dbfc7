"""The photo's own texture through a mapping: what must be exact, and what must stay away."""

import cv2
import numpy as np
import pytest

from reposedm.imaging import Frame, paste_back
from reposedm.imaging.matching import made_rigid, refined, smooth_field, stretches
from reposedm.imaging.texture import Warped, textured

SMALL = (88, 128)
LARGE = (352, 512)
GRID = (8, 6)
FRAME = Frame((0, 0, *LARGE), SMALL, LARGE)
ONES, ZEROS = np.ones(GRID, np.float32), np.zeros((2, *GRID), np.float32)


def striped(period: float = 16.0) -> tuple[np.ndarray, np.ndarray]:
    """A photo of an ellipse with fine stripes, and its soft mask."""
    y, x = np.mgrid[: LARGE[1], : LARGE[0]].astype(np.float32)
    mask = np.zeros(LARGE[::-1], np.uint8)
    cv2.ellipse(mask, (176, 256), (110, 200), 0, 0, 360, 255, -1)
    stripes = 128 + 60 * np.sin((x + y / 2) * 2 * np.pi / period) + 30 * np.cos(y / 46)
    photo = np.stack((stripes, 200 - y / 6, 60 + x / 4), -1).clip(0, 255).astype(np.uint8)
    photo[mask == 0] = (10, 200, 10)
    return photo, cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 1.0)


def reduced(photo: np.ndarray, mask: np.ndarray, blur: float = 0.0) -> np.ndarray:
    """The person as a network of a quarter of the resolution would make them."""
    layers = cv2.resize(
        np.dstack((photo * mask[..., None], mask)).astype(np.float32), SMALL,
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    if blur:
        layers = cv2.GaussianBlur(layers, (0, 0), blur)
    colors = layers[..., :3] / np.maximum(layers[..., 3:], 1 / 255)
    return np.rint(np.dstack((colors, layers[..., 3] * 255))).clip(0, 255).astype(np.uint8)


def shifted(mapping: np.ndarray, x: float, y: float) -> np.ndarray:
    return mapping + np.array([x, y], np.float32)[:, None, None]


def apart(layer: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    return float(np.abs(layer[..., :3].astype(float) - truth)[where].mean())


def moved_person(
    rgba: np.ndarray, sure: np.ndarray | None = None, unknown: np.ndarray | None = None
) -> Warped:
    """The warp of a person: nothing certain, and everything open, unless told."""
    nothing = np.zeros(rgba.shape[:2], np.float32)
    return Warped(rgba, nothing if sure is None else sure.astype(np.float32),
                  nothing + 1 if unknown is None else unknown.astype(np.float32))  # fmt: skip


PHOTO, MASK = striped()
INSIDE = MASK >= 0.99


def test_the_same_pose_is_the_photo_itself() -> None:
    layer, frame = textured(PHOTO, MASK, FRAME, reduced(PHOTO, MASK), ZEROS, ONES)
    assert frame.is_native and frame.box == FRAME.box and layer.shape == (512, 352, 4)
    assert np.abs(layer[..., :3].astype(int) - PHOTO)[INSIDE].max() <= 1
    assert np.abs(layer[..., 3] / 255 - MASK).max() < 0.01


def test_nothing_visible_is_the_generated_picture() -> None:
    rgba = reduced(PHOTO, MASK, blur=1.5)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, np.zeros(GRID, np.float32))
    plain = FRAME.place(rgba)
    assert apart(layer, plain[..., :3].astype(float), INSIDE) < 2
    assert apart(layer, PHOTO.astype(float), INSIDE) > 3  # the stripes are not there


def test_a_moved_person_keeps_the_stripes_and_a_wrong_mapping_is_corrected() -> None:
    moved = np.roll(PHOTO, (16, -12), (0, 1)), np.roll(MASK, (16, -12), (0, 1))
    rgba = reduced(*moved, blur=0.6)
    inside = cv2.erode(moved[1], np.ones((9, 9))) >= 0.99
    exact = shifted(ZEROS, 12 * GRID[1] / LARGE[0], -16 * GRID[0] / LARGE[1])
    plain = apart(FRAME.place(rgba), moved[0].astype(float), inside)
    for mapping in (exact, shifted(exact, 0.1, -0.08)):
        layer, _ = textured(PHOTO, MASK, FRAME, rgba, mapping, ONES)
        assert apart(layer, moved[0].astype(float), inside) < plain / 3


@pytest.mark.parametrize("fold", ["mirrored", "stretched", "shrunk"])
def test_folds_and_wild_stretches_take_the_generated_picture(fold: str) -> None:
    columns = np.arange(GRID[1], dtype=np.float32) + 0.5
    factor = {"mirrored": -1.0, "stretched": 0.05, "shrunk": 6.0}[fold]
    mapping = ZEROS.copy()
    mapping[0] = (columns - GRID[1] / 2) * (factor - 1)
    rgba = reduced(PHOTO, MASK)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, mapping, ONES)
    assert apart(layer, FRAME.place(rgba)[..., :3].astype(float), INSIDE) < 3


def test_other_colours_are_never_taken_from_the_photo() -> None:
    rgba = reduced(PHOTO, MASK)
    rgba[..., :3] = 255 - rgba[..., :3]
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, ONES)
    assert apart(layer, FRAME.place(rgba)[..., :3].astype(float), INSIDE) < 3


def test_the_surroundings_never_show() -> None:
    """The old background is pure green; the mapping looks at it from half of the person."""
    rgba = reduced(PHOTO, MASK)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, shifted(ZEROS, 2, 0), ONES)
    red, green, _ = (layer[..., c][layer[..., 3] > 128].astype(int) for c in range(3))
    assert ((green > 190) & (red < 40)).mean() < 0.001
    result = paste_back(PHOTO, np.full_like(PHOTO, 90), *_placed(layer), MASK)
    assert np.array_equal(result[:3], PHOTO[:3])


def _placed(layer: np.ndarray) -> tuple[Frame, np.ndarray]:
    return Frame((0, 0, *LARGE), LARGE, LARGE), layer


def test_a_frame_beyond_the_photo_and_a_mask_of_nobody() -> None:
    frame = Frame((-176, -256, 528, 768), SMALL, LARGE)
    rgba = reduced(PHOTO, MASK)
    for mask in (MASK, np.zeros_like(MASK)):
        layer, fine = textured(PHOTO, mask, frame, rgba, ZEROS, ONES)
        assert fine.box == frame.box and layer.shape == (1024, 704, 4)
        assert layer[..., 3].max() > 200


def test_a_photo_smaller_than_the_networks_picture_changes_nothing() -> None:
    rgba = reduced(PHOTO, MASK)
    frame = Frame((10, 10, 98, 138), SMALL, LARGE)
    layer, same = textured(PHOTO, MASK, frame, rgba, ZEROS, ONES)
    assert layer is rgba and same is frame
    empty = np.zeros_like(rgba)
    assert textured(PHOTO, MASK, FRAME, empty, ZEROS, ONES)[0] is empty


def test_inputs_are_not_written_to_and_wild_offsets_are_survived() -> None:
    rgba, mask, photo = reduced(PHOTO, MASK), MASK.copy(), PHOTO.copy()
    mapping = (np.random.default_rng(0).normal(size=(2, *GRID)) * 1e4).astype(np.float32)
    for array in (rgba, mask, photo, mapping):
        array.setflags(write=False)
    layer, _ = textured(photo, mask, FRAME, rgba, mapping, ONES)
    assert apart(layer, FRAME.place(rgba)[..., :3].astype(float), INSIDE) < 3


@pytest.mark.parametrize("broken", ["photo", "mask", "rgba", "mapping", "visible", "nan"])
def test_arrays_that_do_not_fit_are_refused(broken: str) -> None:
    given = {"photo": PHOTO, "mask": MASK, "rgba": reduced(PHOTO, MASK), "mapping": ZEROS,
             "visible": ONES}  # fmt: skip
    if broken == "nan":
        given["mapping"] = np.full_like(ZEROS, np.nan)
    else:
        given[broken] = given[broken][:-1]
    with pytest.raises(ValueError, match=r"frame|mapping"):
        textured(
            given["photo"], given["mask"], FRAME, given["rgba"], given["mapping"], given["visible"]
        )


def test_a_face_moves_as_one_piece() -> None:
    field = np.random.default_rng(0).normal(0, 0.5, (64, 44, 2)).astype(np.float32)
    y, x = np.mgrid[:64, :44].astype(np.float32)
    field += np.stack((0.1 * x - 0.05 * y + 2, 0.05 * x + 0.1 * y - 3), -1)
    window = (np.hypot(x - 22, y - 20) < 12).astype(np.float32)
    rigid, changed = made_rigid(field, np.ones_like(window), window, 2.0)
    least, most = stretches(rigid)
    core = cv2.erode(window, np.ones((3, 3))) > 0
    assert changed and np.ptp(least[core]) < 0.01 and np.ptp(most[core]) < 0.01
    assert abs(most[core].mean() - np.hypot(1.1, 0.05)) < 0.05
    assert np.array_equal(rigid[window == 0], field[window == 0])
    torn = field + 20 * (x > 22)[..., None]
    assert not made_rigid(torn.astype(np.float32), np.ones_like(window), window, 2.0)[1]


def test_matching_finds_a_shift_and_leaves_equal_pictures_alone() -> None:
    rng = np.random.default_rng(1)
    cloth = cv2.GaussianBlur(rng.uniform(0, 255, (128, 88, 3)).astype(np.float32), (0, 0), 1.5)
    picture = np.dstack((cloth, np.ones((128, 88), np.float32)))
    zero = np.zeros((128, 88, 2), np.float32)
    assert not refined(zero, picture, picture).any()
    moved = np.roll(picture, (2, -1), (0, 1))
    found = refined(zero, moved, picture)[20:-20, 20:-20]
    assert np.abs(found - (1, -2)).max() < 0.5


def test_a_smooth_field_follows_what_is_visible() -> None:
    mapping, visible = shifted(ZEROS, 1, 0.5), ONES.copy()
    mapping[:, 2:4, 2:4], visible[2:4, 2:4] = 30, 0
    field = smooth_field(mapping, visible, (48, 64))
    assert np.abs(field[0, 0] - (8, 4)).max() < 0.1
    assert np.abs(field[24, 24] - (8, 4)).max() < 30
    assert not smooth_field(ZEROS, visible, (48, 64)).any()


def test_a_warped_person_brings_the_stripes_where_the_mapping_knows_nothing() -> None:
    rgba = reduced(PHOTO, MASK, blur=2.5)  # the stripes are gone
    warped = np.dstack((PHOTO, np.rint(MASK * 255).astype(np.uint8)))
    nothing = np.zeros(GRID, np.float32)
    plain, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, nothing)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, nothing, warped=moved_person(warped))
    core = cv2.erode(INSIDE.astype(np.uint8), np.ones((25, 25))) > 0
    assert apart(layer, PHOTO.astype(float), core) < apart(plain, PHOTO.astype(float), core) / 3


@pytest.mark.parametrize("wrong", ["colours", "details", "place"])
def test_a_warped_person_that_is_contradicted_is_not_taken(wrong: str) -> None:
    rgba, other = reduced(PHOTO, MASK, blur=0.5), PHOTO.copy()
    if wrong == "colours":
        other[..., 0] = 255 - other[..., 0] // 2
        other[..., 2] = 255 - other[..., 2]
    elif wrong == "details":  # other stripes of the same mean colour
        other = np.ascontiguousarray(striped(24.0)[0][:, ::-1])
        other[..., 1:] = PHOTO[..., 1:]
    mask = np.roll(MASK, 160, 1) if wrong == "place" else MASK
    warped = np.dstack((other, np.rint(mask * 255).astype(np.uint8)))
    plain, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, ONES)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, ONES, warped=moved_person(warped))
    core = cv2.erode((INSIDE & (mask < 0.01 if wrong == "place" else INSIDE)).astype(np.uint8),
                     np.ones((9, 9))) > 0  # fmt: skip
    assert apart(layer, plain[..., :3].astype(float), core) < 4
    with pytest.raises(ValueError, match="does not fit a photo"):
        textured(PHOTO, MASK, FRAME, rgba, ZEROS, ONES, warped=moved_person(warped[:-1]))


def test_what_nobody_moved_stays_whatever_was_generated() -> None:
    rgba = reduced(PHOTO, MASK)
    rgba[:, :44, :3] = 90  # the network got the left half wrong
    warped = np.dstack((PHOTO, np.rint(MASK * 255).astype(np.uint8)))
    moved = np.roll(warped, 90, 0)
    warped[256:] = moved[256:]  # the lower half is somewhere else
    nothing = np.zeros(GRID, np.float32)
    layer, frame = textured(PHOTO, MASK, FRAME, rgba, ZEROS, nothing, warped=moved_person(warped))
    upper = INSIDE.copy()
    upper[230:] = False
    assert np.abs(layer[..., :3].astype(int) - PHOTO)[upper].max() <= 1
    assert np.abs(layer[..., 3] / 255 - MASK)[:230].max() < 0.02  # its outline, too
    lower = INSIDE.copy()
    lower[:380] = lower[:, 150:] = False
    assert apart(layer, np.full_like(PHOTO, 90), lower) < apart(layer, PHOTO.astype(float), lower)
    pasted = paste_back(PHOTO, np.zeros_like(PHOTO), frame, layer, MASK)
    assert np.abs(pasted.astype(int) - PHOTO)[upper].max() <= 3  # where alpha is .99, on black


def test_what_is_certain_is_taken_whatever_was_generated() -> None:
    rgba = reduced(PHOTO, MASK)
    rgba[..., :3] = 90
    other = np.ascontiguousarray(PHOTO[:, ::-1])  # moved: not the photo's pixels in their place
    warped = np.dstack((other, np.rint(MASK * 255).astype(np.uint8)))
    sure = np.zeros_like(MASK)
    sure[:240] = MASK[:240]
    nothing = np.zeros(GRID, np.float32)
    layer, _ = textured(PHOTO, MASK, FRAME, rgba, ZEROS, nothing, warped=moved_person(warped, sure))
    upper = cv2.erode(INSIDE.astype(np.uint8), np.ones((21, 21))) > 0
    lower = INSIDE.copy()
    upper[220:] = lower[:270] = False
    assert np.abs(layer[..., :3].astype(int) - other)[upper].max() <= 2
    assert apart(layer, np.full_like(PHOTO, 90), lower) < apart(layer, other.astype(float), lower)


def test_nothing_is_added_where_the_warp_has_all_the_answers() -> None:
    rgba = reduced(PHOTO, MASK)
    rgba[..., 3] = 255  # the network's person spills over everything
    rgba[..., :3] = 90
    other = np.ascontiguousarray(PHOTO[:, ::-1])
    warped = np.dstack((other, np.rint(MASK * 255).astype(np.uint8)))
    unknown = np.zeros_like(MASK)
    unknown[:, :120] = 1
    nothing = np.zeros(GRID, np.float32)
    layer, _ = textured(
        PHOTO, MASK, FRAME, rgba, ZEROS, nothing, warped=moved_person(warped, unknown=unknown)
    )
    assert np.abs(layer[:, 140:, 3] / 255 - MASK[:, 140:]).max() < 0.02
    away = np.abs(layer[:, 140:, :3].astype(int) - other[:, 140:])
    assert away[MASK[:, 140:] > 0.99].max() <= 2
    assert (layer[:, :100, 3] == 255).mean() > 0.9  # there, what was generated may be more
