"""The U-Net: shapes, null conditions, and what reaches its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.unet import UNet
from tests.models.networks import SIZES, check_saved, count, dead_parameters, noise, stir


def inputs(
    batch: int = 2, shape: tuple[int, int] = (8, 6), extra: int = 0, seed: int = 0
) -> dict[str, Any]:
    """Random inputs of ``UNet.tiny``; a multiple of ten as the seed keeps the noisy latent."""
    h, w = shape
    found: dict[str, Any] = {
        "noisy": noise(batch, 4, h, w),
        "t": torch.linspace(3, 900, batch),
        "pose_latent": noise(batch, 4, h, w, seed=seed + 1),
        "context": [
            noise(batch, 16, -(-h // 2**level), -(-w // 2**level), seed=seed + 2 + level)
            for level in range(3)
        ],
    }
    if extra:
        found["extra"] = noise(batch, extra, h, w, seed=seed + 7)
    return found


def stirred(**changes: object) -> UNet:
    return stir(UNet.tiny(**changes), amount=0.05).eval()  # type: ignore[return-value]


def mask(*values: bool) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("learn_variance", [True, False])
def test_shapes(size: tuple[int, int], learn_variance: bool) -> None:
    shape = (size[0] // 8, size[1] // 8)
    unet = stirred(learn_variance=learn_variance)
    with torch.no_grad():
        found = unet(**inputs(1, shape))
    assert found.shape == (1, 8 if learn_variance else 4, *shape)


@pytest.mark.parametrize("shape", [(32, 22), (9, 7), (5, 1), (1, 1)])
def test_odd_sizes_come_back_as_they_went_in(shape: tuple[int, int]) -> None:
    assert stirred()(**inputs(1, shape)).shape[2:] == shape


@pytest.mark.parametrize("levels", [1, 2])
def test_the_last_context_serves_deeper_levels(levels: int) -> None:
    unet = stirred(context_dims=(16,) * levels)
    given = inputs()
    given["context"] = given["context"][:levels]
    found = unet(**given)
    given["context"][-1] = given["context"][-1] + 1
    assert not torch.allclose(unet(**given), found)


def test_it_predicts_zero_at_initialisation() -> None:
    assert not UNet.tiny()(**inputs()).any()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_of_context_matters(level: int) -> None:
    unet, given = stirred(), inputs()
    found = unet(**given)
    given["context"][level] = noise(*given["context"][level].shape, seed=99)
    assert not torch.allclose(unet(**given), found)


def test_where_a_feature_is_matters() -> None:
    unet, given = stirred(), inputs()
    found = unet(**given)
    given["context"] = [level.flip(3) for level in given["context"]]
    assert not torch.allclose(unet(**given), found)


def test_a_dropped_photo_leaves_no_trace() -> None:
    unet = stirred(extra_channels=4)
    one, other = inputs(extra=4), inputs(extra=4, seed=10)
    other["pose_latent"] = one["pose_latent"]
    dropped = {"drop_photo": mask(True, True)}
    assert torch.equal(unet(**one, **dropped), unet(**other, **dropped))
    assert not torch.allclose(unet(**one), unet(**other))
    broken = {**one, "context": [level * torch.nan for level in one["context"]]}
    assert unet(**broken, **dropped).isfinite().all()


def test_a_dropped_pose_leaves_no_trace() -> None:
    # Extra latents are warped by the pose, so they must go with it.
    unet = stirred(extra_channels=4)
    one, other = inputs(extra=4), inputs(extra=4, seed=10)
    other["context"] = one["context"]
    dropped = {"drop_pose": mask(True, True)}
    assert torch.equal(unet(**one, **dropped), unet(**other, **dropped))
    assert not torch.allclose(unet(**one), unet(**other))


def test_conditions_are_dropped_for_each_sample_alone() -> None:
    unet, given = stirred(), inputs()
    full = unet(**given)
    none = unet(**given, drop_photo=mask(True, True), drop_pose=mask(True, True))
    mixed = unet(**given, drop_photo=mask(False, True), drop_pose=mask(False, True))
    assert torch.equal(mixed[0], full[0])
    assert torch.equal(mixed[1], none[1])
    nothing = mask(False, False)
    assert torch.equal(unet(**given, drop_photo=nothing, drop_pose=nothing), full)


def test_photo_and_pose_have_nulls_of_their_own() -> None:
    unet, given, drop = stirred(), inputs(), mask(True, True)
    found = [
        unet(**given), unet(**given, drop_photo=drop), unet(**given, drop_pose=drop),
        unet(**given, drop_photo=drop, drop_pose=drop),
    ]  # fmt: skip
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(found[i], found[j], atol=1e-4)


def with_source(given: dict[str, Any]) -> dict[str, Any]:
    """The same inputs, and features of a photo as it is."""
    return given | {"source": [level.flip(2) for level in given["context"]]}


@pytest.mark.parametrize("way", ["context", "source"])
def test_the_photo_is_seen_both_aligned_and_as_it_is(way: str) -> None:
    unet, given = stirred(source_context=True), with_source(inputs())
    found = unet(**given)
    for level in range(3):
        changed = [*given[way]]
        changed[level] = changed[level].roll(1, 3)
        assert not torch.allclose(unet(**{**given, way: changed}), found)
    drop = {"drop_photo": mask(True, True)}
    broken = {**given, way: [level * torch.nan for level in given[way]]}
    assert torch.equal(unet(**broken, **drop), unet(**given, **drop))


def test_levels_without_attention_have_no_place_for_the_photo_as_it_is() -> None:
    unet = stirred(source_context=True, cross_attention=(False, True, True))
    given = with_source(inputs())
    changed = [given["source"][0].flip(3), *given["source"][1:]]
    assert torch.equal(unet(**{**given, "source": changed}), unet(**given))


def test_grids_that_nothing_is_aligned_to_attend_to_the_photo_alone() -> None:
    settings: dict[str, Any] = {"context_dims": (16, 16), "source_context": True}
    unet, given = stirred(**settings), with_source(inputs())
    given = {**given, "context": given["context"][:2], "source": given["source"][:2]}
    assert unet(**given).isfinite().all()
    assert unet.middle.blocks[0].sum is None


def test_every_parameter_learns_nulls_included() -> None:
    unet = stirred(extra_channels=4, source_context=True)
    half = {"drop_photo": mask(True, False), "drop_pose": mask(True, False)}
    unet(**with_source(inputs(extra=4)), **half).square().sum().backward()
    assert dead_parameters(unet) == []


def test_time_matters_and_need_not_be_whole() -> None:
    unet, given = stirred(), inputs()
    found = []
    for t in (torch.tensor([10, 10]), torch.tensor([10.0, 10.0]), torch.tensor([10.5, 10.5])):
        found.append(unet(**(given | {"t": t})))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-6)


def test_a_batch_is_its_members() -> None:
    unet, given = stirred(), inputs(3)
    with torch.no_grad():
        together = unet(**given)
        for i in range(3):
            one = {
                key: [level[i : i + 1] for level in value] if key == "context" else value[i : i + 1]
                for key, value in given.items()
            }
            assert torch.allclose(unet(**one), together[i : i + 1], atol=1e-5)


def test_the_same_input_gives_the_same_result() -> None:
    unet = stirred()
    assert torch.equal(unet(**inputs()), unet(**inputs()))


def test_bf16_is_close_to_fp32() -> None:
    unet = stirred()
    with torch.no_grad():
        exact = unet(**inputs())
        with torch.autocast("cpu", torch.bfloat16):
            rough = unet(**inputs()).float()
    assert rough.isfinite().all()
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_channels_last_changes_nothing() -> None:
    unet, given = stirred(), inputs()
    with torch.no_grad():
        before = unet(**given)
        unet.to(memory_format=torch.channels_last)
        given["noisy"] = given["noisy"].contiguous(memory_format=torch.channels_last)
        assert torch.allclose(unet(**given), before, atol=1e-5)


def test_sizes() -> None:
    assert count(UNet.tiny()) < 0.3e6
    assert 10e6 < count(UNet.small()) < 13e6
    with torch.device("meta"):
        assert 130e6 < count(UNet.paper()) < 160e6


def test_saved_and_loaded(tmp_path: Path) -> None:
    check_saved(stirred(extra_channels=5, gated=(1,), prediction="flow_prediction"), tmp_path)


@pytest.mark.parametrize("learn_variance", [True, False])
def test_gates_add_the_warped_latents(learn_variance: bool) -> None:
    unet = stirred(extra_channels=5, gated=(1,), learn_variance=learn_variance)
    given = inputs(extra=5)
    with torch.no_grad():
        unet.gates.weight.zero_()
        unet.gates.bias.zero_()
        closed = unet(**given)
        unet.gates.bias.copy_(torch.tensor([1.0, 0, -2, 0]))
        opened = unet(**given)
        dropped = unet(**given, drop_photo=mask(True, False))
    assert closed.shape[1] == (8 if learn_variance else 4)
    added = torch.zeros_like(closed)
    added[:, 0], added[:, 2] = given["extra"][:, 1], -2 * given["extra"][:, 3]
    assert torch.allclose(opened, closed + added, atol=1e-6)
    assert torch.allclose(dropped[1], opened[1], atol=1e-6)
    assert not torch.allclose(dropped[0], opened[0])  # the learned null went through


def test_gates_are_closed_before_training() -> None:
    torch.manual_seed(0)
    unet, given = UNet.tiny(extra_channels=4, gated=(0,)), inputs(extra=4)
    assert not unet(**given).any()
    torch.nn.init.normal_(unet.out[2].weight)
    unet(**given).square().sum().backward()
    assert unet.gates.weight.grad.any()  # and training opens them


@pytest.mark.parametrize(
    "changes",
    [
        {"gated": (0,)}, {"extra_channels": 4, "gated": (1,)}, {"extra_channels": 4, "gated": 0},
        {"extra_channels": 4, "gated": (-1,)}, {"extra_channels": 4, "gated": (0.5,)},
        {"latent_channels": 10**9}, {"latent_channels": 0}, {"latent_channels": "4"},
        {"pose_channels": 10**9}, {"extra_channels": -1}, {"widths": (10**9, 8, 8)},
        {"widths": ()}, {"widths": (16,) * 7, "attention": (True,) * 7}, {"widths": (16, 24, 28)},
        {"widths": 16}, {"attention": (True, False)}, {"attention": (1, 0, 1)}, {"blocks": 0},
        {"context_dims": (16,) * 4}, {"context_dims": (10**9,)}, {"context_dims": ()},
        {"head_width": 7}, {"head_width": 10**9}, {"prediction": "noise"}, {"learn_variance": 2},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        UNet.tiny(**changes)


def test_conditions_that_do_not_fit_are_refused() -> None:
    given = inputs()
    with pytest.raises(SettingsError, match="needs 3 levels of context, not 2"):
        UNet.tiny()(**(given | {"context": given["context"][:2]}))
    with pytest.raises(SettingsError, match="needs 4 extra channels"):
        UNet.tiny(extra_channels=4)(**given)
    with pytest.raises(SettingsError, match="needs the photo as it is"):
        UNet.tiny(source_context=True)(**given)
    with pytest.raises(SettingsError, match="takes no source"):
        UNet.tiny()(**with_source(given))
    with pytest.raises(SettingsError, match="takes no extra channels"):
        UNet.tiny()(**given, extra=noise(2, 4, 8, 6))
