"""The garment swap's pipeline, with tiny networks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.errors import ImageError, PoseError, SettingsError, WeightsError
from reposedm.pipelines.base import Output, drain
from reposedm.pipelines.garment import (
    Fitted,
    known_share,
    laid_in,
    person_picture,
    swap_inputs,
    without_region,
)
from reposedm.pipelines.swap import SHARED, GarmentSwapPipeline
from tests.pipelines.tiny import SIZE, generators, person, tiny_swap, write_shared

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


def test_only_the_mask_changes_and_the_person_is_whole() -> None:
    photo, *_, mask = person()
    found = call(tiny_swap())
    image = found.images[0]
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[30:61, 20:43] = True
    assert np.array_equal(image[~inside][:, :3], photo[~inside])
    assert np.array_equal(image[~inside][:, 3], np.rint(mask[~inside] * 255))
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


def test_the_garments_photo_as_it_is_is_seen_where_the_network_wants_it() -> None:
    pipe = tiny_swap(source=True)
    image = call(pipe).images[0]
    with torch.no_grad():
        for value in pipe.encoder.parameters():
            value.mul_(1.5)
    assert (call(pipe).images[0] != image).any()


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


def test_what_is_known_is_the_person_and_the_garment() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1
    garment = torch.full((1, 4, 16, 16), -1.0)
    garment[:, 3, :8] = 1
    found = Fitted(garment, torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 2, 2), [])
    assert known_share(found, mask)[0, 0].tolist() == [[1, 1], [1, 0]]


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
    write_shared(pipe, root / "reposedm")
    return root


def test_shared_networks_are_not_stored_again(saved: Path) -> None:
    folders = {path.name for path in (saved / "swap").iterdir() if path.is_dir()}
    assert folders == {"finest", "scheduler"}
    again = GarmentSwapPipeline.from_pretrained(saved / "swap")
    theirs, ours = (call(pipe).images[0].astype(int) for pipe in (again, tiny_swap()))
    assert np.abs(theirs - ours).max() <= 3  # stored in 16 bits


def test_what_the_swap_learned_is_stored_and_nothing_else(saved: Path, tmp_path: Path) -> None:
    """Reposing's own finest grid is another one, and is not touched."""
    pipe = tiny_swap()
    with torch.no_grad():
        pipe.unet.stem.weight.zero_()
    write_shared(pipe, tmp_path)
    again = GarmentSwapPipeline.from_pretrained(saved / "swap", shared=tmp_path)
    assert again.unet.stem.weight.any()
    assert torch.equal(again.unet.middle.blocks[0].convolutions.norm1.weight,
                       pipe.unet.middle.blocks[0].convolutions.norm1.weight)  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_other_networks_of_reposing_are_refused(tmp_path: Path, name: str) -> None:
    pipe = tiny_swap(source=True)
    pipe.save_pretrained(tmp_path / "swap")
    with torch.no_grad():
        for value in getattr(pipe, name).parameters():
            value.mul_(1.5)
    write_shared(pipe, tmp_path / "reposedm")
    with pytest.raises(WeightsError, match="belong to other weights of RePoseDM"):
        GarmentSwapPipeline.from_pretrained(tmp_path / "swap")
    with pytest.raises(WeightsError):
        GarmentSwapPipeline.from_pretrained(tmp_path / "swap", shared=tmp_path / "nothing")


def test_a_network_that_is_not_shown_the_garment_does_not_fit() -> None:
    with pytest.raises(WeightsError, match="extra channels are 4 or 5"):
        tiny_swap(gated=False, extra=False)


def test_the_stream_ends_in_the_output_of_the_call() -> None:
    pipe = tiny_swap()
    photo, pose, _, mask = person()
    region = np.ones((HEIGHT, WIDTH), np.float32)
    given = {"garment_mask": region, "region_mask": region, "source_mask": mask}
    one = drain(pipe.stream(photo, pose, photo, pose, **given, generators=generators(1)))
    two = pipe(photo, pose, photo, pose, **given, generators=generators(1))
    assert np.array_equal(one.images[0], two.images[0])
