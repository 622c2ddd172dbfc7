"""The preview engine on drawn people whose every limb has its own colour."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest

from reposedm.errors import ImageError, PoseError, SettingsError
from reposedm.pipelines.base import Step, drain
from reposedm.pipelines.preview import PreviewEngine, Puppet, prepare
from reposedm.pose import Pose
from tests.drawn import standing

W, H = 300, 400
MAGENTA = (255, 0, 255)
COLOURS = {
    "trunk": (40, 90, 200), "head": (230, 190, 150),
    (2, 3): (200, 60, 40), (3, 4): (240, 150, 30), (5, 6): (30, 140, 60), (6, 7): (120, 210, 80),
    (8, 9): (90, 90, 90), (9, 10): (150, 150, 160), (11, 12): (70, 50, 30),
    (12, 13): (140, 110, 80),
}  # fmt: skip
WIDTHS = {3: 20, 4: 16, 6: 20, 7: 16, 9: 28, 10: 22, 12: 28, 13: 22}


def figure(pose: Pose, background: tuple[int, int, int] = MAGENTA) -> tuple[np.ndarray, np.ndarray]:
    """A person of coloured capsules, arms in front; float32 mask."""
    image = np.full((H, W, 3), background, np.uint8)
    mask = np.zeros((H, W), np.uint8)
    points = np.rint(pose.points).astype(int).tolist()
    trunk = np.array([points[i] for i in (2, 5, 11, 8)])
    for canvas, colour in ((image, COLOURS["trunk"]), (mask, 255)):
        cv2.fillPoly(canvas, [trunk], colour)
        cv2.polylines(canvas, [trunk], True, colour, 14)
        cv2.line(canvas, points[0], points[1], colour, 14)
    for canvas, colour in ((image, COLOURS["head"]), (mask, 255)):
        cv2.circle(canvas, points[0], 26, colour, -1)
    for bone in ((8, 9), (9, 10), (11, 12), (12, 13), (2, 3), (3, 4), (5, 6), (6, 7)):
        for canvas, colour in ((image, COLOURS[bone]), (mask, 255)):
            cv2.line(canvas, points[bone[0]], points[bone[1]], colour, WIDTHS[bone[1]])
    return image, mask.astype(np.float32) / 255


def moved(pose: Pose, **joints: tuple[float, float]) -> Pose:
    points = pose.points.copy()
    for name, at in joints.items():
        points[int(name[1:])] = at
    return pose.replace(points=points)


def over(rgba: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + np.array(background) * (1 - alpha)


def near(colour: np.ndarray, wanted: tuple[int, int, int], tolerance: float = 45) -> bool:
    return bool(np.abs(colour.astype(float) - wanted).max() <= tolerance)


@pytest.fixture(scope="module")
def pose() -> Pose:
    return standing(W, H)


@pytest.fixture(scope="module")
def puppet(pose: Pose) -> Puppet:
    return prepare(figure(pose)[0], pose, figure(pose)[1])


def raised(pose: Pose) -> Pose:
    """The right arm goes up and out."""
    return moved(pose, j3=(84, 70), j4=(60, 30))


def test_the_same_pose_gives_the_same_person(pose: Pose, puppet: Puppet) -> None:
    image, mask = figure(pose)
    result = puppet.warp(pose)
    solid = cv2.erode((mask > 0.99).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    error = (result[..., :3].astype(float) - image)[solid]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 38
    assert (result[..., 3][solid] > 250).mean() > 0.995
    assert np.abs(result[..., 3] / 255 - mask).mean() < 0.01


def test_a_raised_arm_is_where_the_pose_wants_it(pose: Pose, puppet: Puppet) -> None:
    target = raised(pose)
    result = puppet.warp(target)
    for a, b in ((2, 3), (3, 4)):
        x, y = (target.points[a] * 0.35 + target.points[b] * 0.65).astype(int)
        assert result[y, x, 3] > 240
        assert near(result[y, x, :3], COLOURS[(a, b)])
    # Nothing of it is left where the forearm was.
    x, y = ((pose.points[3] + pose.points[4]) / 2).astype(int)
    assert result[y, x, 3] < 20
    # The rest of the body did not move.
    x, y = ((pose.points[1] + pose.points[[8, 11]].mean(0)) / 2).astype(int)
    assert near(result[y, x, :3], COLOURS["trunk"], 8)
    x, y = ((pose.points[6] + pose.points[7]) / 2).astype(int)
    assert near(result[y, x, :3], COLOURS[(6, 7)], 20)


@pytest.mark.parametrize("angle", range(-170, 180, 35))
def test_an_arm_at_any_angle_is_in_one_piece(pose: Pose, puppet: Puppet, angle: int) -> None:
    """No cracks: from shoulder to wrist the bone is covered, at every angle of the elbow."""
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    elbow = pose.points[2] + (-45, 30)
    target = moved(pose, j3=tuple(elbow), j4=tuple(elbow + 52 * direction))
    alpha = puppet.warp(target)[..., 3]
    for a, b in pairwise((2, 3, 4)):
        t = np.linspace(0, 0.97, 60)[:, None]
        at = (target.points[a] * (1 - t) + target.points[b] * t).astype(int)
        assert alpha[at[:, 1], at[:, 0]].min() > 200


@pytest.mark.parametrize("name", ["raised", "wide", "crossed", "small", "bent"])
def test_no_colour_of_background_or_hole_inside_the_person(pose: Pose, name: str) -> None:
    """The photo's background is pure magenta: what was made up must not have any of it."""
    crossing = moved(pose, j3=(105, 160), j4=(160, 170))  # the arm hides part of the trunk
    image, mask = figure(crossing)
    goals = {
        "raised": raised(pose),
        "wide": moved(pose, j9=(90, 270), j10=(70, 340), j12=(210, 270), j13=(230, 340)),
        "crossed": crossing,
        "small": pose.replace(points=pose.points * 0.6 + (50, 60)),
        "bent": moved(pose, j9=(80, 240), j10=(95, 300), j6=(190, 60), j7=(170, 20)),
    }
    result = prepare(image, crossing, mask).warp(goals[name]).astype(int)
    shown = result[..., 3] > 30
    magenta = np.minimum(result[..., 0], result[..., 2]) - result[..., 1]
    assert shown.any()
    assert magenta[shown].max() < 110  # bluest cloth: min(40, 200) - 90 < 0; pure magenta: 255
    assert (magenta[shown] > 60).mean() < 0.002
    # The same over a magenta filling: none shines through the inside of the silhouette.
    inside = cv2.erode((result[..., 3] > 128).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    flat = over(result, MAGENTA)[inside]
    assert ((np.minimum(flat[:, 0], flat[:, 2]) - flat[:, 1]) > 90).mean() < 0.002


def test_the_trunk_is_filled_where_an_arm_was(pose: Pose) -> None:
    crossing = moved(pose, j3=(105, 160), j4=(160, 170))
    image, mask = figure(crossing)
    result = prepare(image, crossing, mask).warp(raised(pose))
    was_arm = np.zeros((H, W), np.uint8)
    cv2.line(was_arm, (136, 165), (160, 170), 1, 10)
    pixels = result[was_arm > 0]
    assert (pixels[:, 3] > 240).all()
    off = np.abs(pixels[:, :3].astype(float) - COLOURS["trunk"]).max(1)
    assert (off < 40).mean() > 0.97


def test_arms_go_before_or_behind_the_trunk(pose: Pose, puppet: Puppet) -> None:
    target = moved(pose, j3=(105, 160), j4=(160, 170))
    x, y = 140, 166
    assert near(puppet.warp(target)[y, x, :3], COLOURS[(3, 4)])
    state = pose.state.copy()
    state[[3, 4]] = 1
    assert near(puppet.warp(target.replace(state=state))[y, x, :3], COLOURS["trunk"])


def test_the_whole_person_moves_and_scales(pose: Pose, puppet: Puppet) -> None:
    original = puppet.warp(pose)
    shifted = puppet.warp(pose.replace(points=pose.points + np.array([16, 8])))
    assert np.abs(shifted[8:, 16:].astype(int) - original[:-8, :-16]).mean() < 1.0
    small = puppet.warp(pose.replace(points=pose.points * 0.5))
    half = cv2.resize(original, (W // 2, H // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(small[: H // 2, : W // 2, 3].astype(int) - half[..., 3]).mean() < 4


def test_a_smaller_picture_for_dragging(pose: Pose, puppet: Puppet) -> None:
    full, small = puppet.warp(raised(pose)), puppet.warp(raised(pose), scale=0.5)
    assert small.shape == (H // 2, W // 2, 4)
    half = cv2.resize(full[..., 3], (W // 2, H // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(small[..., 3].astype(int) - half).mean() < 2
    for bad in (0, -1, 5):
        with pytest.raises(SettingsError, match="scale"):
            puppet.warp(pose, scale=bad)


def test_legs_that_the_photo_cuts_off_are_not_invented(pose: Pose) -> None:
    image, mask = figure(pose)
    image, mask = image[:235], mask[:235].copy()
    state = pose.state.copy()
    state[[9, 10, 12, 13]] = 0
    source = Pose(pose.points, pose.score, state, (W, 235))
    wanted = Pose(pose.points, pose.score, pose.state, (W, 235))
    engine = PreviewEngine()
    output = drain(engine.stream(image, source, wanted, source_mask=mask))
    assert any("right lower leg" in note and "left thigh" in note for note in output.notes)
    assert output.images[0].shape == (235, W, 4)


def from_the_side(pose: Pose, hidden: list[int]) -> Pose:
    """The left shoulder and hip nearly behind the right ones, and some joints not found."""
    points, state = pose.points.copy(), pose.state.copy()
    for joints in ((2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13)):
        points[list(joints), 0] = points[1, 0] + 0.2 * (points[list(joints), 0] - points[1, 0])
    state[hidden] = 0
    return pose.replace(points=points, state=state)


def test_an_arm_not_found_from_the_side_takes_nothing_from_the_trunk(pose: Pose) -> None:
    """It would be thought to hang there, and raising it would tear a piece out of the shirt."""
    image, mask = figure(from_the_side(pose, []))
    unseen = prepare(image, from_the_side(pose, [6, 7]), mask)
    assert np.flatnonzero(~unseen.parts.present).tolist() == [4, 5]
    assert "left upper arm" in " ".join(unseen.notes(from_the_side(pose, [])))
    image, mask = figure(pose)
    state = pose.state.copy()
    state[[6, 7]] = 0  # from the front it hangs beside the trunk, where it can be seen
    assert prepare(image, pose.replace(state=state), mask).parts.present[4]


@pytest.mark.parametrize(("hidden", "absent"), [([12, 13], [8, 9]), ([9, 10, 12, 13], [])])
def test_a_leg_not_found_from_the_side_is_behind_the_other_one(
    pose: Pose, hidden: list[int], absent: list[int]
) -> None:
    """Of somebody whose legs are both unknown they are where legs usually are."""
    image, mask = figure(from_the_side(pose, []))
    found = prepare(image, from_the_side(pose, hidden), mask).parts.present
    assert np.flatnonzero(~found).tolist() == absent


def test_a_turn_is_noted(pose: Pose, puppet: Puppet) -> None:
    order = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    assert any("turn" in note for note in puppet.notes(pose.replace(points=pose.points[order])))
    assert puppet.notes(pose) == ()


def test_extreme_targets_never_break(pose: Pose, puppet: Puppet) -> None:
    random = np.random.default_rng(0)
    for spread in (1, 30, 1000, 60000):
        points = pose.points + random.normal(0, spread, (18, 2))
        result = puppet.warp(pose.replace(points=points))
        assert result.shape == (H, W, 4)
    away = puppet.warp(pose.replace(points=pose.points + 5000))
    assert not away.any()
    pointed = moved(pose, j3=tuple(pose.points[2]), j4=tuple(pose.points[2]))
    assert puppet.warp(pointed)[..., 3].max() == 255


def test_the_method_protocol(pose: Pose) -> None:
    image, mask = figure(pose)
    engine = PreviewEngine()
    able = engine.capabilities
    assert (able.name, able.native_size, able.stochastic) == ("preview", None, False)
    stream = engine.stream(image, pose, raised(pose), source_mask=mask, generators=[None, None])  # type: ignore[list-item]
    first = next(stream)
    assert isinstance(first, Step)
    second = next(stream)
    assert (first.index, second.index, second.total) == (1, 2, 2)
    assert (first.stage, second.stage) == able.stages and len(second.previews) == 2
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert np.array_equal(*stop.value.value.images)
    closed = engine.stream(image, pose, raised(pose), source_mask=mask)
    next(closed)
    closed.close()


@pytest.mark.parametrize("extra", ["steps", "guidance_scale", "pose_guidance_scale", "prompt"])
def test_meaningless_arguments_are_refused(pose: Pose, extra: str) -> None:
    image, mask = figure(pose)
    with pytest.raises(SettingsError, match=extra):
        drain(PreviewEngine().stream(image, pose, pose, source_mask=mask, **{extra: 1}))  # type: ignore[arg-type]


def test_bad_input_is_refused(pose: Pose, puppet: Puppet) -> None:
    image, mask = figure(pose)
    with pytest.raises(ImageError, match="mask"):
        prepare(image, pose, mask[:-1])
    with pytest.raises(ImageError, match="shows no person"):
        prepare(image, pose, mask * 0)
    with pytest.raises(ImageError, match="uint8"):
        prepare(image.astype(float), pose, mask)  # type: ignore[arg-type]
    with pytest.raises(PoseError, match="is for a photo of"):
        prepare(image, pose.replace(size=(10, 10)), mask)
    hidden = pose.replace(state=np.zeros(18))
    for call in (lambda: prepare(image, hidden, mask), lambda: puppet.warp(hidden)):
        with pytest.raises(PoseError, match="hidden"):
            call()


def test_a_mask_that_misses_the_pose_and_one_of_nan(pose: Pose) -> None:
    image, _ = figure(pose)
    corner = np.zeros((H, W), np.float32)
    corner[:20, :20] = 1
    assert prepare(image, pose, corner).warp(pose).shape == (H, W, 4)
    dirty = figure(pose)[1]
    dirty[0, 0] = np.nan
    assert prepare(image, pose, dirty).warp(pose)[..., 3].max() == 255


def test_without_a_mask_one_is_guessed(pose: Pose) -> None:
    image, mask = figure(pose, (120, 200, 120))
    output = drain(PreviewEngine().stream(image, pose, pose))
    alpha = output.images[0][..., 3] > 128
    union = (alpha | (mask > 0.5)).sum()
    assert (alpha & (mask > 0.5)).sum() / union > 0.8
    assert any("guess" in note for note in output.notes)


def test_deterministic_and_safe_in_threads(pose: Pose, puppet: Puppet) -> None:
    expected = puppet.warp(raised(pose))
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(puppet.warp(raised(pose)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(np.array_equal(expected, result) for result in results)


def test_the_engine_needs_no_torch() -> None:
    code = (
        "import sys, reposedm.pipelines.preview; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'mediapipe')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
