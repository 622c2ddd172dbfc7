"""The garment swap's pipeline, with tiny networks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.errors import ImageError, PoseError, SettingsError, WeightsError
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.unet import UNet
from reposedm.pipelines.base import Output, drain
from reposedm.pipelines.garment import laid_in, person_picture, swap_inputs, without_region
from reposedm.pipelines.swap import GarmentSwapPipeline
from tests.pipelines.tiny import SIZE, generators, lively, person, tiny_swap

WIDTH, HEIGHT = SIZE


def call(pipe: GarmentSwapPipeline, **changes: object) -> Output:
    photo, pose, _, mask = person()
    region = np.zeros((HEIGHT, WIDTH), np.float32)
    region[30:61, 20:43] = 1
    given = {
        "image": photo, "pose": pose, "garment_image": photo[:, ::-1].copy(),
        "garment_pose": pose.mirrored(), "garment_mask": region[:, ::-1].copy(),
        "region_mask": region, "source_mask": mask, "generators": generators(1),
    }  # fmt: skip
    return pipe(**(given | changes))


def test_only_the_mask_changes_and_it_is_opaque() -> None:
    photo, *_ = person()
    found = call(tiny_swap())
    image = found.images[0]
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[30:61, 20:43] = True
    assert np.array_equal(image[~inside][:, :3], photo[~inside])
    assert (image[..., 3] == np.where(inside, 255, 0)).all()
    assert (image[inside][:, :3] != photo[inside]).any(-1).mean() > 0.9


def test_the_correspondence_shows_the_garment_alone() -> None:
    found = call(tiny_swap()).correspondence
    assert found is not None
    assert found.mapping.shape == (2, 12, 8) and found.visible.shape == (12, 8)
    assert found.visible.min() == 0 and found.visible.max() > 0.3


def test_a_picture_depends_on_its_seed_alone() -> None:
    pipe = tiny_swap(prediction="flow_prediction", learn_variance=False)
    both = call(pipe, generators=generators(3, 4)).images
    assert np.array_equal(both[1], call(pipe, generators=generators(4)).images[0])
    assert (both[0] != both[1]).any()


@pytest.mark.parametrize("change", ["garment", "align", "guidance", "resample"])
def test_everything_told_changes_the_picture(change: str) -> None:
    pipe = tiny_swap()
    photo, *_ = person()
    changed = {
        "garment": {"garment_image": 255 - photo[:, ::-1]},
        "align": {"align": False},
        "guidance": {"guidance_scale": 2.5},
        "resample": {"resample": 1},
    }[change]
    assert (call(pipe, **changed).images[0] != call(pipe).images[0]).any()


def test_the_garment_is_laid_in_under_the_mask_alone() -> None:
    photo, pose, _, mask = person()
    region = np.zeros((HEIGHT, WIDTH), np.float32)
    region[32:56, 24:40] = 1
    inputs = swap_inputs(
        photo, pose, photo, pose, mask=region, garment_mask=np.ones_like(region),
        source_mask=mask, garment_person=None,
    )  # fmt: skip
    bare = without_region(person_picture(inputs.photo, inputs.alpha, 4), inputs.mask)
    assert (bare[0, :, 40, 30] == torch.tensor([0, 0, 0, -1])).all()
    whole = laid_in(bare, torch.cat([inputs.photo, inputs.garment_alpha * 2 - 1], 1), inputs.mask)
    assert torch.equal(whole[:, :3, 32:56, 24:40], inputs.photo[:, :, 32:56, 24:40])
    assert torch.equal(whole * (1 - inputs.mask), bare * (1 - inputs.mask))


def test_guidance_leaves_the_person_in_both_predictions() -> None:
    network = lively(UNet.tiny(extra_channels=9, kept_channels=5), 3)
    one = torch.ones(1, dtype=torch.bool)
    noisy, pose = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    context = [torch.randn(1, 16, n, n) for n in (8, 4, 2)]
    extra = torch.randn(1, 9, 8, 8)

    def said(change: torch.Tensor) -> torch.Tensor:
        t = torch.tensor([500])
        return network(noisy, t, pose, context, extra=change, drop_pose=one, drop_photo=one)

    other_garment, other_person = extra.clone(), extra.clone()
    other_garment[:, 5:] += 1
    other_person[:, :5] += 1
    assert torch.equal(said(extra), said(other_garment))
    assert not torch.allclose(said(extra), said(other_person))


def test_3_channels_and_no_mask_of_the_person_paint_the_whole_region() -> None:
    assert call(tiny_swap(image_channels=3), source_mask=None).images[0][45, 30, 3] == 255


def test_previews_are_whole_photos() -> None:
    photo, pose, _, mask = person()
    region = np.zeros((HEIGHT, WIDTH), np.float32)
    region[30:60, 20:40] = 1
    steps = tiny_swap().stream(
        photo, pose, photo, pose, garment_mask=region, region_mask=region, source_mask=mask,
        preview_every=2,
    )  # fmt: skip
    seen = [step.previews[0] for step in steps if len(step.previews)]
    assert len(seen) == 2 and all(np.array_equal(one[0, :, :3], photo[0]) for one in seen)


def test_what_cannot_be_swapped_is_refused_with_a_sentence() -> None:
    pipe = tiny_swap()
    photo, pose, _, mask = person()
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    with pytest.raises(ImageError, match="mask of the top is empty"):
        call(pipe, region_mask=nothing, region="top")
    with pytest.raises(ImageError, match="top on the garment's picture is empty"):
        call(pipe, garment_mask=nothing, region="top")
    with pytest.raises(ImageError, match="finite"):
        call(pipe, source_mask=mask[1:])
    with pytest.raises(ImageError, match="the garment's picture must be uint8"):
        call(pipe, garment_image=photo[1:])
    with pytest.raises(PoseError, match="garment's pose is for"):
        call(pipe, garment_pose=pose.transformed(1.0, (0.0, 0.0), (WIDTH + 8, HEIGHT)))
    for wrong in ({"resample": 99}, {"resample": True}, {"prompt": "red"}, {"steps": 0}):
        with pytest.raises(SettingsError):
            call(pipe, **wrong)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    pipe = tiny_swap()
    pipe.save_pretrained(root / "swap")
    for name in ("autoencoder", "alignment"):
        getattr(pipe, name).save_pretrained(root / "reposedm" / name)
    return root


def test_shared_networks_are_not_stored_again(saved: Path) -> None:
    folders = {path.name for path in (saved / "swap").iterdir() if path.is_dir()}
    assert folders == {"encoder", "pose_encoder", "unet", "scheduler"}
    again = GarmentSwapPipeline.from_pretrained(saved / "swap")
    theirs, ours = (call(pipe).images[0].astype(int) for pipe in (again, tiny_swap()))
    assert np.abs(theirs - ours).max() <= 3  # stored in 16 bits


def test_another_autoencoder_is_refused(saved: Path, tmp_path: Path) -> None:
    lively(Autoencoder.tiny(4), 9, 0.7).save_pretrained(tmp_path / "autoencoder")
    tiny_swap().alignment.save_pretrained(tmp_path / "alignment")
    with pytest.raises(WeightsError, match="another autoencoder"):
        GarmentSwapPipeline.from_pretrained(saved / "swap", shared=tmp_path)
    with pytest.raises(WeightsError):
        GarmentSwapPipeline.from_pretrained(saved / "swap", shared=tmp_path / "nothing")


def test_networks_of_reposing_do_not_fit() -> None:
    with pytest.raises(WeightsError, match="extra channels are 9 and keep 5, not 4 and 0"):
        pipe = tiny_swap()
        GarmentSwapPipeline(
            pipe.autoencoder, pipe.alignment, pipe.encoder, pipe.pose_encoder,
            UNet.tiny(extra_channels=4), pipe.scheduler, native_size=SIZE,
        )  # fmt: skip


def test_the_stream_ends_in_the_output_of_the_call() -> None:
    pipe = tiny_swap()
    photo, pose, _, mask = person()
    region = np.ones((HEIGHT, WIDTH), np.float32)
    given = {"garment_mask": region, "region_mask": region, "source_mask": mask}
    one = drain(pipe.stream(photo, pose, photo, pose, **given, generators=generators(1)))
    two = pipe(photo, pose, photo, pose, **given, generators=generators(1))
    assert np.array_equal(one.images[0], two.images[0])
