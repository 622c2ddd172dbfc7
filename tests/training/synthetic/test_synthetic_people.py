"""Rendered people, with the asset pack."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reposedm.pose import JointState
from tests.training.synthetic.synthetic_pack import pack_folder
from training.batch import collate
from training.datasets.synthetic import RenderedPairs, SyntheticFolder
from training.sample import DataError
from training.synthetic.assets import Assets, load_assets
from training.synthetic.body import build_body, sample_traits
from training.synthetic.correspondence import canonical_flow, exact_flow
from training.synthetic.dataset import Plan, render_dataset
from training.synthetic.labels import Material
from training.synthetic.maps import decode, encode
from training.synthetic.outfit import Outfit
from training.synthetic.person import make_person
from training.synthetic.pose_sampling import sample_posture
from training.synthetic.product import LANDMARKS, render_product
from training.synthetic.stances import STANCES
from training.synthetic.surveillance import CAMERAS, render_surveillance
from training.synthetic.views import Session, render_again, render_session

SIZE = (128, 88)
SEED = 300


@pytest.fixture(scope="module")
def assets() -> Assets:
    return load_assets(pack_folder())


@pytest.fixture(scope="module")
def session(assets: Assets) -> Session:
    return render_session(assets, SEED, 5, SIZE)


@pytest.fixture(scope="module")
def people(assets: Assets, session: Session) -> list[Session]:
    return [session, *(render_session(assets, SEED + k, 3, SIZE, style="wild") for k in (1, 2))]


def test_the_same_seed_gives_the_same_bytes(assets: Assets, session: Session) -> None:
    again = render_session(assets, SEED, 2, SIZE)
    for first, second in zip(session.views[:2], again.views, strict=True):
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.alpha, second.alpha)
        assert np.array_equal(first.canonical, second.canonical)
        assert first.pose == second.pose
    other = render_session(assets, SEED + 1, 1, SIZE)
    assert not np.array_equal(other.views[0].image, session.views[0].image)


def test_alpha_segments_and_maps_are_of_one_person(people: list[Session]) -> None:
    for view in (view for session in people for view in session.views):
        person = view.segment > 0
        assert 0.03 < person.mean() < 0.95
        solid = view.alpha >= 128
        assert (solid == person).mean() > 0.985  # one sample of four decides a rim pixel's label
        assert person[view.alpha == 255].all() and not person[view.alpha == 0].any()
        assert np.array_equal(view.part > 0, person)
        assert np.array_equal(view.triangle >= 0, person)
        assert (view.canonical[~person] == 0).all()


def test_visible_joints_are_on_the_person(people: list[Session]) -> None:
    inside, total = 0, 0
    for view in (view for session in people for view in session.views):
        height, width = SIZE
        for (x, y), state in zip(view.pose.points, view.pose.state, strict=True):
            outside = not (0 <= x < width and 0 <= y < height)
            assert outside == (state == JointState.HIDDEN)
            if state == JointState.VISIBLE:
                total += 1
                inside += bool(view.segment[int(y), int(x)])
    assert total > 80 and inside / total > 0.97  # an ear or a nose may lie on the rim


def test_who_turns_the_back_shows_no_face(assets: Assets) -> None:
    backs = [
        view
        for seed in range(SEED, SEED + 4)
        for view in render_session(assets, seed, 5, (64, 44)).views
        if abs((view.yaw + 180) % 360 - 180) > 150
    ]
    assert backs
    assert all(view.pose.state[0] != JointState.VISIBLE for view in backs)


def test_another_outfit_leaves_body_and_pose_to_the_bit(assets: Assets, session: Session) -> None:
    other = make_person(assets, session.person.seed, Outfit().changed(1))
    assert np.array_equal(other.body.vertices, session.person.body.vertices)
    view = session.views[0]
    again = render_again(assets, other, view)
    assert np.array_equal(again.pose.points, view.pose.points)
    assert np.abs(again.image.astype(int) - view.image).mean() > 3
    face = (view.segment == 2) & (again.segment == 2)
    assert face.sum() > 20
    assert np.abs(again.image[face].astype(int) - view.image[face]).mean() < 12


def test_one_garment_alone_can_be_changed(assets: Assets) -> None:
    # A person of two pieces: the same trousers under another top.
    seed = next(s for s in range(400, 440) if make_person(assets, s).style == "two")
    first = make_person(assets, seed)
    second = make_person(assets, seed, Outfit().changed(1, "top"))

    def cloth(person, material):
        return person.textures[int(person.shading_table[material, 1])]

    worn = Material.BOTTOM if first.wears(Material.BOTTOM) else Material.SKIRT
    assert np.array_equal(cloth(first, worn), cloth(second, worn))
    assert not np.array_equal(cloth(first, Material.TOP), cloth(second, Material.TOP))


def test_a_view_flows_to_itself_without_moving(session: Session) -> None:
    view = session.views[0]
    flow, valid = exact_flow(session.person, view, view)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    person = view.segment > 0
    assert valid[person].mean() > 0.99
    # A label is taken at one of the four samples of its pixel: 0.25 beside the centre.
    assert np.abs(flow[..., 0] - columns - 0.75)[valid].max() < 0.02
    assert np.abs(flow[..., 1] - rows - 0.75)[valid].max() < 0.02


def test_stored_maps_give_the_flow_of_the_geometry(people: list[Session]) -> None:
    for session in people:
        source, target = session.views[:2]
        boxes = session.person.boxes
        sides = []
        for view in (source, target):
            _, places = decode(encode(view.part, view.canonical, boxes), boxes)
            sides.append((view.segment, places))
        stored, found = canonical_flow(sides[0], sides[1], 0.24)
        exact, valid = exact_flow(session.person, source, target)
        both = found & valid
        assert both.sum() > 50
        error = np.linalg.norm(stored - exact, axis=-1)[both]
        assert np.median(error) < 0.6


@pytest.mark.parametrize("kind", STANCES)
def test_poses_keep_limbs_and_knees(assets: Assets, kind: str) -> None:
    details = [name for name in assets.targets if name.startswith("detail/")]
    body = build_body(assets, sample_traits(np.random.default_rng(1), details))
    at = assets.bone
    for lot in range(4):
        posture = sample_posture(np.random.default_rng(lot), assets, body, kind)
        assert np.isfinite(posture.position).all()
        turned = posture.turned
        assert turned @ turned.transpose(0, 2, 1) == pytest.approx(
            np.broadcast_to(np.eye(3), turned.shape), abs=2e-3
        )
        for side in "LR":
            for chain in (
                ("upperarm01", "lowerarm01", "wrist"), ("upperleg01", "lowerleg01", "foot")
            ):  # fmt: skip
                first, middle, end = (at[f"{name}.{side}"] for name in chain)
                for a, b in ((first, middle), (middle, end)):
                    before = np.linalg.norm(body.joints[b] - body.joints[a])
                    after = np.linalg.norm(posture.position[b] - posture.position[a])
                    # The library's arms bend a little in the middle of a bone.
                    loose = 0.02 if kind == "library" else 5e-3
                    assert after == pytest.approx(before, rel=loose)
            if kind != "library":  # a knee never bends to the front
                hip, knee, ankle = (
                    posture.position[at[f"{n}.{side}"]]
                    for n in ("upperleg01", "lowerleg01", "foot")
                )
                front = posture.turned[at[f"upperleg01.{side}"]] @ np.array((0, 0, 1.0))
                assert (knee - (hip + ankle) / 2) @ front > -0.1


def test_products_have_landmarks_on_the_cloth(assets: Assets, session: Session) -> None:
    product = render_product(assets, session.person, Material.TOP, SIZE)
    assert product is not None and product.known[LANDMARKS.index("collar middle")]
    for (x, y), known in zip(product.landmarks, product.known, strict=True):
        if known:
            assert product.view.segment[int(y), int(x)] > 0
    assert set(np.unique(product.view.segment)) <= {0, 6, 9}  # no skin, hair or face
    assert (product.view.image[product.view.alpha == 0] == 255).all()
    left, right = (
        product.landmarks[LANDMARKS.index(f"{side} cuff outer")] for side in ("left", "right")
    )
    assert left[0] > right[0]  # the wearer's left is on the picture's right
    assert render_product(assets, session.person, Material.OUTER, SIZE) is None


def test_six_cameras_see_the_same_person_differently(assets: Assets) -> None:
    session, cameras = render_surveillance(assets, SEED, 6)
    assert sorted(cameras) == list(range(CAMERAS))
    assert all(view.image.shape == (128, 64, 3) for view in session.views)
    again, _ = render_surveillance(assets, SEED, 6)
    assert np.array_equal(again.views[3].image, session.views[3].image)


def test_one_camera_sees_a_person_in_one_place(assets: Assets, tmp_path: Path) -> None:
    session, cameras = render_surveillance(assets, SEED, 2, one_camera=True)
    assert len(set(cameras)) == 1
    heights = [view.camera.height for view in session.views]
    assert max(heights) < 1.11 * min(heights)
    tints = [view.image.astype(float).mean((0, 1)) for view in session.views]
    assert np.abs(tints[0] - tints[1]).max() < 40
    plan = Plan(str(tmp_path), str(assets.folder), identities=1, poses=2, size=(64, 48), seed=3,
                mode="surveillance", one_camera=True, photographic=1.0, workers=0)  # fmt: skip
    (record,) = render_dataset(plan)
    assert "cameras" not in record  # none of the six


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, assets: Assets) -> Path:
    out = tmp_path_factory.mktemp("rendered")
    plan = Plan(str(out), str(assets.folder), identities=2, poses=2, size=SIZE, seed=3,
                outfits=2, products=True, photographic=1.0, workers=0)  # fmt: skip
    assert len(list(render_dataset(plan))) == 2
    return out


def test_a_folder_says_what_it_holds(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    assert meta["size"] == list(SIZE) and len(meta["joints"]) == 18
    assert str(folder) not in (folder / "meta.json").read_text("utf-8")
    records = [json.loads(x) for x in (folder / "index.jsonl").read_text("utf-8").splitlines()]
    assert [record["id"] for record in records] == [0, 1]
    for suffix in (".jpg", "_alpha.png", "_seg.png", "_iuv.png", "_o1.jpg", "_o1_iuv.png"):
        assert (folder / f"{records[0]['file']}{suffix}").is_file()
    for product in records[0]["products"]:
        assert (folder / product["file"]).is_file()


def test_a_folder_gives_training_pairs(folder: Path) -> None:
    pairs = SyntheticFolder(folder)
    assert len(pairs) == 2 and len(SyntheticFolder(folder, "test")) == 2
    sample = pairs[0]
    batch = collate([sample, pairs[1]], (128, 88), maps=False)
    assert batch.target.shape == (2, 4, 128, 88)
    assert batch.flow is not None and bool(batch.flow_known.all())
    with pytest.raises(DataError, match=r"training\.synthetic render"):
        SyntheticFolder(folder.parent)


def test_pairs_are_rendered_on_the_fly(assets: Assets) -> None:
    pairs = RenderedPairs(assets.folder, identities=2, views=2, size=SIZE)
    assert len(pairs) == 4
    sample, back = pairs[0], pairs[1]
    assert sample.person == back.person
    assert np.array_equal(sample.source_image, back.target_image)
    batch = collate([sample, back], SIZE, maps=False)
    assert batch.target.shape == (2, 4, *SIZE) and float(batch.flow_valid.sum()) > 0
    held_out = RenderedPairs(assets.folder, identities=2, views=2, size=SIZE, split="test")
    assert held_out[0].person != sample.person
    with pytest.raises(IndexError):
        pairs[4]


def test_what_one_sits_on_is_no_part_of_the_person(assets: Assets) -> None:
    for seed in range(SEED, SEED + 40):
        person = make_person(assets, seed)
        if person.wears(Material.SKIRT):
            continue
        session = render_session(assets, seed, 6, (64, 44))
        seated = [view for view in session.views if view.posture.seat is not None]
        if seated:
            view = seated[0]
            assert np.array_equal(view.triangle >= 0, view.segment > 0)
            assert (view.depth[view.segment == 0] < 1e8).any()  # the box is in the depth buffer
            assert view.alpha[view.segment == 0].mean() < 40
            return
    raise AssertionError("nobody sat down")
