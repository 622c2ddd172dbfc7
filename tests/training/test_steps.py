import dataclasses
import math

import pytest
import torch

from reposedm.diffusion.prediction import level_at
from reposedm.models.alignment import Alignment
from training.components import build
from training.config import load_config
from training.draws import Draws
from training.ema import Average
from training.field import calibrate, gradient_shift, target_picture
from training.loader import Stream, TrainingBatch
from training.steps import draws_for, training_step
from training.steps.alignment import alignment_loss
from training.steps.autoencoder import latent_statistics
from training.steps.diffusion import dropped, loss_weight

SMALL = ["data.size=[64,64]", "stages.diffusion.batch=3", "stages.estimator.batch=3"]


def setting(*overrides: str, stage="diffusion"):
    torch.manual_seed(0)
    config = load_config("tiny", [*SMALL, *overrides])
    components = build(config)
    stream = Stream(config, stage)
    (batch,) = stream.some(1)
    return components, batch, draws_for(components, stage, stream.places(0), "cpu")


@pytest.mark.parametrize("stage", ["autoencoder", "estimator", "alignment", "diffusion"])
def test_each_stage_trains_its_networks_and_no_other(stage: str) -> None:
    components, batch, draws = setting(stage=stage)
    parts = components.prepare(stage)
    if stage == "alignment":  # its last layer is zero, so nothing below learns in the first step
        torch.nn.init.normal_(components.alignment.aggregators[0].step.weight, std=0.01)
    loss, logs = training_step(stage, components, batch, draws)
    loss.backward()
    assert math.isfinite(loss.detach()) and all(value.ndim == 0 for value in logs.values())
    for name, module in components.networks.items():
        grads = [p.grad for p in module.parameters() if p.requires_grad]
        assert bool(grads) == (name in parts)
        assert all(p.grad is None for p in module.parameters() if not p.requires_grad)
        # DDP needs every trained parameter in every step.
        assert all(grad is not None for grad in grads)
    expected = {"diffusion": {"unet", "pose_encoder", "alignment"}}.get(stage, {stage})
    assert set(parts) == expected


@pytest.mark.parametrize("method", ["b1", "b2"])
def test_baselines(method: str) -> None:
    overrides = [f"method={method}", "diffusion.guided=false", "stages.alignment.steps=0",
                 "stages.estimator.steps=0"]  # fmt: skip
    if method == "b1":
        overrides.append("diffusion.joint_alignment=false")
        overrides.append("models.encoder={preset: tiny}")
    components, batch, draws = setting(*overrides)
    parts = components.prepare("diffusion")
    assert ("encoder" in parts) == (method == "b1")
    assert components.estimator is None
    loss, logs = training_step("diffusion", components, batch, draws)
    loss.backward()
    assert "shift" not in logs
    assert all(p.grad is not None for p in parts.parameters() if p.requires_grad)


def test_frozen_alignment_still_trains_the_levels_that_only_the_unet_reads() -> None:
    components, batch, draws = setting("diffusion.joint_alignment=false")
    components.prepare("diffusion")
    trained = {k for k, p in components.alignment.named_parameters() if p.requires_grad}
    assert trained and all(key.startswith("encoder.down.") for key in trained)
    training_step("diffusion", components, batch, draws)[0].backward()
    assert components.alignment.encoder.down[0][0].weight.grad is not None


def test_an_untrained_denoiser_has_the_loss_of_saying_nothing() -> None:
    # Its last layer is zero: eps_theta = 0, so L_mse is the mean square of the noise, exactly.
    components, batch, draws = setting("diffusion.joint_alignment=false")
    components.prepare("diffusion")
    _, logs = training_step("diffusion", components, batch, draws)
    again = draws_for(components, "diffusion", range(3), "cpu").normal((4, 8, 8))
    assert float(logs["mse"]) == pytest.approx(float(again.square().mean()), rel=1e-6)


def test_channels_and_the_head_weigh_as_they_are_told() -> None:
    components, batch, draws = setting(
        "diffusion.joint_alignment=false", "diffusion.power=1", "diffusion.head=3"
    )
    components.prepare("diffusion")
    deviation = torch.tensor([1.0, 2.0, 4.0, 8.0])
    components.autoencoder.latent_std.copy_(deviation)
    _, logs = training_step("diffusion", components, batch, draws)
    noise = draws_for(components, "diffusion", range(3), "cpu").normal((4, 8, 8))
    weight = loss_weight(components, batch).expand_as(noise)
    wanted = ((noise.square() * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))).mean()
    assert float(logs["mse"]) == pytest.approx(float(wanted), rel=1e-5)
    assert torch.allclose(weight[:, 3], 8 * weight[:, 0])
    at_head = batch.target_heat[:, 0] > 0.9
    assert at_head.any() and (weight[:, 0][at_head] > 2.8).all()
    assert float(weight[:, 0].min()) == pytest.approx(1, abs=1e-3)  # far from the head


def test_guided_noise_moves_the_target_by_the_shift() -> None:
    components, batch, draws = setting(
        "diffusion.joint_alignment=false", "diffusion.dropout_rate=0"
    )
    components.prepare("diffusion")
    torch.nn.init.normal_(components.estimator.final_layers[1].weight, std=0.5)
    components.strength = calibrate(components, batch, draws)
    assert components.strength > 0
    draws = draws_for(components, "diffusion", range(3), "cpu")
    _, logs = training_step("diffusion", components, batch, draws)
    draws = draws_for(components, "diffusion", range(3), "cpu")
    noise = draws.normal((4, 8, 8))
    t = draws.integers(1000)
    level = level_at(components.scheduler, t)
    clean = components.autoencoder.encode(target_picture(batch, 4)).detach()
    noisy = level.alpha * clean + level.sigma * noise
    zero = torch.zeros_like(noise)
    shift = gradient_shift(components, batch, noisy, zero, noise=noise, level=level)
    assert float(shift.norm()) > 0
    assert (shift.flatten(1).norm(dim=1) <= noise.flatten(1).norm(dim=1) * 1.0001).all()
    wanted = (noise + shift).square().mean()
    assert float(logs["mse"]) == pytest.approx(float(wanted), rel=1e-4)


def test_flow_matching_runs_and_has_no_variance() -> None:
    components, batch, draws = setting(
        "models.unet.learn_variance=false", "models.unet.prediction=flow_prediction",
        "diffusion.vlb_weight=0",
    )  # fmt: skip
    components.prepare("diffusion")
    loss, logs = training_step("diffusion", components, batch, draws)
    assert math.isfinite(loss.detach()) and "vlb" not in logs


def test_paper_interaction_runs() -> None:
    components, batch, draws = setting("diffusion.paper_interaction=true")
    components.prepare("diffusion")
    torch.nn.init.normal_(components.estimator.final_layers[1].weight, std=0.5)
    components.strength = 1.0
    loss, logs = training_step("diffusion", components, batch, draws)
    assert math.isfinite(loss.detach()) and "shift" in logs


def test_condition_dropout_by_its_rates() -> None:
    draws = Draws(0, 0, range(4000))
    pose, photo = dropped("joint", 0.1, draws)
    assert torch.equal(pose, photo)
    assert float(pose.float().mean()) == pytest.approx(0.1, abs=0.02)
    pose, photo = dropped("separate", 0.1, Draws(0, 0, range(4000)))
    assert not (pose & ~photo).any()  # the pose is never dropped alone
    assert float(pose.float().mean()) == pytest.approx(0.05, abs=0.015)
    assert float(photo.float().mean()) == pytest.approx(0.1, abs=0.02)


def test_draws_depend_on_the_place_alone() -> None:
    together = Draws(5, 1, range(4)).normal((2, 3))
    apart = torch.cat(
        [Draws(5, 1, range(2)).normal((2, 3)), Draws(5, 1, range(2, 4)).normal((2, 3))]
    )
    assert torch.equal(together, apart)
    assert len({float(x) for x in together.flatten()}) == 24
    assert not torch.equal(together, Draws(5, 2, range(4)).normal((2, 3)))
    assert not torch.equal(together, Draws(6, 1, range(4)).normal((2, 3)))


def found_at(batch: TrainingBatch, offset: float, logit: float) -> Alignment:
    mapping = batch.flow + torch.tensor([offset, 0.0])[:, None, None]
    return Alignment(
        [], [mapping, mapping], [torch.full_like(batch.visibility, logit)] * 2, mapping
    )


def test_alignment_loss_is_the_distance_in_cells() -> None:
    components, batch, _ = setting("loss={visibility: 0, photometric: 0}", stage="alignment")
    assert batch.flow is not None
    exact, logs = alignment_loss(components, batch, found_at(batch, 0.0, 0.0))
    assert float(exact) == pytest.approx(0.0, abs=1.1e-3)  # the root is smoothed by 1e-6
    away, logs = alignment_loss(components, batch, found_at(batch, 2.0, 0.0))
    assert float(away) == pytest.approx(2.0, rel=1e-3)
    assert float(logs["flow_cells"]) == pytest.approx(2.0, rel=1e-3)


def test_without_correspondence_only_the_photograph_teaches() -> None:
    components, batch, _ = setting(stage="alignment")
    blind = dataclasses.replace(batch, flow=None, flow_valid=None, visibility=None)
    seen, _ = alignment_loss(components, blind, found_at(batch, 0.0, 3.0))
    hidden, _ = alignment_loss(components, blind, found_at(batch, 0.0, -9.0))
    assert 0 < float(seen) < float(hidden)  # hiding everything is no way out


def test_latent_statistics_by_hand() -> None:
    components, batch, _ = setting(stage="autoencoder")
    mean, std = latent_statistics(components, [batch, batch])
    raw = components.autoencoder.encode_raw(target_picture(batch, 4)).detach()
    assert torch.allclose(mean, raw.mean((0, 2, 3)), atol=1e-6)
    components.autoencoder.set_latent_statistics(mean, std)
    z = components.autoencoder.encode(target_picture(batch, 4))
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(4), atol=1e-2)


def test_what_is_transparent_is_grey() -> None:
    _, batch, _ = setting(stage="autoencoder")
    picture, clear = target_picture(batch, 4), batch.target[:, 3] == -1
    assert clear.any() and not clear.all()
    assert (picture[:, :3].amax(1)[clear] == 0).all()
    assert torch.equal(picture[:, 3], batch.target[:, 3])
    assert torch.equal(target_picture(batch, 3), batch.target[:, :3])


def test_average_by_hand() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = Average(layer, 0.9999)
    expected, value = 0.0, 0.0
    for step in range(1, 6):
        value = float(step)
        torch.nn.init.constant_(layer.weight, value)
        average.update()
        decay = min(0.9999, step / (9 + step)) if step > 1 else 0.0  # the first is taken over
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert float(layer.weight) == pytest.approx(expected, rel=1e-6)
    assert float(layer.weight) == value and average.steps == 5


def test_still_pairs_show_the_target_itself() -> None:
    config = load_config("tiny", [*SMALL, "data.still=0.5", "data.kind=drawn"])
    pairs = Stream(config, "diffusion").pairs
    samples = [pairs[number] for number in range(40)]
    still = [sample for sample in samples if sample.source_name == sample.target_name]
    assert 10 < len(still) < 30
    for sample in still:
        assert (sample.source_image == sample.target_image).all()
        assert sample.source_pose == sample.target_pose
        assert sample.mapping is None or (not sample.mapping.any() and sample.seen.all())
    assert not any((s.source_image == s.target_image).all() for s in samples if s not in still)
