"""Every family's files, made small with the names of the real ones, come out as one index.

Long, because every layout of every family is written out by its own few lines.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.errors import RePoseError
from reposedm.pose import JointState, Pose, to_openpose
from reposedm.pose.skeleton import L_SHOULDER, NECK, NOSE, R_SHOULDER, R_WRIST
from tests.drawn import photo
from tests.training import raw_data as raw
from training.data import DataError, PairDataset, open_dataset
from training.datasets import coco_poses, deepfashion, lists, market
from training.datasets.records import Options, body
from training.prepare import prepare


def options(kind: str, root: Path, **more: object) -> Options:
    return Options(kind, root, root.parent / "out", **more)  # type: ignore[arg-type]


def make(kind: str, root: Path, **more: object) -> Path:
    given = options(kind, root, **more)
    prepare(given, progress=False)
    return given.out


def test_names_are_mangled_as_patn_does() -> None:
    for path, name in raw.NAMES.items():
        assert deepfashion.mangled(f"fashion/{path}") == name
        assert deepfashion.mangled(f"./img/{path}") == name
        assert deepfashion.mangled(f"{name}.jpg") == name
    assert deepfashion.loose("WOMENBlousesShirtsid0000337203_3_back.jpg") == deepfashion.loose(
        f"img/{raw.BACK}"
    )
    assert deepfashion.loose(f"deepfashion{raw.NAMES[raw.MAN][7:]}.png") == deepfashion.loose(
        raw.MAN
    )
    assert deepfashion.person_of(raw.NAMES[raw.BACK]) == "id_00003372"


@pytest.mark.parametrize("layout", raw.LAYOUTS)
def test_every_layout_gives_the_same_pairs_and_poses(layout: str, tmp_path: Path) -> None:
    raw.LAYOUTS[layout](tmp_path / "raw")
    out = make("deepfashion", tmp_path / "raw")
    for split in ("train", "test"):
        dataset = PairDataset(out, split)
        samples = [dataset[i] for i in range(len(dataset))]
        assert [(s.source_name, s.target_name) for s in samples] == raw.named_pairs(split)
        for sample, (source, target) in zip(samples, raw.PAIRS[split], strict=True):
            assert sample.person == deepfashion.person_of(raw.NAMES[target])
            for path, pose in ((source, sample.source_pose), (target, sample.target_pose)):
                wanted = raw.frame_points(path)
                missing = np.isnan(wanted).any(1)
                assert np.array_equal(pose.state == JointState.HIDDEN, missing)
                assert np.abs(pose.points - wanted)[~missing].max() < 0.01
            stretched = raw.picture(target).resize((176, 256), Image.Resampling.BICUBIC)
            error = np.abs(np.asarray(stretched, float) - sample.target_image).mean()
            assert error < 3  # JPEG; another picture differs by more than 30
    assert json.loads((out / "meta.json").read_bytes())["skipped"] == {}


def test_the_three_layouts_can_be_asked_for(tmp_path: Path) -> None:
    raw.txt(tmp_path / "raw")
    raw.json_fpdm(tmp_path / "raw")
    for layout in ("txt", "json"):
        found = deepfashion.listing(options("deepfashion", tmp_path / "raw", layout=layout))
        assert found.pairs == {split: raw.named_pairs(split) for split in ("train", "test")}
    with pytest.raises(DataError, match=r"fasion-resize-pairs"):
        deepfashion.listing(options("deepfashion", tmp_path / "raw", layout="csv"))


def test_the_order_of_txt_pairs_is_an_option(tmp_path: Path) -> None:
    file = tmp_path / "train_pairs.txt"
    file.write_text("t.jpg,a.jpg,b.jpg\nx.jpg,y.jpg\n\nalone.jpg\n")
    bad: list[str] = []
    code = lists.read_pairs_txt(file, True, bad.append)
    assert code == [("a.jpg", "t.jpg"), ("b.jpg", "t.jpg"), ("y.jpg", "x.jpg")]
    readme = lists.read_pairs_txt(file, False, bad.append)
    assert readme == [("t.jpg", "b.jpg"), ("a.jpg", "b.jpg"), ("x.jpg", "y.jpg")]
    assert bad == ["train_pairs.txt line 4"] * 2

    raw.txt(tmp_path / "raw")
    given = options("deepfashion", tmp_path / "raw", pair_order="source-first")
    assert deepfashion.listing(given).pairs["test"] == [  # type: ignore[index]
        (b, a) for a, b in raw.named_pairs("test")
    ]


def test_minus_one_in_either_coordinate_is_a_missing_joint() -> None:
    points = [(50.0, 60.0)] * 18
    points[3], points[5], points[6] = (-1, -1), (-1, 30), (30, -1)
    pose = body(points, 100, 120).on((120, 100))
    assert np.flatnonzero(pose.state == JointState.HIDDEN).tolist() == [3, 5, 6]
    assert pose.points[3].tolist() == [0, 0]
    assert pose.points[0].tolist() == [50, 60]


def test_a_joint_in_the_band_is_hidden_but_keeps_its_place() -> None:
    points = [(128.0, 100.0)] * 18
    points[R_WRIST] = (30, 100)
    pose = body(points, 176, 256, left=40).on((256, 176))
    assert pose.state[R_WRIST] == JointState.HIDDEN
    assert pose.points[R_WRIST].tolist() == [-10, 100]
    assert pose.points[0].tolist() == [88, 100]


@pytest.mark.parametrize("size", [(256, 176), (512, 352)])
def test_the_padded_frame_is_cut_with_its_joints(size: tuple[int, int], tmp_path: Path) -> None:
    """FPDM's sample: a joint at (161, 38) of the padded frame is at (121, 38) of 256 x 176."""
    root = tmp_path / "raw"
    raw.txt(root)
    pixels = np.full((256, 256, 3), 255, np.uint8)
    pixels[:, 40:216] = (90, 120, 60)
    pixels[34:43, 157:166] = (255, 0, 0)
    for path in raw.NAMES:
        Image.fromarray(pixels).save(root / "img" / path, quality=100, subsampling=0)
    lines = ["161 38"] + ["118 96"] * 16 + ["-1 -1"]
    raw.write(root / "pose" / raw.BACK.replace(".jpg", ".txt"), "\n".join(lines))
    sample = PairDataset(make("deepfashion", root, size=size))[0]
    scale = size[0] // 256
    assert sample.source_pose.points[0].tolist() == [121 * scale, 38 * scale]
    assert sample.source_pose.points[1].tolist() == [78 * scale, 96 * scale]
    assert sample.source_pose.state[17] == JointState.HIDDEN
    red, green, _ = sample.source_image[38 * scale, 121 * scale].astype(int)
    assert red > 220 and green < 40
    assert sample.source_image[:, 0].mean(0)[2] < 100  # the white band is gone


def test_pictures_of_256_without_bands_are_used_whole(tmp_path: Path) -> None:
    raw.csv_tree(tmp_path / "raw")
    for path in raw.NAMES:
        raw.save(raw.picture(path, (256, 256)), tmp_path / "raw" / "fashion" / path)
    sample = PairDataset(make("deepfashion", tmp_path / "raw"))[0]
    whole = raw.picture(raw.BACK, (256, 256)).resize((176, 256), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(whole, float) - sample.source_image).mean() < 3


def test_of_two_copies_the_larger_picture_is_taken(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    raw.csv_tree(root)
    raw.save(raw.picture(raw.SIDE, (150, 220)), root / "highres" / f"{raw.NAMES[raw.SIDE]}.png")
    found = deepfashion.listing(options("deepfashion", root))
    assert found.pictures[raw.NAMES[raw.SIDE]].path.endswith(".png")
    assert found.pictures[raw.NAMES[raw.BACK]].path.endswith("03_3_back.jpg")


def test_pictures_without_a_pose_stay_for_the_fid(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    raw.txt(root)
    (root / "pose" / raw.SIDE.replace(".jpg", ".txt")).unlink()
    out = make("deepfashion", root)
    dataset = PairDataset(out)
    assert len(dataset) == 1 and len(dataset.picture_paths()) == 5
    skipped = json.loads((out / "meta.json").read_bytes())["skipped"]
    assert skipped == {"no pose annotation": 1, "pair of a picture without a pose": 3}


MARKET = (
    "0002_c1s1_000451_03.jpg", "0002_c2s1_000801_01.jpg", "0002_c3s1_000551_01.jpg",
    "0007_c1s6_028546_01.jpg", "0007_c2s3_070952_01.jpg",
    "-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg",
)  # fmt: skip


def market_names(split: str) -> tuple[str, ...]:
    """Other people are in the test split, and distractors."""
    if split == "train":
        return MARKET[:5]
    return tuple(name.replace("0002_", "0003_").replace("0007_", "0008_") for name in MARKET)


def market_set(root: Path, pairs: bool, folders: tuple[str, str]) -> None:
    for split, folder in zip(("train", "test"), folders, strict=True):
        names = market_names(split)
        rows = {}
        for name in names:
            raw.save(raw.picture(name, (64, 128)), root / folder / name)
            rows[name] = [(20.0 + j, 10.0 + 6 * j) for j in range(18)]
        rows[names[2]][8] = (-1, -1)  # without a hip it is in no legal pair
        raw.write(root / f"market-annotation-{split}.csv", raw.annotation(rows))
        if pairs:
            listed = f"from,to\n{names[0]},{names[2]}\n{names[3]},{names[4]}\n"
            raw.write(root / f"market-pairs-{split}.csv", listed)


def test_market_with_its_list_of_pairs(tmp_path: Path) -> None:
    market_set(tmp_path / "raw" / "market", True, ("train", "test"))
    out = make("market", tmp_path / "raw", size=(128, 64))
    dataset = PairDataset(out, "train")
    assert [dataset[i].pair for i in range(2)] == [
        "0002_c1s1_000451_03->0002_c3s1_000551_01",
        "0007_c1s6_028546_01->0007_c2s3_070952_01",
    ]
    assert dataset[1].person == "0007"
    assert dataset[0].target_pose.points[3].tolist() == [23, 28]
    test = PairDataset(out, "test")
    assert [test[i].person for i in range(len(test))] == ["0003", "0008"]
    skipped = json.loads((out / "meta.json").read_bytes())["skipped"]
    assert skipped == {"distractor or junk": 2}


def test_market_without_one_has_all_legal_ordered_pairs(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    market_set(root, False, ("bounding_box_train", "bounding_box_test"))
    found = market.listing(options("market", root, size=(128, 64)))
    for split in ("train", "test"):
        a, b, c, d, e = (name.removesuffix(".jpg") for name in market_names(split)[:5])
        pairs = found.pairs[split]  # type: ignore[index]
        assert sorted(pairs) == sorted([(a, b), (b, a), (d, e), (e, d)])
        assert all(c not in pair for pair in pairs)


def test_market_test_pairs_are_a_fixed_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market_set(tmp_path, False, ("train", "test"))
    monkeypatch.setattr(market, "TEST_PAIRS", 3)
    first, second = (market.listing(options("market", tmp_path)) for _ in range(2))
    assert first.pairs == second.pairs
    assert len(set(first.pairs["test"])) == 3  # type: ignore[index]
    assert any("not those of published results" in note for note in first.notes)


def own_people(root: Path) -> Pose:
    """Three people with two photos each; the pose lies beside every photo."""
    pixels, pose, _ = photo(192, 256)
    for person in ("anna", "Björn Å", "cy"):
        for number in range(2):
            shade = (pixels * (1 - 0.1 * number)).astype(np.uint8)
            path = root / person / f"{number} <a>.jpg"
            raw.save(Image.fromarray(shade), path)
            path.with_suffix(".json").write_text(json.dumps(to_openpose([pose])))
    raw.save(Image.fromarray(pixels), root / "alone" / "one.jpg")
    return pose


def test_own_people_are_cut_around_the_pose(tmp_path: Path) -> None:
    pose = own_people(tmp_path / "raw")
    out = make("folder", tmp_path / "raw", test_share=0.0)
    dataset = open_dataset("folder", out)
    assert {dataset[i].pair for i in range(len(dataset))} == {
        f"{p}/{a} <a>.jpg->{p}/{1 - a} <a>.jpg" for p in ("anna", "Björn Å", "cy") for a in (0, 1)
    }
    found = dataset[0].source_pose
    assert found.drawn.all() and found.size == (176, 256)
    # One scale in x and y, as the app cuts: distances keep their ratio.
    before, after = np.ptp(pose.points, axis=0), np.ptp(found.points, axis=0)
    assert after[0] / before[0] == pytest.approx(after[1] / before[1], rel=0.02)
    assert after[1] > 0.6 * 256
    skipped = json.loads((out / "meta.json").read_bytes())["skipped"]
    assert skipped == {"only one picture of this person": 1}


def test_a_person_is_in_one_split_only(tmp_path: Path) -> None:
    own_people(tmp_path / "raw")
    out = make("folder", tmp_path / "raw", test_share=0.5)
    people = []
    for split in ("train", "test"):
        dataset = PairDataset(out, split)
        people.append({dataset[i].person for i in range(len(dataset))})
    assert not people[0] & people[1]
    assert people[0] | people[1] == {"anna", "Björn Å", "cy"}


def test_own_photos_with_nobody_seen_are_left_out(tmp_path: Path) -> None:
    pose = own_people(tmp_path / "raw")
    few = pose.replace(state=np.where(np.arange(18) < 3, 2, 0))
    (tmp_path / "raw" / "anna" / "0 <a>.json").write_text(json.dumps(to_openpose([few])))
    (tmp_path / "raw" / "cy" / "0 <a>.json").write_text("{]")
    out = make("folder", tmp_path / "raw", test_share=0.0)
    assert len(PairDataset(out)) == 2
    reasons = [json.loads(line)["reason"] for line in (out / "skipped.jsonl").open()]
    assert any("only 3 joints" in reason for reason in reasons)
    assert any("not JSON" in reason for reason in reasons)


@pytest.mark.models
def test_poses_of_own_people_are_detected_once_and_kept(tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "assets" / "examples"
    for name in ("grey-suit.jpg", "breton-stripes.jpg"):
        raw.save(Image.open(examples / name), tmp_path / "raw" / "someone" / name)
    out = make("folder", tmp_path / "raw", test_share=0.0, masks=True)
    sample = PairDataset(out)[0]
    assert sample.source_pose.drawn.sum() >= 12
    assert sample.source_alpha is not None and 0.05 < (sample.source_alpha > 127).mean() < 0.8
    kept = sorted((out / "poses").iterdir())
    assert len(kept) == 2
    before = raw.snapshot(out)
    make("folder", tmp_path / "raw", test_share=0.0, masks=True)
    assert raw.snapshot(out) == before
    # A corrected pose is taken, and only then is the picture made again.
    document = json.loads(kept[0].read_bytes())
    document["people"][0]["pose_keypoints_2d"][3 * R_WRIST : 3 * R_WRIST + 3] = [0, 0, 0]
    kept[0].write_text(json.dumps(document))
    make("folder", tmp_path / "raw", test_share=0.0, masks=True)
    poses = [PairDataset(out)[i].source_pose for i in range(2)]
    assert [pose.state[R_WRIST] for pose in poses].count(JointState.HIDDEN) >= 1


def coco_set(root: Path) -> None:
    points = [[20 + 4 * j, 30 + 8 * j, 2] for j in range(17)]
    points[5] = [70, 60, 2]  # left shoulder
    points[6] = [50, 64, 1]  # right shoulder, behind something
    points[9] = [0, 0, 0]
    small = [[5 + j, 100 + j, 2 if j < 8 else 0] for j in range(17)]
    dot = [[3, 3, 2]] + [[0, 0, 0]] * 16
    flat = [[value for point in person for value in point] for person in (small, points, dot)]
    images = [
        {"id": 7, "file_name": "humanart/images/oil painting/a.jpg", "width": 200, "height": 240,
         "description": "a dancer, oil on canvas"},
        {"id": 8, "file_name": "../../outside.jpg", "width": 200, "height": 240},
        {"id": 9, "file_name": "gone.jpg", "width": 200, "height": 240},
    ]  # fmt: skip
    annotations = [
        *({"image_id": 7, "keypoints": person, "iscrowd": 0} for person in flat),
        {"image_id": 7, "keypoints": flat[1], "iscrowd": 1},
        {"image_id": 7, "keypoints": [1, 2, 3]},
        {"image_id": 8, "keypoints": flat[1]},
        {"image_id": 9, "keypoints": flat[1]},
        {"image_id": 10, "keypoints": flat[1]},
    ]
    document = {"images": images, "annotations": annotations}
    raw.write(root / "annotations" / "training_humanart.json", json.dumps(document))
    raw.save(raw.picture("a", (200, 240)), root / "images" / "oil painting" / "a.jpg")
    raw.save(raw.picture("b", (200, 240)), root.parent.parent / "outside.jpg")


def test_coco_people_with_captions(tmp_path: Path) -> None:
    root = tmp_path / "somewhere" / "humanart"
    coco_set(root)
    out = make("coco", root, size=(128, 128))
    dataset = open_dataset("coco", out)
    sample = dataset[0]
    assert len(dataset) == 1
    assert sample.caption == "a dancer, oil on canvas"
    assert sample.source_name == sample.target_name == "humanart/images/oil painting/a.jpg"
    assert len(sample.people) == 2  # the dot in the crowd is nobody
    assert sample.people[0] == sample.target_pose  # the largest
    pose = sample.target_pose
    # 200 x 240 is cut to 200 x 200 around the people, then 200 -> 128.
    nose = (pose.points[NOSE] / 128 * 200).tolist()
    assert nose[0] == pytest.approx(20, abs=0.1)
    assert 30 - 40 < nose[1] < 30.1
    middle = (pose.points[R_SHOULDER] + pose.points[L_SHOULDER]) / 2
    assert np.abs(pose.points[NECK] - middle).max() < 0.01
    assert pose.state[[R_SHOULDER, L_SHOULDER, NECK]].tolist() == [1, 2, 1]
    assert pose.state[7] == JointState.HIDDEN  # COCO's 9, the left wrist
    skipped = json.loads((out / "meta.json").read_bytes())["skipped"]
    assert skipped == {
        "unreadable pose annotation": 1,
        "annotation without a picture": 1,
        "picture not found": 2,
    }


def test_coco_layout_and_caption_files(tmp_path: Path) -> None:
    """COCO proper: captions are in a file of their own; val is the test split."""
    flat = [value for j in range(17) for value in (20 + 4 * j, 30 + 8 * j, 2)]
    image = {"id": 1, "file_name": "000000000001.jpg", "width": 200, "height": 240}
    key_points = {"images": [image], "annotations": [{"image_id": 1, "keypoints": flat}]}
    captions = {"images": [image], "annotations": [{"image_id": 1, "caption": "A person.\n"}]}
    folder = tmp_path / "raw" / "annotations"
    raw.write(folder / "person_keypoints_val2017.json", json.dumps(key_points))
    raw.write(folder / "captions_val2017.json", json.dumps(captions))
    raw.save(raw.picture("c", (200, 240)), tmp_path / "raw" / "val2017" / "000000000001.jpg")
    out = make("coco", tmp_path / "raw", size=(64, 64))
    sample = PairDataset(out, "test")[0]
    assert sample.caption == "A person." and sample.people == ()
    assert len(PairDataset(out, "train")) == 0


def test_coco_refuses_what_is_no_key_point() -> None:
    assert coco_poses.from_coco([1.0] * 50, 10, 10) is None
    assert coco_poses.from_coco([float("nan")] * 51, 10, 10) is None
    assert coco_poses.from_coco("x", 10, 10) is None


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "name:x:y\n"],
)
def test_a_file_that_is_no_such_list_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="must begin with"):
        lists.read_pairs_csv(path, print)
    with pytest.raises(DataError, match="must begin with"):
        list(lists.read_annotation_csv(path, print))


def test_an_empty_folder_is_refused_by_every_family(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for kind in ("deepfashion", "market", "folder", "coco"):
        with pytest.raises(DataError, match=r"there (are|is) no"):
            make(kind, tmp_path / "raw")
    with pytest.raises(RePoseError, match="multiples of 8"):
        options("market", tmp_path, size=(100, 64))
