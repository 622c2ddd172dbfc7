"""The page's pose geometry under node: its own tests, and its parity with Python's."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reposedm.pose import Pose, draw_map, parse_people, presets_json, retarget
from reposedm.pose.presets import preset
from reposedm.pose.skeleton import COLORS, JOINTS, LIMBS, MIRROR, PARENT

CORE = Path(__file__).parents[2] / "pose_editor" / "static" / "core"
TESTS = Path(__file__).parent / "js"
NAMES = (
    "skeleton", "kinematics", "actions", "history", "retarget", "plausibility", "map", "document",
)  # fmt: skip
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")

PRELUDE = f"""
const load = (name) => require({json.dumps(str(CORE))} + "/" + name + ".js");
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answer = (value) => process.stdout.write(JSON.stringify(value));
"""


def node(script: str, given: Any = None, *, raw: bool = False) -> Any:
    """What a script says about a value, both as JSON (the answer as bytes if raw)."""
    done = subprocess.run(
        [str(NODE), "-e", PRELUDE + script],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout if raw else json.loads(done.stdout)


def pose_of(points: Any, state: Any, size: tuple[int, int]) -> Pose:
    return Pose(
        np.asarray(points, np.float32), np.ones(18, np.float32), np.asarray(state, np.uint8), size
    )


def random_pose(rng: np.random.Generator, size: tuple[int, int], hidden: float = 0.2) -> Pose:
    """Joints anywhere on the photo and a little outside, some hidden or behind."""
    points = (rng.random((18, 2)) * 1.3 - 0.15) * size
    state = rng.choice(3, 18, p=[hidden, 0.2, 0.8 - hidden])
    return pose_of(points.round(2), state, size)


def keypoints(pose: Pose) -> list[list[float]]:
    rows = zip(pose.points.tolist(), pose.score.tolist(), pose.state.tolist(), strict=True)
    return [[x, y, score, state] for (x, y), score, state in rows]


def people_of(kind: str, rng: np.random.Generator) -> list[Pose]:
    size = (640, 480)
    if kind == "presets":
        body = preset("standing", size=size)
        names = ["walking", "hands-on-hips", "arms-crossed"]
        known = [entry["id"] for entry in presets_json()["presets"]]
        return [preset(name, body) for name in names if name in known] or [body]
    if kind == "crowd":
        return [random_pose(rng, size) for _ in range(5)]
    if kind == "off canvas":
        pose = random_pose(rng, size)
        return [pose.replace(points=pose.points * 2.5 - 300)]
    if kind == "hidden":
        return [random_pose(rng, size, hidden=0.7)]
    if kind == "on one spot":
        return [pose_of(np.full((18, 2), 99.5), np.full(18, 2), size)]
    if kind == "tiny photo":
        return [random_pose(rng, (64, 97))]
    return [random_pose(rng, (3001, 1999))]


def test_the_cores_own_tests_pass() -> None:
    files = sorted(str(file) for file in TESTS.glob("*.test.js"))
    assert len(files) >= 3
    done = subprocess.run(
        [str(NODE), "--test", *files], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# fail 0" in done.stdout or "ℹ fail 0" in done.stdout


def test_the_tables_are_pythons() -> None:
    names, *tables, sides = node(
        "const S = load('skeleton'); answer([S.NAMES, S.LIMBS, S.PARENT, S.MIRROR, S.COLORS,"
        " S.NAMES.map((_, j) => S.side(j))]);"
    )
    assert tuple(names) == JOINTS
    assert tables == json.loads(json.dumps([LIMBS, PARENT, MIRROR, COLORS]))
    initials = {"right": "R", "left": "L"}
    assert sides == [initials.get(name.split()[0], "") for name in JOINTS]


def test_the_files_form_one_script() -> None:
    """Concatenated in order they run in one function scope, as Gradio runs them."""
    whole = "\n".join((CORE / f"{name}.js").read_text("utf-8") for name in NAMES)
    assert {file.stem for file in CORE.glob("*.js")} == set(NAMES)
    made = node(
        "const make = new Function('module', given + '; return [PoseSkeleton, PoseKinematics, "
        "PoseActions, PoseHistory, PoseRetarget, PosePlausibility, PoseMap, PoseDocument]"
        ".map((made) => Object.keys(made).length)'); answer(make(undefined));",
        whole,
    )
    assert len(made) == len(NAMES)
    assert min(made) >= 2


def test_no_file_is_too_long_or_touches_the_page() -> None:
    for name in NAMES:
        text = (CORE / f"{name}.js").read_text("utf-8")
        assert len(text.splitlines()) <= 300, name
        for word in ("document.", "window.", "addEventListener", "{{", "fetch("):
            assert word not in text, f"{name}: {word}"
        for word in ("inputs", "every", "change", "input", "select", "upload", "clear", "undo"):
            assert not any(f"{quote}{word}{quote}" in text for quote in "'\"`"), f"{name}: {word}"


@pytest.mark.parametrize(
    "kind", ["presets", "crowd", "off canvas", "hidden", "on one spot", "tiny photo", "large photo"]
)
def test_the_map_is_pythons(kind: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        people = people_of(kind, rng)
        expected = draw_map(people).astype(np.float64)
        raw = node(
            "const map = load('map').render(given[0], given[1]);"
            "process.stdout.write(Buffer.from(map.data.buffer));",
            [[keypoints(pose) for pose in people], people[0].size],
            raw=True,
        )
        found = np.frombuffer(raw, np.uint8).reshape(*expected.shape[:2], 4)
        assert (found[..., 3] == 255).all()
        error = ((found[..., :3] - expected) ** 2).mean()
        psnr = 10 * np.log10(255**2 / max(error, 1e-9))
        assert psnr >= 45, f"{psnr:.1f} dB"  # the contract asks for 35; we are nearly bit-equal
        assert expected.max() > 0 or kind == "off canvas"


def test_redrawing_only_what_changed_gives_the_same_map() -> None:
    rng = np.random.default_rng(6)
    frames = []
    people = [random_pose(rng, (640, 480)) for _ in range(4)]
    for step in range(12):
        people[step % 4] = random_pose(rng, (640, 480))
        if step == 8:
            people.pop()
            people.append(random_pose(rng, (640, 480)))
        frames.append([keypoints(pose) for pose in people[: 4 - step % 3]])
    equal = node(
        "const M = load('map'), canvas = M.create([640, 480]);"
        "answer(given.map((people) => Buffer.compare(Buffer.from(canvas.draw(people).data.buffer),"
        " Buffer.from(M.render(people, [640, 480]).data.buffer)) === 0));",
        frames,
    )
    assert equal == [True] * 12


def test_retarget_is_pythons() -> None:
    rng = np.random.default_rng(7)
    size, other = (900, 1200), (640, 480)
    cases, expected = [], []
    for number in range(150):
        hidden = (0.0, 0.2, 0.6)[number % 3]
        pose, body = random_pose(rng, other, hidden), random_pose(rng, size, hidden)
        if number % 5 == 0:  # joints without coordinates
            pose = pose.replace(points=pose.points * (pose.state > 0)[:, None])
        part = (0.0, 0.35, 1.0)[number % 4 % 3]
        if not (pose.drawn.any() and body.drawn.any()):
            continue
        expected.append(keypoints(retarget(pose, body, proportions=part)))
        cases.append([keypoints(pose), keypoints(body), {"proportions": part, "size": size}])
    found = node(
        "const R = load('retarget'); answer(given.map((one) => R.retarget(...one)));", cases
    )
    assert len(found) > 120
    _assert_same_poses(found, expected)


def test_presets_on_a_body_are_pythons() -> None:
    rng = np.random.default_rng(8)
    library = presets_json()
    body = preset("standing", size=(900, 1200))
    body = body.replace(points=body.points + rng.normal(0, 15, (18, 2)))
    found = node(
        "const R = load('retarget'); answer(given[0].presets.map((entry) => {"
        " const { kp, ...rest } = R.fromPreset(given[0], entry);"
        " return R.retarget(kp, given[1], { ...rest, size: given[2] }); }));",
        [library, keypoints(body), body.size],
    )
    expected = [keypoints(preset(entry["id"], body)) for entry in library["presets"]]
    assert len(found) >= 24
    _assert_same_poses(found, expected)


def test_presets_on_a_person_seen_from_behind_are_pythons() -> None:
    library = presets_json()
    bodies = [preset(name, size=(900, 1200)) for name in ("standing", "back", "over-shoulder")]
    bodies.append(bodies[2].replace(state=np.full(18, 2)))  # looks into the camera
    found = node(
        "const R = load('retarget'), A = load('actions'); answer(given[1].map((body) =>"
        " given[0].presets.map((entry) => { const { kp, ...rest } = R.fromPreset(given[0], entry);"
        " return R.retarget(A.withSideOf(kp, body), body, { ...rest, size: given[2] }); })));",
        [library, [keypoints(body) for body in bodies], bodies[0].size],
    )
    for body, poses in zip(bodies, found, strict=True):
        expected = [keypoints(preset(entry["id"], body)) for entry in library["presets"]]
        _assert_same_poses(poses, expected)


def test_an_unusable_pose_has_no_retargeted_one() -> None:
    assert (
        node(
            "const kp = Array.from({ length: 18 }, () => [5, 5, 1, 2]);"
            "answer(load('retarget').retarget(kp, kp));"
        )
        is None
    )


def test_exports_are_read_by_pythons_parser() -> None:
    pose = random_pose(np.random.default_rng(9), (640, 480))
    pose = pose.replace(points=pose.points.clip(0, 480))
    openpose, native = node(
        "const D = load('document'), doc = D.addPerson({ ...D.empty(), width: 640, height: 480 },"
        " given); answer([D.toOpenPose(doc), D.toEditorJson(doc)]);",
        keypoints(pose),
    )
    [read] = parse_people(native)
    assert read.size == (640, 480)
    np.testing.assert_allclose(read.points, pose.points, atol=0.006)
    np.testing.assert_array_equal(read.state, pose.state)
    [read] = parse_people(openpose)
    assert read.size == (640, 480)
    np.testing.assert_array_equal(read.drawn, pose.drawn)
    np.testing.assert_allclose(read.points[pose.drawn], pose.points[pose.drawn], atol=0.006)


def _assert_same_poses(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    one, other = np.array(found, np.float64), np.array(expected, np.float64)
    np.testing.assert_allclose(one[..., :3], other[..., :3], atol=1e-3, rtol=1e-6)
    np.testing.assert_array_equal(one[..., 3], other[..., 3])
