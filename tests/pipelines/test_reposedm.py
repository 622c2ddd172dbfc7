"""RePoseDM and B1: guidance, alphas, settings; what all methods share is in test_contract."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler

from reposedm.diffusion.interaction import InteractionField
from reposedm.errors import SettingsError, WeightsError
from reposedm.jobs.methods import unload_methods
from reposedm.jobs.repose import ALL_THE_SAME, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.unet import UNet
from reposedm.pipelines import loading
from reposedm.pipelines.base import drain
from reposedm.pipelines.baselines import PIDMPipeline
from reposedm.pipelines.conditions import estimator_heat, grid_heat, inputs_of, map_picture
from reposedm.pipelines.output import picture
from reposedm.pipelines.reposedm import RePoseDMPipeline
from tests import drawn
from tests.pipelines.tiny import SIZE, generators, parts, person, tiny_pidm, tiny_reposedm


def images(method: Any, *seeds: int, mask: bool = True, **options: Any) -> list[np.ndarray]:
    photo, source, target, alpha = person()
    return list(
        method(
            photo,
            source,
            target,
            source_mask=alpha if mask else None,
            generators=generators(*(seeds or (0,))),
            **options,
        ).images
    )


@pytest.fixture(scope="module")
def full() -> RePoseDMPipeline:
    return tiny_reposedm()


def test_pose_guidance_0_is_exactly_the_pipeline_without_estimator(full: RePoseDMPipeline) -> None:
    seen: list[int] = []
    hook = full.estimator.register_forward_hook(lambda *_: seen.append(1))
    without = images(full, pose_guidance_scale=0)
    hook.remove()
    assert seen == []
    assert np.array_equal(without, images(tiny_reposedm(steer=False)))


def test_pose_guidance_changes_the_picture_and_more_changes_more(full: RePoseDMPipeline) -> None:
    plain, little, much = (
        images(full, pose_guidance_scale=scale)[0].astype(int) for scale in (0, 0.01, 0.1)
    )
    assert 0 < np.abs(little - plain).mean() < np.abs(much - plain).mean()


def test_pose_guidance_lowers_the_energy_of_the_result() -> None:
    photo, source, target, mask = person()
    method = tiny_reposedm(image_channels=3)
    field = InteractionField(method.autoencoder, method.estimator)
    wanted = torch.from_numpy(estimator_heat(target, SIZE))[None]
    energies = []
    for scale in (0.0, 1.0):
        found: list[torch.Tensor] = []
        hook = method.autoencoder.decoder.register_forward_pre_hook(
            lambda _, given, found=found: found.append(given[0].detach())
        )
        method(photo, source, target, source_mask=mask, pose_guidance_scale=scale)
        hook.remove()
        energies.append(float(field.energy(found[-1], wanted).detach()))
    assert energies[1] < energies[0]


def test_the_range_of_steps_with_pose_guidance(monkeypatch: pytest.MonkeyPatch) -> None:
    method = tiny_reposedm(pose_guidance_range=(0.5, 0.8))
    seen: list[int] = []
    method.estimator.register_forward_hook(lambda *_: seen.append(1))
    images(method, steps=10)
    assert len(seen) == 3  # steps 6, 7 and 8, whose middles are .55, .65 and .75


def test_an_explicit_pose_guidance_without_estimator_or_lambda_is_refused() -> None:
    for method in (tiny_reposedm(steer=False), tiny_reposedm(pose_guidance_strength=0.0)):
        assert "pose_guidance_scale" not in method.capabilities.controls
        images(method)
        with pytest.raises(SettingsError, match="no calibrated pose estimator"):
            images(method, pose_guidance_scale=1)


def test_guidance_1_computes_no_unconditional_prediction(full: RePoseDMPipeline) -> None:
    sizes: list[int] = []
    hook = full.unet.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    images(full, 1, 2, guidance_scale=1, steps=2)
    images(full, 1, 2, guidance_scale=2, steps=2)
    hook.remove()
    assert sizes == [2, 2, 4, 4]


def test_null_conditions_hide_photo_and_pose() -> None:
    """With a guidance of 0 neither photo nor pose can matter (the alpha is the network's own)."""
    method, (photo, source, target, mask) = tiny_reposedm(), person()
    options: dict[str, Any] = {"guidance_scale": 0, "generators": None}
    first = method(photo, source, target, source_mask=mask, **options).images[0]
    other = method(255 - photo, source, source, source_mask=mask, **options).images[0]
    assert np.array_equal(first, other)
    options["guidance_scale"] = 1
    first = method(photo, source, target, source_mask=mask, **options).images[0]
    for changed in ((255 - photo, target), (photo, source)):
        other = method(changed[0], source, changed[1], source_mask=mask, **options).images[0]
        assert not np.array_equal(first, other)


def test_separate_scales_only_for_weights_trained_that_way(full: RePoseDMPipeline) -> None:
    for method in (full, tiny_pidm()):
        with pytest.raises(SettingsError, match="not trained with pose and photo dropped"):
            images(method, pose_scale=2, appearance_scale=2)
    for method in (tiny_reposedm(separate_guidance=True), tiny_pidm(separate_guidance=True)):
        same = images(method, pose_scale=2, appearance_scale=2)
        joint = images(method, guidance_scale=2)
        assert np.abs(np.array(same, int) - joint).max() <= 1
        assert not np.array_equal(images(method, pose_scale=2, appearance_scale=4), same)
        for wrong in ({"pose_scale": 2}, {"pose_scale": 2, "appearance_scale": 2,
                                          "guidance_scale": 2}):  # fmt: skip
            with pytest.raises(SettingsError, match="give pose_scale and appearance_scale"):
                images(method, **wrong)


@pytest.mark.parametrize("make", [tiny_reposedm, tiny_pidm])
def test_without_an_alpha_of_its_own_the_mask_is_warped(make: Any) -> None:
    method = make(image_channels=3)
    photo, source, _, mask = person()
    # To the same pose nothing moves: alignment's last layer is put back to zero.
    if hasattr(method, "alignment"):
        for aggregator in method.alignment.aggregators:
            torch.nn.init.zeros_(aggregator.step.weight)
            torch.nn.init.zeros_(aggregator.step.bias)
    output = method(photo, source, source, source_mask=mask)
    assert np.array_equal(output.images[0][..., 3], np.rint(mask * 255).astype(np.uint8))
    assert output.notes == ()
    opaque = method(photo, source, source)
    assert (opaque.images[0][..., 3] == 255).all()
    assert len(opaque.notes) == 1 and "No mask" in opaque.notes[0]


def test_four_channels_are_colour_and_alpha() -> None:
    decoded = torch.tensor([-1.0, 0.0, 1.5, 1.0]).reshape(4, 1, 1)
    assert picture(decoded, None).tolist() == [[[0, 128, 255, 255]]]
    half = torch.full((1, 1, 1, 1), 0.5)
    assert picture(decoded[:3], half).tolist() == [[[0, 128, 255, 128]]]


def test_an_edge_that_is_not_sure_becomes_firmer() -> None:
    color = torch.tensor([0.8, -0.4, 0.2])
    for alpha, firm in ((1.0, 255), (0.9, 255), (0.6, 179), (0.5, 128), (0.4, 77), (0.2, 0)):
        *found, edge = picture(
            torch.cat([color, torch.tensor([2 * alpha - 1])]).reshape(4, 1, 1), None
        )[0, 0].tolist()
        assert edge == pytest.approx(firm, abs=1)
        assert found == pytest.approx(((color + 1) / 2 * 255).tolist(), abs=1)


@pytest.mark.parametrize(
    "options",
    [
        {"pose": "map_latent"},
        {"extra": False},
        {"gated": True},
        {"source": True},
        {"alignment": {"initial": "limbs"}},
        {"alignment": {"encoder_input": "autoencoder", "latent_channels": 4}},
        {"alignment": {"encoder_input": "autoencoder", "latent_channels": 4}, "source": True},
        {"alignment": {"encoder_input": "rgb", "photo_channels": 4}},
        {"alignment": {"half_resolution": True}},
        {"prediction": "v_prediction", "image_channels": 3},
        {"prediction": "sample", "learn_variance": False},
    ],
    ids=str,
)
def test_every_configuration_of_the_networks_runs(options: dict[str, Any]) -> None:
    (made,) = images(tiny_reposedm(**options), steps=2)
    assert made[..., :3].std() > 1


def test_b1_sees_the_photo_through_latents_too() -> None:
    shared = parts()
    encoder = PhotoEncoder(
        photo_channels=4, heat_channels=0, features=16, width=16, blocks=1, resolution="latent"
    )
    method = PIDMPipeline(**shared, encoder=encoder.eval(), native_size=SIZE, steps=2)
    assert images(method)[0].shape == (96, 64, 4)


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_public_autoencoders_stand_in(kind: str, tmp_path: Path) -> None:
    if kind == "kl":
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4,
                  "up_block_types": ("UpDecoderBlock2D",) * 4}  # fmt: skip
        vae: Any = AutoencoderKL(**blocks, block_out_channels=(4,) * 4, norm_num_groups=2)
    else:
        vae = AutoencoderTiny(
            encoder_block_out_channels=(4,) * 4, decoder_block_out_channels=(4,) * 4,
            num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4,
        )  # fmt: skip
    method = tiny_reposedm(image_channels=3)
    method = RePoseDMPipeline(**method.components | {"autoencoder": vae.eval()}, native_size=SIZE)
    method.save_pretrained(tmp_path / "w")
    loaded = RePoseDMPipeline.from_pretrained(tmp_path / "w")
    assert type(loaded.autoencoder) is type(vae)
    assert np.array_equal(images(loaded, steps=2), images(method, steps=2))


@pytest.mark.parametrize(
    "settings",
    [
        {"native_size": (60, 96)}, {"native_size": (8, 8)}, {"native_size": 64},
        {"native_size": (10**9, 96)}, {"native_size": "ab"}, {"sampler": "plms"},
        {"sampler": "euler"}, {"steps": 0}, {"steps": 2.5}, {"guidance_scale": -1},
        {"guidance_scale": float("nan")}, {"guidance_scale": None},
        {"pose_guidance_strength": float("inf")}, {"pose_guidance_strength": "1"},
        {"pose_guidance_range": (0.8, 0.2)}, {"pose_guidance_range": (0, 2)},
        {"pose_guidance_range": 1}, {"separate_guidance": 1}, {"pose_guidance_moves": 0},
        {"pose_guidance_moves": 1.5}, {"pose_guidance_moves": 51},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_no_run_could_use_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(WeightsError):
        tiny_reposedm(**settings)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unet": UNet.tiny(latent_channels=8)}, "works on 8 channels, the autoencoder has 4"),
        ({"unet": UNet.tiny(pose_channels=8)}, "takes a pose of 8 channels"),
        ({"unet": UNet.tiny(extra_channels=3)}, "extra channels are 0 or"),
        ({"unet": UNet.tiny(prediction="flow_prediction")}, "scheduler does not fit"),
        ({"unet": UNet.tiny(source_context=True)}, "needs an encoder of the photo"),
        ({"encoder": PhotoEncoder.tiny()}, "of use to U-Nets with source_context alone"),
        (
            {"unet": UNet.tiny(source_context=True), "encoder": PhotoEncoder(width=16)},
            r"levels of \[128, 128, 128\] channels, the U-Net attends to \[16, 16, 16\]",
        ),
    ],
)
def test_networks_that_do_not_fit_each_other_are_refused(
    changed: dict[str, Any], said: str
) -> None:
    components = tiny_reposedm(steer=False).components | changed
    with pytest.raises(WeightsError, match=said):
        RePoseDMPipeline(**components, native_size=SIZE)


def test_the_training_scheduler_is_never_used_up() -> None:
    method = tiny_reposedm(steer=False)
    before = {name: value for name, value in vars(method.scheduler).items() if name != "betas"}
    images(method, sampler="dpm++")
    images(method, sampler="ddpm")
    after = vars(method.scheduler)
    for name, value in before.items():
        same = torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name]
        assert same, name


def test_a_run_that_goes_to_infinity_says_so() -> None:
    method = tiny_reposedm(steer=False)
    with torch.no_grad():
        method.unet.out[-1].bias.fill_(1e38)
    with pytest.raises(SettingsError, match="went to infinity"):
        images(method, guidance_scale=100)


def test_inputs_are_what_their_names_say() -> None:
    photo, source, target, mask = person()
    given = inputs_of(photo, source, target, mask)
    assert given.photo.shape == (1, 3, 96, 64)
    assert given.photo.min() >= -1 and given.photo.max() <= 1
    assert given.source_heat.shape == given.target_heat.shape == (1, 18, 12, 8)
    assert given.initial.shape == (1, 2, 12, 8)
    assert given.target_map is not None and given.target_map.shape == (1, 3, 96, 64)
    assert inputs_of(photo, source, source, mask).initial.abs().max() == 0
    # A joint at (4 + 8 c, 4 + 8 r) is at the centre of its cell: the heat there is exactly 1.
    points = np.array(source.points)
    points[4] = (20, 44)
    centred = source.replace(points=points)
    assert grid_heat(centred, SIZE)[4, 5, 2] == 1
    assert map_picture(source, (96, 64)).shape == (64, 96, 3)


def test_the_estimators_target_peaks_on_the_joints() -> None:
    _, source, _, _ = person()
    points = np.array(source.points)
    points[4] = (21, 45)
    heat = estimator_heat(source.replace(points=points), SIZE)
    assert heat.shape == (17, 48, 32)
    wrist = heat[10]  # COCO's right wrist
    assert wrist[22, 10] == 1 == wrist.max()
    # The mean of deviations 2 and 4, two cells away.
    assert wrist[22, 12] == pytest.approx((np.exp(-0.5) + np.exp(-0.125)) / 2)


@pytest.mark.parametrize("name", ["reposedm", "pidm"])
def test_the_app_finds_it_where_its_weights_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    assert "python -m training.train" in loading.unavailable(name)
    method = tiny_reposedm() if name == "reposedm" else tiny_pidm()
    method.save_pretrained(tmp_path / name)
    assert loading.unavailable(name) == ""
    loaded = loading.load_method(name).capabilities
    assert loaded.native_size == SIZE
    assert loading.capabilities(name) == loaded  # read without the class


def test_a_job_runs_it_from_photo_to_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    tiny_reposedm().save_pretrained(tmp_path / "reposedm")
    image, pose, mask = drawn.photo(150, 200)
    settings = ReposeSettings(method="reposedm", seed=3, count=2, steps=3, pose_guidance_scale=2)
    target = drawn.arms_up(pose)
    points = target.points.copy()
    points[[4, 7]] = points[[3, 6]] + 0.1 * (points[[4, 7]] - points[[3, 6]])  # towards the camera
    try:
        job = repose(image, pose, target.replace(points=points), settings, source_mask=mask)
        stages = []
        result = None
        while result is None:
            try:
                stages.append(next(job).stage)
            except StopIteration as stop:
                result = stop.value
    finally:
        unload_methods()
    assert stages[2:7] == ["align", "denoise", "denoise", "denoise", "decode"]
    assert [made.shape for made in result.images] == [image.shape] * 2
    left, top, right, bottom = result.frame.box  # the photo's texture has its resolution
    assert result.frame.size == (right - left, bottom - top) and result.seeds == [3, 4]
    assert not np.array_equal(*result.images)
    assert ALL_THE_SAME not in result.notes


def test_pictures_that_the_photo_decides_are_said_to_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    tiny_reposedm().save_pretrained(tmp_path / "reposedm")
    image, pose, mask = drawn.photo(150, 200)
    settings = ReposeSettings(method="reposedm", seed=3, count=2, steps=2)
    try:
        same, drawn_anew = (
            drain(repose(image, pose, drawn.arms_up(pose), chosen, source_mask=mask))
            for chosen in (settings, dataclasses.replace(settings, texture=False))
        )
    finally:
        unload_methods()
    assert np.array_equal(*same.images) and ALL_THE_SAME in same.notes
    assert not np.array_equal(*drawn_anew.images) and ALL_THE_SAME not in drawn_anew.notes


def test_options_of_diffusers_that_would_weaken_the_check_are_refused(tmp_path: Path) -> None:
    method = tiny_pidm()
    with pytest.raises(SettingsError, match="use_safetensors is not an option"):
        PIDMPipeline.from_pretrained(tmp_path, use_safetensors=False)
    with pytest.raises(SettingsError, match="safe_serialization is not an option"):
        method.save_pretrained(tmp_path / "w", safe_serialization=False)


def test_publishing_without_a_network_keeps_the_folder_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "out"
    with pytest.raises(WeightsError, match="hf auth login") as caught:
        tiny_pidm().push_to_hub("somebody/weights", folder=folder, token="hf_none")
    assert str(folder) in str(caught.value) and len(str(caught.value)) < 600
    assert PIDMPipeline.from_pretrained(folder).config.steps == 4
    with pytest.raises(WeightsError, match="not the name of a repository"):
        tiny_pidm().push_to_hub("no/such/../name", token="hf_none")


def test_the_same_networks_serve_both_pipelines_schedules() -> None:
    """The paper's schedule is the default of the scheduler that training uses."""
    config = DDPMScheduler().config
    assert (config.beta_start, config.beta_end, config.num_train_timesteps) == (1e-4, 2e-2, 1000)
    assert config.beta_schedule == "linear"
