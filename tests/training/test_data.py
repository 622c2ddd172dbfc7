"""Order, augmentation and batches: reproducible, and what is moved is moved together."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from reposedm.diffusion.interaction import coco_heat
from reposedm.errors import SettingsError
from reposedm.models.mapping import centres, mapping_from_pixels, warp
from reposedm.pose import JointState, Pose
from training.augment import Augmentation, mirrored, moved, recolored
from training.batch import mapping_on_grid
from training.data import Augmented, Batch, DataError, EpochSampler, Sample, collate, open_dataset
from training.datasets.drawn import SyntheticPairs

SIZE = (128, 96)


@pytest.fixture(scope="module")
def pairs() -> list[Sample]:
    data = SyntheticPairs(people=2, poses=2, size=SIZE)
    return [data[index] for index in range(len(data))]


def plain(points: np.ndarray, size: tuple[int, int] = (16, 16)) -> Pose:
    return Pose(points, np.ones(18), np.full(18, 2), (size[1], size[0]))


def tiny(value: int = 0, size: tuple[int, int] = (16, 16), **more: object) -> Sample:
    image = np.full((*size, 3), value, np.uint8)
    pose = plain(np.full((18, 2), 4.0), size)
    return Sample(image, image, pose, pose, "a", "b", "p", **more)  # type: ignore[arg-type]


# --- the order -------------------------------------------------------------------------------


def test_every_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    sampler = EpochSampler(10, 4, seed=1)
    keys = [key for batch in islice(sampler, 5) for key in batch]  # 20 = two epochs
    assert [key.epoch for key in keys] == [0] * 10 + [1] * 10
    first, second = ([k.number for k in keys if k.epoch == e] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second and first != sorted(first)
    assert sampler.epoch(5) == 2


def test_processes_share_what_one_process_would_see() -> None:
    one = EpochSampler(23, 8, seed=2)
    two = [EpochSampler(23, 4, seed=2, rank=rank, world=2) for rank in (0, 1)]
    for step in range(9):
        assert two[0].batch(step) + two[1].batch(step) == one.batch(step)


def test_a_resumed_order_goes_on_where_it_was() -> None:
    whole = list(islice(EpochSampler(7, 3, seed=5), 20))
    resumed = list(islice(EpochSampler(7, 3, seed=5, start_step=11), 9))
    assert resumed == whole[11:]


def test_without_shuffling_the_order_is_the_data_sets() -> None:
    keys = EpochSampler(3, 4, shuffle=False).batch(1)
    assert [(k.epoch, k.number) for k in keys] == [(1, 1), (1, 2), (2, 0), (2, 1)]


@pytest.mark.parametrize("wrong", [{"rank": 2, "world": 2}, {"start_step": -1}, {"seed": -1}])
def test_impossible_orders_are_refused(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        EpochSampler(4, 2, **wrong)
    with pytest.raises(SettingsError):
        EpochSampler(0, 2)


def equal(a: Batch, b: Batch) -> bool:
    for field in fields(Batch):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if not (torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y):
            return False
    return True


def test_workers_do_not_change_a_bit() -> None:
    data = Augmented(SyntheticPairs(people=2, poses=2), seed=3)

    def batches(workers: int) -> list[Batch]:
        sampler = EpochSampler(len(data), 3, seed=3)
        loader = DataLoader(data, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
        found = []
        for batch in loader:
            found.append(batch)
            if len(found) == 3:
                break
        return found

    alone, helped = batches(0), batches(2)
    assert all(equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert not torch.equal(alone[0].source, alone[1].source)


def test_epochs_augment_differently_and_again_the_same() -> None:
    data = Augmented(SyntheticPairs(people=1, poses=2), seed=3)
    first, again, later = data[0, 1], data[0, 1], data[1, 1]
    assert np.array_equal(first.source_image, again.source_image)
    assert not np.array_equal(first.source_image, later.source_image)
    other = Augmented(SyntheticPairs(people=1, poses=2), seed=4)[0, 1]
    assert not np.array_equal(first.source_image, other.source_image)


# --- augmentation ----------------------------------------------------------------------------


def looked_at_error(sample: Sample) -> float:
    """Mean difference of the target and what the mapping fetches, over what is seen."""
    image = torch.from_numpy(sample.source_image.copy()).permute(2, 0, 1)[None].float()
    fetched = warp(image, torch.from_numpy(sample.mapping.copy())[None])[0].permute(1, 2, 0)
    difference = np.abs(fetched.numpy() - sample.target_image).mean(-1)
    return float(difference[sample.seen > 0].mean())


def joint_color(sample: Sample, side: str, joint: int) -> np.ndarray:
    pose, image = getattr(sample, f"{side}_pose"), getattr(sample, f"{side}_image")
    x, y = pose.points[joint].astype(int)
    return image[y, x].astype(int)


def test_mirroring_exchanges_left_and_right_everywhere(pairs: list[Sample]) -> None:
    for sample in pairs:
        turned = mirrored(sample)
        assert np.array_equal(turned.target_image, sample.target_image[:, ::-1])
        assert np.array_equal(turned.target_alpha, sample.target_alpha[:, ::-1])
        # The person's right wrist is now the left one of the mirror image.
        there = turned.target_pose.points[7]
        right = sample.target_pose.points[4]
        assert there.tolist() == pytest.approx([SIZE[1] - right[0], right[1]], abs=1e-4)
        assert turned.target_pose.state[7] == sample.target_pose.state[4]
        assert looked_at_error(turned) == pytest.approx(looked_at_error(sample), abs=0.01)
        back = mirrored(turned)
        assert np.allclose(back.target_pose.points, sample.target_pose.points, atol=1e-4)
        assert np.array_equal(back.target_pose.state, sample.target_pose.state)
        assert np.array_equal(back.mapping, sample.mapping)
        assert np.array_equal(back.seen, sample.seen)


def test_mirrored_joints_lie_on_the_same_pixels(pairs: list[Sample]) -> None:
    for sample in pairs:
        turned = mirrored(sample)
        for joint, other in ((3, 6), (9, 12), (10, 13), (4, 7)):
            if sample.source_pose.state[joint] != JointState.HIDDEN:
                before = joint_color(sample, "source", joint)
                after = joint_color(turned, "source", other)
                assert np.abs(before - after).max() < 60  # the neighbouring pixel at most


def test_enlarging_keeps_picture_joints_and_flow_together(pairs: list[Sample]) -> None:
    source, target = (1.25, 3.0, 20.0), (1.1, 7.0, 2.0)
    for sample in pairs:
        after = moved(sample, source, target)
        expected = sample.target_pose.points * 1.1 - (7, 2)
        assert np.abs(after.target_pose.points - expected).max() < 1e-3
        # Bicubic pictures, nearest flow: a little worse than before, far better than no flow.
        assert after.seen.sum() > 0.5 * sample.seen.sum()
        still = np.abs(after.source_image.astype(int) - after.target_image).mean(-1)
        assert looked_at_error(after) < looked_at_error(sample) + 4
        assert looked_at_error(after) < 0.5 * still[after.seen > 0].mean()
        mask = after.target_alpha > 250
        assert not after.seen[after.target_alpha == 0].any() and mask.any()


def test_a_move_by_hand() -> None:
    """Twice as large, 6 px to the left and 4 up: (5, 7) goes to (4, 10); (2, 1) leaves."""
    points = np.full((18, 2), (5.0, 7.0))
    points[3] = (2, 1)
    image = np.zeros((16, 16, 3), np.uint8)
    image[6:8, 4:6] = 200
    pose = plain(points)
    sample = Sample(image, image, pose, pose, "a", "b", "p")
    after = moved(sample, (2.0, 6.0, 4.0), (1.0, 0.0, 0.0))
    assert after.source_pose.points[0].tolist() == [4, 10]
    assert after.source_pose.points[3].tolist() == [-2, -2]
    assert after.source_pose.state[3] == JointState.HIDDEN
    assert (after.source_image[9:11, 3:5] > 150).all()  # around (4, 10)
    assert np.array_equal(after.target_image, image) and after.target_pose == pose


def test_colors_change_alike_in_both_pictures(pairs: list[Sample]) -> None:
    change = np.array([0.5, -0.4, 0.3, 0.9, -0.2, 0.1, -0.8])
    sample = pairs[0].replace(target_image=pairs[0].source_image)
    after = recolored(sample, change)
    assert np.array_equal(after.source_image, after.target_image)
    assert np.abs(after.source_image.astype(int) - sample.source_image).mean() > 3
    same = recolored(sample, np.zeros(7))
    assert np.abs(same.source_image.astype(int) - sample.source_image).max() <= 1
    assert after.source_pose == sample.source_pose


def test_no_augmentation_is_no_change(pairs: list[Sample]) -> None:
    off = Augmentation(mirror=0, enlarge=0, color=0)
    assert off(pairs[0], np.random.default_rng(0)) is pairs[0]
    turned = Augmentation(mirror=1, enlarge=0, color=0)(pairs[0], np.random.default_rng(0))
    assert np.array_equal(turned.source_image, pairs[0].source_image[:, ::-1])
    with pytest.raises(SettingsError):
        Augmentation(mirror=1.5)


def test_half_of_the_samples_are_mirrored() -> None:
    sample = tiny()
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, :8] = 255
    sample = sample.replace(source_image=image, target_image=image)
    only = Augmentation(mirror=0.5, enlarge=0, color=0)
    turned = Counter(
        bool(only(sample, np.random.default_rng((0, i))).source_image[0, 0, 0] == 0)
        for i in range(400)
    )
    assert 160 < turned[True] < 240


# --- batches ---------------------------------------------------------------------------------


def test_a_batch_by_hand() -> None:
    points = np.full((18, 2), (8.0, 8.0))
    points[2], points[5] = (12, 4), (4, 12)
    state = np.full(18, 2)
    state[5], state[6] = 1, 0
    pose = Pose(points, np.ones(18), state, (16, 16))
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 255
    other = np.full((16, 16, 3), 51, np.uint8)
    sample = Sample(image, other, pose, plain(points), "a", "b", "someone", caption="red")
    batch = collate([sample, sample], sigma=1.0, heat17_shape=(8, 8), sigma17=0.5)
    assert batch.source.shape == (2, 3, 16, 16) and batch.source.dtype == torch.float32
    assert batch.source[0, :, 3, 5].tolist() == [1, -1, -1]
    assert batch.target[1].unique().tolist() == pytest.approx([51 / 127.5 - 1])
    assert batch.source_heat.shape == (2, 18, 2, 2)
    # Joint 2 at (12, 4) px is at (1.5, 0.5) cells, the centre of the upper right one.
    assert batch.source_heat[0, 2, 0, 1] == 1
    assert batch.source_heat[0, 2, 0, 0] == pytest.approx(np.exp(-0.5))
    assert batch.source_heat[0, 5, 1, 0] == 0.5  # behind
    assert batch.source_heat[0, 6].max() == 0  # hidden
    assert batch.target_heat[0, 6].max() > 0.5
    assert batch.target_heat17.shape == (2, 17, 8, 8)
    # COCO's 6 is the right shoulder: (12, 4) of 16 px is (6, 2) of 8 cells, between four of them.
    corner = np.exp(-(0.5**2 + 0.5**2) / (2 * 0.5**2))
    assert batch.target_heat17[0, 6, 1:3, 5:7].flatten().tolist() == pytest.approx([corner] * 4)
    whole = collate([sample], sigma=0.5, heat17_shape=(2, 2), sigma17=0.5)
    assert torch.equal(whole.target_heat17, coco_heat(whole.target_heat))
    assert batch.source_joints[0, 2].tolist() == [12, 4]
    assert batch.source_states[0, 5:7].tolist() == [1, 0]
    assert batch.flow is None and not batch.flow_known.any() and batch.source_alpha is None
    assert batch.names == ("a->b",) * 2 and batch.persons[0] == "someone"
    assert batch.captions == ("red", "red") and len(batch) == 2
    assert batch.source_map.min() == -1 and batch.source_map.shape == (2, 3, 16, 16)


def test_the_flow_is_the_networks_mapping(pairs: list[Sample]) -> None:
    batch = collate(pairs)
    assert batch.flow.shape == (4, 2, 16, 12) and batch.flow_valid.shape == (4, 1, 16, 12)
    # The network's own conventions: where a cell's centre looks, in pixels, and back.
    points = torch.from_numpy(np.stack([s.mapping for s in pairs]))
    points = centres(SIZE, points.device) + points
    per_pixel = mapping_from_pixels(points[:, :, 4::8, 4::8], SIZE)  # half a pixel off the centre
    error = (per_pixel - batch.flow).norm(dim=1)[batch.flow_valid[:, 0] > 0]
    assert error.median() < 0.15
    assert (batch.flow * (1 - batch.flow_valid)).abs().max() == 0
    assert batch.visibility.min() >= 0 and batch.visibility.max() <= 1
    assert batch.target.shape[1] == 4 and batch.source_alpha.shape == (4, 1, *SIZE)
    assert torch.equal((batch.visibility >= 0.5).float(), batch.flow_valid)


def test_the_mean_of_a_cell_is_over_what_is_known() -> None:
    mapping = np.zeros((2, 4, 4), np.float32)
    seen = np.zeros((4, 4), np.float32)
    mapping[0, :2, :2], seen[0, :2] = 3, 1  # two of the four pixels of the first cell
    mapping[1, 0, 0] = 4
    flow, share = mapping_on_grid(mapping, seen, (2, 2))
    assert share.tolist() == [[0.5, 0], [0, 0]]
    assert flow[:, 0, 0].tolist() == pytest.approx([1.5, 1.0])  # pixels of half a cell
    assert np.abs(flow[:, 0, 1]).max() == 0


def test_samples_with_and_without_a_mapping_mix() -> None:
    known = tiny(mapping=np.ones((2, 16, 16), np.float32), seen=np.ones((16, 16), np.float32))
    batch = collate([known, tiny()])
    assert batch.flow_known.tolist() == [True, False]
    assert batch.flow[0].unique().tolist() == [0.125]
    assert batch.flow[1].abs().max() == batch.flow_valid[1].max() == 0
    alpha = np.full((16, 16), 255, np.uint8)
    mixed = collate([tiny(source_alpha=alpha, target_alpha=alpha), tiny()])
    assert mixed.target.shape[1] == 3 and mixed.source_alpha is None


def test_other_sizes_are_resized_with_everything_on_them(pairs: list[Sample]) -> None:
    large, small = collate(pairs), collate(pairs, (64, 48))
    assert small.target.shape == (4, 4, 64, 48)
    assert torch.allclose(small.target_joints, large.target_joints / 2, atol=1e-4)
    error = (torch.nn.functional.avg_pool2d(large.source, 2) - small.source).abs().mean()
    assert error < 0.03
    with pytest.raises(DataError, match="multiples of 8"):
        collate(pairs, (60, 44))
    with pytest.raises(DataError, match="at least one"):
        collate([])


def test_everybody_is_on_the_drawn_map_of_the_target() -> None:
    points = np.linspace((20, 30), (60, 110), 18)
    first, second = plain(points, SIZE), plain(points[:, ::-1] * (0.7, 1.2), SIZE)
    image = np.zeros((*SIZE, 3), np.uint8)
    one = Sample(image, image, first, first, "a", "a", "p")
    both = one.replace(people=(first, second))
    alone, crowd = collate([one]), collate([both])
    assert torch.equal(alone.source_map, crowd.source_map)
    assert (crowd.target_map > -1).sum() > (alone.target_map > -1).sum()


def test_batches_can_be_cut_and_moved(pairs: list[Sample]) -> None:
    batch = collate(pairs)
    part = batch[1:3]
    assert len(part) == 2 and part.names == batch.names[1:3]
    assert torch.equal(part.flow, batch.flow[1:3])
    assert equal(batch.to("cpu"), batch)


def test_samples_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(DataError, match="the pictures are"):
        tiny().replace(target_image=np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(DataError, match="a pose is on"):
        tiny().replace(source_pose=plain(np.ones((18, 2)), (32, 16)))
    with pytest.raises(DataError, match="mapping"):
        tiny().replace(mapping=np.zeros((2, 4, 4), np.float32))
    with pytest.raises(DataError, match="mapping"):
        tiny().replace(mapping=np.zeros((2, 4, 4), np.float32), seen=np.zeros((4, 3), np.float32))
    with pytest.raises(DataError, match="alpha"):
        tiny().replace(target_alpha=np.zeros((4, 4), np.uint8))


def test_data_sets_by_name(tmp_path: Path) -> None:
    train, test = (open_dataset("drawn", split=split, size=SIZE) for split in ("train", "test"))
    assert train[0].size == SIZE
    assert {train[i].person for i in range(0, 96, 12)}.isdisjoint(
        {test[i].person for i in range(0, 96, 12)}
    )
    with pytest.raises(SettingsError, match="choose one of"):
        open_dataset("fashion")
    with pytest.raises(SettingsError):
        open_dataset("drawn", split="val")
    with pytest.raises(DataError, match=r"python -m training\.prepare"):
        open_dataset("market", tmp_path)


def test_importing_loads_no_heavy_library() -> None:
    code = (
        "import sys, training.data, training.prepare, training.datasets.drawn\n"
        "print([m for m in ('torch', 'gradio', 'mediapipe', 'tqdm') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert run.stdout.strip() == "[]"


def test_training_draws_the_heat_maps_that_the_pipelines_draw() -> None:
    from reposedm.pipelines import conditions
    from training import batch

    assert batch.HEAT_SIGMA == conditions.HEAT_SIGMA


def test_the_rendered_sample_set_opens_by_name() -> None:
    root = Path(__file__).parents[2] / "assets" / "synthetic"
    pairs = open_dataset("synthetic", root, "train", (64, 44))
    sample = pairs[0]
    assert sample.source_image.shape == (64, 44, 3)
    assert sample.target_pose.drawn.any()
