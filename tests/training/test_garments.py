"""Training of the garment networks, on a folder like a rendered one with people of two colours."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from reposedm.errors import SettingsError
from reposedm.garments.joints import LANDMARKS, MIRRORED
from reposedm.garments.labels import BOTTOM, CLASSES, TOP
from reposedm.models.landmarks import GarmentLandmarks
from reposedm.models.parser import GarmentParser
from reposedm.models.safe import load_safetensors_strict
from reposedm.pose import Pose
from tests.drawn import photo
from tests.training.runs import contents, newest
from training.config import load_config
from training.export import main as export_main
from training.garments.data import RenderedPeople, RenderedProducts, Varied, make_batch_of
from training.garments.evaluate import confusion, iou, spread
from training.garments.evaluate import main as evaluate_main
from training.garments.variation import detected
from training.sample import DataError
from training.train import main

SIZE = (64, 48)
TINY = [
    "data.size=[64,48]",
    "models={parser: {widths: [8, 8, 16], blocks: 1, edge: 4}, "
    "landmarks: {widths: [8, 8, 16], blocks: 1}}",
    "checkpoint={every: 1, keep: 9}",
    "log={every: 1, validate_every: 2, validate_batches: 1, samples_every: 0}",
]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three identities in two views and two outfits, and a garment of each: files as rendered."""
    root = tmp_path_factory.mktemp("people")
    (root / "000").mkdir()
    image, pose, mask = photo(96, 128)
    alpha = np.rint(mask * 255).astype(np.uint8)
    labels = np.where(alpha > 127, TOP, 0).astype(np.uint8)
    labels[64:][alpha[64:] > 127] = BOTTOM
    joints = [[float(x), float(y), 2] for x, y in pose.points]
    with (root / "index.jsonl").open("w") as index:
        for number in range(3):
            file = f"000/{number:06d}"
            for outfit in ("", "_o1"):
                picture = np.clip(image.astype(int) + 20 * number, 0, 255).astype(np.uint8)
                cv2.imwrite(f"{root / file}{outfit}.jpg", np.hstack([picture, picture])[..., ::-1])
                cv2.imwrite(f"{root / file}{outfit}_alpha.png", np.hstack([alpha, alpha]))
                cv2.imwrite(f"{root / file}{outfit}_seg.png", np.hstack([labels, labels]))
            shirt = np.full((128, 96, 4), 255, np.uint8)
            shirt[..., 3] = 0
            cv2.rectangle(shirt, (24, 30), (64, 100), (40 * number, 60, 200, 255), -1)
            cv2.imwrite(f"{root / file}_top.png", shirt)
            marks = [[0.0, 0.0, 0] for _ in LANDMARKS]
            for name, x, y in (("collar right", 24, 30), ("collar left", 64, 30),
                               ("hem right", 24, 100), ("hem left", 64, 100)):  # fmt: skip
                marks[LANDMARKS.index(name)] = [x + 0.5, y + 0.5, 1]
            index.write(json.dumps({
                "id": number, "file": file, "outfits": 2, "views": [{"kp": joints}] * 2,
                "products": [{"file": f"{file}_top.png", "landmarks": marks}],
            }) + "\n")  # fmt: skip
    meta = {"size": [128, 96], "part_box": np.zeros((20, 2, 3)).tolist()}
    (root / "meta.json").write_text(json.dumps(meta))
    return root


def train(stage: str, people: Path, out: Path, *settings: str) -> int:
    return main(["--config", stage, "--out", str(out), f"data.root={people}", *TINY,
                 f"stages.{stage}={{steps: 2, batch: 2, learning_rate: 1.0e-3, warmup: 0}}",
                 *settings])  # fmt: skip


def test_every_view_of_every_outfit_is_read(people: Path) -> None:
    train_split = RenderedPeople(people, "train", SIZE)
    test_split = RenderedPeople(people, "test", (128, 96))
    assert (len(train_split), len(test_split), len(RenderedPeople(people, "all"))) == (8, 4, 12)
    person = test_split[0]
    assert person.image.shape == (128, 96, 3) and set(np.unique(person.labels)) == {0, TOP, BOTTOM}
    assert person.pose.size == (96, 128)
    small = train_split[0]
    assert small.image.shape == (64, 48, 3) and small.pose.size == (48, 64)
    full = RenderedPeople(people, "train", (128, 96))[0]
    assert np.array_equal(full.pose.points, small.pose.points * 2)
    share = (full.labels > 0).mean()
    assert (small.labels > 0).mean() == pytest.approx(share, abs=0.02)
    assert len(RenderedProducts(people, "all")) == 3
    with pytest.raises(IndexError):
        train_split[8]


def test_half_the_size_is_the_same_picture(people: Path) -> None:
    """The JPEG is decoded at half its size then; nothing may be shifted by that."""
    full, half = (RenderedPeople(people, "train", size)[1] for size in ((128, 96), SIZE))
    shrunk = cv2.resize(full.image, SIZE[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - half.image).mean() < 3


def test_a_damaged_folder_is_named(people: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(people, copy)
    (copy / "000" / "000000_seg.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"000000_seg.png is missing or damaged"):
        RenderedPeople(copy)[0]
    with pytest.raises(DataError, match="not a folder of rendered people"):
        RenderedPeople(tmp_path)
    lines = (copy / "index.jsonl").read_text().splitlines()
    bare = [json.dumps({k: v for k, v in json.loads(x).items() if k != "products"}) for x in lines]
    (copy / "index.jsonl").write_text("\n".join(bare))
    with pytest.raises(DataError, match="--products"):
        RenderedProducts(copy)


def test_variation_depends_on_seed_epoch_and_number_alone(people: Path) -> None:
    for pictures in (RenderedPeople(people, "train", SIZE), RenderedProducts(people, "all", SIZE)):
        varied = Varied(pictures, seed=3)
        first, again, later = varied[(0, 1)], varied[(0, 1)], varied[(1, 1)]
        assert np.array_equal(first.image, again.image)
        assert not np.array_equal(first.image, later.image)
        assert first.image.shape == (*SIZE, 3) and first.image.dtype == np.uint8


def test_varied_people_keep_labels_alpha_and_pose_together(people: Path) -> None:
    varied = Varied(RenderedPeople(people, "train", SIZE))
    on_person, drawn = 0, 0
    for epoch in range(8):
        person = varied[(epoch, epoch)]
        assert person.labels.max() < len(CLASSES) and person.labels.shape == SIZE
        assert (person.labels[person.alpha < 20] == 0).all()
        seen = person.alpha > 50
        points = person.pose.points[person.pose.drawn].astype(int)
        grown = cv2.dilate(seen.astype(np.uint8), np.ones((7, 7))) > 0
        on_person += int(grown[points[:, 1], points[:, 0]].sum())
        drawn += len(points)
    assert drawn > 40 and on_person > 0.85 * drawn


def test_varied_garments_keep_their_landmarks(people: Path) -> None:
    varied = Varied(RenderedProducts(people, "all", SIZE))
    apart = []
    for epoch in range(8):
        garment = varied[(epoch, 0)]
        solid = garment.alpha > 127
        edge = cv2.dilate(solid.astype(np.uint8), np.ones((3, 3))) > 0
        away = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 3)
        for x, y in garment.points[garment.known]:
            apart.append(away[min(int(y), SIZE[0] - 1), min(int(x), SIZE[1] - 1)])
    assert len(apart) > 24 and np.median(apart) <= 1 and max(apart) < 4


def test_detected_poses_are_near_and_never_outside() -> None:
    _, pose, _ = photo(96, 128)
    rng = np.random.default_rng(0)
    found = [detected(pose, rng) for _ in range(60)]
    near = [np.abs(one.points - pose.points)[one.drawn].mean() for one in found if one.drawn.any()]
    assert 0.2 < np.median(near) < 2.5
    dropped = np.mean([1 - one.drawn.mean() for one in found])
    assert 0.01 < dropped < 0.25
    hidden = pose.replace(state=np.zeros(18, np.uint8))
    assert isinstance(detected(hidden, rng), Pose)


def test_mirrored_landmarks_swap_sides() -> None:
    for index, other in enumerate(MIRRORED):
        assert MIRRORED[other] == index
        swapped = LANDMARKS[index].replace("right", "L").replace("left", "right")
        assert LANDMARKS[other] == swapped.replace("L", "left")


def test_pictures_of_another_size_are_refused(people: Path) -> None:
    with pytest.raises(DataError, match=r"set data.size to it"):
        make_batch_of([RenderedPeople(people, size=(128, 96))[0]], SIZE)


@pytest.mark.parametrize(
    ("stage", "cls"), [("parser", GarmentParser), ("landmarks", GarmentLandmarks)]
)
def test_a_run_trains_saves_resumes_and_exports(
    stage: str, cls: type, people: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(stage, people, run) == 0
    network = load_safetensors_strict(cls, run / "weights" / stage)
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {stage} and lines[-1]["step"] == 2
    assert any("validation/loss" in line for line in lines)

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "step-00000002")
    assert train(stage, people, copy) == 0
    assert contents(newest(copy)) == contents(newest(run))
    assert export_main([str(run), "-o", str(tmp_path / "out")]) == 0
    ours = (tmp_path / "out" / stage / "diffusion_pytorch_model.safetensors").read_bytes()
    theirs = (run / "weights" / stage / "diffusion_pytorch_model.safetensors").read_bytes()
    assert ours == theirs


def test_settings_that_make_no_sense_are_refused(people: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a run of their own"):
        load_config("tiny", ["stages.parser.steps=1"])
    assert train("parser", people, tmp_path / "a", "data.kind=drawn") == 2
    assert train("parser", tmp_path / "nothing", tmp_path / "b") == 2


def test_numbers_of_the_evaluation_by_hand() -> None:
    truth = np.array([[TOP, TOP, TOP, 0]], np.uint8)
    found = np.array([[TOP, TOP, BOTTOM, TOP]], np.uint8)
    numbers = iou(confusion(truth, found))
    assert numbers["iou"]["top"] == 0.5 and numbers["iou"]["background"] == 0
    assert numbers["iou"]["bottom"] is None and numbers["mean_iou"] == 0.25
    assert numbers["pixels_right"] == 0.5
    assert spread(10, 3) == [0, 3, 6] and spread(2, 0) == [0, 1]


def test_the_evaluation_writes_results(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GarmentParser.tiny().save_pretrained(tmp_path / "parser")
    GarmentLandmarks.tiny().save_pretrained(tmp_path / "landmarks")
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    out = tmp_path / "results.json"
    assert evaluate_main(["--data", str(people), "--out", str(out), "--limit", "2"]) == 0
    found = json.loads(out.read_text())
    assert found["parser"]["pictures"] == 2 and 0 <= found["parser"]["mask"]["mean_iou"] <= 1
    assert found["landmarks"]["cut_out"]["iou"] > 0.95
    assert set(found["weights"]) == {
        f"{name}/diffusion_pytorch_model.safetensors" for name in ("parser", "landmarks")
    }
    assert str(tmp_path) not in out.read_text()
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path / "none"))
    assert evaluate_main(["--data", str(people), "--out", str(out)]) == 2
