"""The sampling loop with a denoiser that knows the answer: every sampler must arrive at it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch

from reposedm.diffusion.interaction import LARGEST_MOVE
from reposedm.diffusion.prediction import PREDICTIONS, flow_level, level_at, target_of
from reposedm.errors import SettingsError
from reposedm.pipelines.conditions import Conditions
from reposedm.pipelines.sampling import Denoiser, Steering, denoise, first_noise, make_scheduler
from tests.pipelines.tiny import generators

ANSWER = torch.randn(1, 4, 6, 5, generator=torch.Generator().manual_seed(9)) * 2
VP = diffusers.DDPMScheduler()
FLOW = diffusers.FlowMatchEulerDiscreteScheduler()


class Oracle(torch.nn.Module):
    """Predicts what leads to ``ANSWER``, from the timestep alone; its variance is nonsense."""

    def __init__(self, prediction: str, variance: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(
            prediction=prediction, latent_channels=4, learn_variance=variance
        )
        self.batches: list[int] = []

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, *_: object, **__: object):
        self.batches.append(len(noisy))
        flow = self.config.prediction == "flow_prediction"
        level = flow_level(t.float() / 1000) if flow else level_at(VP, t.round())
        clean = ANSWER.expand(len(noisy), -1, -1, -1)
        noise = (noisy - level.alpha * clean) / level.sigma
        said = target_of(clean, noise, level, self.config.prediction)
        return torch.cat([said, 0.9 + said * 0], 1) if self.config.learn_variance else said


def run(unet: Oracle, sampler: str, steps: int, steering: Steering | None = None, count: int = 2):
    base = FLOW if unet.config.prediction == "flow_prediction" else VP
    kind, variance = unet.config.prediction, unet.config.learn_variance
    scheduler = make_scheduler(sampler, base, kind, variance=variance)
    conditions = Conditions(torch.zeros(1, 4, 6, 5), [torch.zeros(1, 8, 6, 5)], None, None)
    denoiser = Denoiser(unet, conditions, steering or Steering(scale=1.0))
    drawn = generators(*range(count))
    return list(denoise(denoiser, scheduler, steps=steps, generators=drawn))


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("variance", [False, True])
@pytest.mark.parametrize("prediction", [p for p in PREDICTIONS if p != "flow_prediction"])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++", "unipc"])
def test_every_sampler_arrives(sampler: str, prediction: str, variance: bool, steps: int) -> None:
    moments = run(Oracle(prediction, variance), sampler, steps)
    assert len(moments) == steps
    for moment in moments:  # the estimate is right from the first step on
        torch.testing.assert_close(moment.estimate, ANSWER.expand(2, -1, -1, -1), atol=0.02, rtol=0)
    torch.testing.assert_close(moments[-1].latents, ANSWER.expand(2, -1, -1, -1), atol=0.02, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("sampler", ["euler", "dpm++", "unipc"])
def test_every_sampler_follows_a_flow(sampler: str, steps: int) -> None:
    moments = run(Oracle("flow_prediction", False), sampler, steps)
    assert len(moments) == steps
    torch.testing.assert_close(moments[-1].latents, ANSWER.expand(2, -1, -1, -1), atol=0.02, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_gradient_term_never_tears_an_estimate_up(prediction: str) -> None:
    """At the first level sigma / alpha is large, and a single step has no second."""
    field: Any = SimpleNamespace(gradient=lambda z, target: torch.ones_like(z))
    target = torch.zeros(1, 17, 6, 5)
    sampler = "euler" if prediction == "flow_prediction" else "ddim"
    for strength, moved in ((0.0, 0.0), (1e3, LARGEST_MOVE)):
        steering = Steering(scale=1.0, field=field, target=target, strength=strength)
        (moment,) = run(Oracle(prediction, False), sampler, 1, steering)
        away = (moment.estimate - ANSWER).flatten(1).norm(dim=1) / ANSWER.norm()
        torch.testing.assert_close(away, torch.full((2,), moved), atol=2e-3, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_several_moves_go_on_from_where_the_last_one_led(prediction: str) -> None:
    """Their sum is no longer than one move, and each asks for the gradient anew."""
    asked: list[torch.Tensor] = []

    def gradient(z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        asked.append(z)
        return torch.ones_like(z)

    field: Any = SimpleNamespace(gradient=gradient)
    sampler = "euler" if prediction == "flow_prediction" else "ddim"
    steering = Steering(
        scale=1.0, field=field, target=torch.zeros(1, 17, 6, 5), strength=1e3, moves=4
    )
    (moment,) = run(Oracle(prediction, False), sampler, 1, steering)
    parts = [(z - ANSWER).flatten(1).norm(dim=1) / ANSWER.norm() for z in [*asked, moment.estimate]]
    for number, part in enumerate(parts):
        wanted = torch.full((2,), number * LARGEST_MOVE / 4)
        torch.testing.assert_close(part, wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("steering", "batch"),
    [
        (Steering(scale=0.0), 2),
        (Steering(scale=1.0), 2),
        (Steering(scale=2.0), 4),
        (Steering(pose_scale=1.0, appearance_scale=3.0), 6),
    ],
)
def test_only_what_guidance_uses_is_computed(steering: Steering, batch: int) -> None:
    unet = Oracle("epsilon", True)
    moments = run(unet, "ddim", 3, steering)
    assert unet.batches == [batch] * 3
    torch.testing.assert_close(moments[-1].latents, ANSWER.expand(2, -1, -1, -1), atol=0.02, rtol=0)


def test_first_noise_is_each_generators_own() -> None:
    both, second = first_noise((4, 6, 5), generators(3, 8)), first_noise((4, 6, 5), generators(8))
    assert torch.equal(both[1:], second)
    assert both.dtype == torch.float32


def test_the_gradient_term_has_its_part_of_the_steps() -> None:
    steering = Steering(field=object(), strength=1.0, span=(0.2, 0.6))  # type: ignore[arg-type]
    assert [steering.steers(index, 10) for index in range(10)] == [False] * 2 + [True] * 4 + (
        [False] * 4
    )
    assert not any(Steering(strength=1.0).steers(index, 10) for index in range(10))
    off = Steering(field=object(), strength=0.0)  # type: ignore[arg-type]
    assert not any(off.steers(index, 10) for index in range(10))


@pytest.mark.parametrize(
    ("sampler", "base", "prediction", "said"),
    [
        ("plms", VP, "epsilon", "there is no sampler"),
        ("euler", VP, "epsilon", "euler follows flows"),
        ("ddim", FLOW, "flow_prediction", "cannot follow a flow"),
        ("ddim", VP, "flow_prediction", "do not fit"),
        ("euler", FLOW, "epsilon", "do not fit"),
    ],
)
def test_samplers_that_do_not_fit_are_refused(
    sampler: str, base: object, prediction: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        make_scheduler(sampler, base, prediction, variance=False)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++", "unipc"])
def test_latents_are_never_clipped_and_the_base_is_left_alone(sampler: str) -> None:
    base = diffusers.DDPMScheduler(clip_sample=True, timestep_spacing="leading")
    before = dict(base.config)
    made = make_scheduler(sampler, base, "v_prediction", variance=True)
    assert made is not base and dict(base.config) == before
    assert not made.config.get("clip_sample", False)
    assert made.config.prediction_type == "v_prediction"
    made.set_timesteps(1)
    assert made.timesteps.tolist() == [999]
    learned = made.config.get("variance_type") == "learned_range"
    assert learned == (sampler == "ddpm")


def test_more_steps_than_the_schedule_are_refused() -> None:
    with pytest.raises(SettingsError, match="know 1000 steps: not 1001"):
        run(Oracle("epsilon", False), "ddim", 1001)
