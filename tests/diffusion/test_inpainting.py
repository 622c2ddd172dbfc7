"""RePaint done right: the known part has the noise of the step that comes next."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler

from reposedm.diffusion.inpainting import (
    Known,
    jumped_back,
    latent_mask,
    next_levels,
    with_known,
)
from reposedm.diffusion.prediction import Level, run_levels


def schedule(kind: str, steps: int) -> object:
    if kind == "flow":
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
        return scheduler
    cls = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}[kind]
    scheduler = cls(timestep_spacing="trailing", clip_sample=False)
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "flow"])
def test_known_cells_are_renoised_to_the_next_timestep(kind: str) -> None:
    """PIDM's mistake is the level of the step just done: one too noisy."""
    scheduler = schedule(kind, 5)
    levels = run_levels(scheduler)
    after = next_levels(levels)
    clean, noise = torch.randn(1, 4, 6, 5), torch.randn(1, 4, 6, 5)
    known = Known(clean, torch.zeros(1, 1, 6, 5))
    for index in range(4):
        put = with_known(torch.zeros_like(clean), known, after[index], noise)
        if kind == "flow":
            s = 1 - (index + 1) / 5
            wanted = (1 - s) * clean + s * noise
        else:
            wanted = scheduler.add_noise(clean, noise, scheduler.timesteps[index + 1][None])
        assert torch.allclose(put, wanted, atol=1e-6)
        assert levels[index + 1].sigma < levels[index].sigma
    assert torch.equal(with_known(noise, known, after[-1], noise), clean)


@pytest.mark.parametrize("kind", ["ddim", "flow"])
def test_a_perfect_denoiser_meets_the_known_part_without_a_seam(kind: str) -> None:
    """With the true noise said in every step, painted and known cells are at the same level."""
    scheduler = schedule(kind, 5)  # with 6, diffusers' DDIM rounds its own timesteps two ways
    clean, noise = torch.randn(1, 4, 6, 5), torch.randn(1, 4, 6, 5)
    mask = torch.zeros(1, 1, 6, 5)
    mask[..., 2:] = 1
    known = Known(clean, mask)
    levels = run_levels(scheduler)
    latents = levels[0].alpha * clean + levels[0].sigma * noise
    for t, after in zip(scheduler.timesteps, next_levels(levels), strict=True):
        said = noise - clean if kind == "flow" else noise
        stepped = scheduler.step(said, t, latents, return_dict=False)[0]
        latents = with_known(stepped, known, after, noise)
        assert torch.allclose(latents, stepped, atol=2e-5)
    assert torch.allclose(latents, clean, atol=2e-5)


def test_painted_cells_are_left_alone() -> None:
    latents = torch.randn(2, 4, 6, 5)
    mask = (torch.rand(1, 1, 6, 5) > 0.5).float()
    level = Level(torch.tensor(0.6), torch.tensor(0.8))
    found = with_known(latents, Known(torch.zeros(1, 4, 6, 5), mask), level, torch.ones(2, 4, 6, 5))
    inside = mask.bool().expand_as(latents)
    assert torch.equal(found[inside], latents[inside])
    assert (found[~inside] == 0.8).all()


@pytest.mark.parametrize("flow", [False, True])
def test_a_jump_back_has_the_variance_of_the_earlier_level(flow: bool) -> None:
    """alpha_t y_0 + sigma_t eps again, with y_0 = 1: mean alpha_t, deviation sigma_t."""
    torch.manual_seed(0)
    low, high = (0.8, 0.2), (0.3, 0.7)
    if not flow:
        low, high = (0.8, 0.6), (0.28, 0.96)
    now, earlier = (Level(torch.tensor(a), torch.tensor(s)) for a, s in (low, high))
    latents = now.alpha + now.sigma * torch.randn(1, 1, 500, 500)
    found = jumped_back(latents, now, earlier, torch.randn(1, 1, 500, 500))
    assert found.mean().item() == pytest.approx(high[0], abs=0.01)
    assert found.std().item() == pytest.approx(high[1], abs=0.01)


def test_a_cell_with_one_pixel_of_the_mask_is_painted() -> None:
    mask = torch.zeros(1, 1, 32, 24)
    mask[0, 0, 15, 16] = 1
    found = latent_mask(mask, 8)
    assert found.shape == (1, 1, 4, 3)
    assert found[0, 0, 1, 2] == 1 and found.sum() == 1
