"""Recurrent pose alignment, Eq. 5-9."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.alignment import Alignment, MapFormer, RecurrentPoseAlignment, correlation
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.mapping import warp
from tests.models.networks import SIZES, check_saved, count, dead_parameters, noise, photo, stir

SIZE = (64, 48)


def inputs(batch: int = 2, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Photo, heat maps on it, wanted heat maps."""
    shape = (size[0] // 8, size[1] // 8)
    return (
        photo(batch, *size),
        noise(batch, 18, *shape, seed=1).abs(),
        noise(batch, 18, *shape, seed=2).abs(),
    )


def stirred(**changes: object) -> RecurrentPoseAlignment:
    return stir(RecurrentPoseAlignment.tiny(**changes), amount=0.03).eval()  # type: ignore[return-value]


def everything(found: Alignment) -> list[Tensor]:
    return [*found.features, *found.mappings, *found.visibility, found.warped]


@pytest.mark.parametrize("encoder_input", ["rgb+heat", "rgb"])
def test_nothing_moves_at_initialisation(encoder_input: str) -> None:
    aligner = RecurrentPoseAlignment.tiny(encoder_input=encoder_input, iterations=3)
    picture, source, target = inputs()
    found = aligner(picture, source, target)
    assert len(found.mappings) == len(found.visibility) == 3
    assert not any(field.any() for field in found.mappings)
    assert not any(logit.any() for logit in found.visibility)
    assert torch.equal(found.warped, picture)
    alone = aligner.encoder(picture, source if encoder_input == "rgb+heat" else None)
    assert all(torch.equal(a, b) for a, b in zip(found.features, alone, strict=True))


def test_the_initial_mapping_stays_at_initialisation() -> None:
    picture, source, target = inputs()
    initial = torch.zeros(2, 2, 8, 6)
    initial[:, 0] = 1
    found = RecurrentPoseAlignment.tiny(initial="limbs")(picture, source, target, initial=initial)
    assert torch.equal(found.mapping, initial)
    assert torch.equal(found.warped[..., :-8], picture[..., 8:])


def naive_correlation(target: Tensor, source: Tensor, radius: int) -> Tensor:
    """Eq. 6, cell by cell."""
    batch, width, h, w = target.shape
    volume = torch.zeros(batch, (2 * radius + 1) ** 2, h, w)
    for y in range(h):
        for x in range(w):
            window = 0
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y + dy < h and 0 <= x + dx < w:
                        product = (target[:, :, y, x] * source[:, :, y + dy, x + dx]).sum(1)
                        volume[:, window, y, x] = product.relu() / width**0.5
                    window += 1
    return volume


@pytest.mark.parametrize(("shape", "radius"), [((5, 7), 2), ((4, 3), 4), ((6, 6), 0)])
def test_correlation_is_equation_6(shape: tuple[int, int], radius: int) -> None:
    target, source = noise(2, 8, *shape), noise(2, 8, *shape, seed=1)
    ours, naive = correlation(target, source, radius), naive_correlation(target, source, radius)
    assert torch.allclose(ours, naive, atol=1e-6)


def test_correlation_is_that_of_unfolded_windows() -> None:
    target, source = noise(2, 8, 9, 7), noise(2, 8, 9, 7, seed=1)
    windows = F.unfold(source, 5, padding=2).unflatten(1, (8, 25))
    unfolded = (target.flatten(2)[:, :, None] * windows).sum(1).relu() / 8**0.5
    assert torch.allclose(correlation(target, source, 2), unfolded.unflatten(2, (9, 7)), atol=1e-6)


@pytest.mark.parametrize("side", [3, 5])
def test_a_layer_sees_its_neighbourhood_and_no_further(side: int) -> None:
    # Each attention reaches side // 2 cells: into its own map once, and, through the neighbours
    # that the other map's cells have listened to, twice as far into that.
    former = stir(MapFormer(16, 8))
    target = noise(1, 16, 13, 13).requires_grad_()
    source = noise(1, 16, 13, 13, seed=1).requires_grad_()
    found, _ = former(target, source, side)
    gradients = torch.autograd.grad(found[0, :, 6, 6].square().sum(), (target, source))
    cells = torch.arange(13)
    distance = (cells[:, None] - 6).abs().maximum((cells[None] - 6).abs())
    for gradient, reach in zip(gradients, (side // 2, 2 * (side // 2)), strict=True):
        strength = gradient[0].abs().sum(0)
        assert not strength[distance > reach].any()
        assert (strength[distance <= reach] > 0).all()


def test_a_far_cell_has_no_influence_within_one_layer() -> None:
    former = stir(MapFormer(16, 8))
    target, source = noise(1, 16, 12, 9), noise(1, 16, 12, 9, seed=1)
    changed = source.clone()
    changed[0, :, 11, 8] = 10 * noise(16, seed=2)
    before, after = former(target, source, 3)[0], former(target, changed, 3)[0]
    assert torch.equal(before[..., :9, :], after[..., :9, :])
    assert not torch.allclose(before[..., 10:, 7:], after[..., 10:, 7:])
    assert (former(target, source, None)[0] != former(target, changed, None)[0]).any(1).all()


def test_a_neighbourhood_as_large_as_the_grid_is_global() -> None:
    former = stir(MapFormer(16, 8))
    target, source = noise(1, 16, 6, 4), noise(1, 16, 6, 4, seed=1)
    nearly, whole = former(target, source, 11)[0], former(target, source, None)[0]
    assert torch.allclose(nearly, whole, atol=1e-6)
    assert not torch.allclose(former(target, source, 9)[0], whole, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("half_resolution", [False, True])
def test_shapes(size: tuple[int, int], half_resolution: bool) -> None:
    aligner = stirred(half_resolution=half_resolution)
    h, w = size[0] // 8, size[1] // 8
    with torch.no_grad():
        found = aligner(*inputs(1, size))
    assert [tuple(level.shape) for level in found.features] == [
        (1, 16, h, w), (1, 16, -(-h // 2), -(-w // 2)), (1, 16, -(-h // 4), -(-w // 4)),
    ]  # fmt: skip
    assert found.mapping.shape == (1, 2, h, w)
    assert found.visibility[0].shape == found.visible.shape == (1, 1, h, w)
    assert found.warped.shape == (1, 3, *size)
    assert found.visible.min() >= 0 and found.visible.max() <= 1


def test_the_defaults_are_the_papers() -> None:
    aligner = RecurrentPoseAlignment()
    assert aligner.config.iterations == 5
    assert list(aligner.config.neighbourhoods) == [None, 9, 5, 3, 3]
    assert aligner.config.initial == "identity"
    assert 2.5e6 < count(aligner) < 3.5e6
    assert count(RecurrentPoseAlignment.tiny()) < 0.1e6


def test_iterations_can_be_changed_when_weights_are_shared() -> None:
    aligner = stirred()
    three = aligner(*inputs(), iterations=3)
    one = aligner(*inputs(), iterations=1)
    assert torch.allclose(three.mappings[0], one.mapping, atol=1e-6)
    assert not torch.allclose(three.mapping, one.mapping)
    with pytest.raises(SettingsError, match=r"1\.\.2 iterations, not 3"):
        stirred(shared=False)(*inputs(), iterations=3)


def test_every_iteration_sees_the_photo_as_warped_so_far() -> None:
    # Iteration 2 starting from F^0 is iteration 1 starting from F^1 (Eq. 9 and 7).
    aligner = stirred(neighbourhoods=(3,))
    picture, source, target = inputs()
    found = aligner(picture, source, target, iterations=2)
    again = aligner(picture, source, target, iterations=1, initial=found.mappings[0])
    assert torch.allclose(again.mapping, found.mapping, atol=1e-5)
    assert torch.equal(found.warped, warp(picture, found.mapping))


def test_no_gradient_goes_through_the_grid_of_an_earlier_warp() -> None:
    aligner = stirred(shared=False)
    found = aligner(*inputs())
    first = list(aligner.aggregators[0].parameters())

    def gradients(value: Tensor) -> list[Tensor | None]:
        return list(torch.autograd.grad(value.sum(), first, retain_graph=True, allow_unused=True))

    # The second logit depends on the first step only through the picture warped with it.
    assert all(gradient is None for gradient in gradients(found.visibility[1]))
    assert all(gradient is not None for gradient in gradients(found.mappings[1].square()))
    assert all(gradient is not None for gradient in gradients(found.features[0].square()))


def test_every_parameter_learns() -> None:
    aligner = stirred(shared=False)
    found = aligner(*inputs())
    sum(value.square().sum() for value in everything(found)).backward()
    assert dead_parameters(aligner) == []


def test_a_batch_is_its_members() -> None:
    aligner = stirred()
    picture, source, target = inputs(3)
    with torch.no_grad():
        together = everything(aligner(picture, source, target))
        for i in range(3):
            one = slice(i, i + 1)
            alone = everything(aligner(picture[one], source[one], target[one]))
            for a, b in zip(together, alone, strict=True):
                assert torch.allclose(a[one], b, atol=1e-5)


def test_the_same_input_gives_the_same_result() -> None:
    aligner = stirred()
    with torch.no_grad():
        first, second = everything(aligner(*inputs())), everything(aligner(*inputs()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_works_after_inference_mode() -> None:
    # The cached positions and masks of this size are made in inference mode here.
    aligner = stirred()
    with torch.inference_mode():
        aligner(*inputs(1, (72, 40)))
    aligner(*inputs(1, (72, 40))).mapping.square().sum().backward()
    assert aligner.aggregators[0].step.weight.grad is not None


def test_through_an_autoencoder() -> None:
    codec = Autoencoder.tiny().requires_grad_(False)
    aligner = stirred(encoder_input="autoencoder", latent_channels=4)
    picture, source, target = inputs()
    found = aligner(picture, source, target, encode=codec.encode)
    assert found.features[0].shape == (2, 16, 8, 6)
    (expected,) = aligner.encoder(codec.encode(found.warped), levels=1)
    assert torch.allclose(found.features[0], expected, atol=1e-6)
    with pytest.raises(SettingsError, match="pass its encode"):
        aligner(picture, source, target)


def test_bf16_is_close_to_fp32() -> None:
    aligner = stirred()
    with torch.no_grad():
        exact = aligner(*inputs())
        with torch.autocast("cpu", torch.bfloat16):
            rough = aligner(*inputs())
    assert rough.mapping.dtype == torch.float32
    for a, b in zip(everything(rough), everything(exact), strict=True):
        assert a.isfinite().all()
        assert (a - b).abs().mean() < 0.05 * b.abs().mean() + 1e-3


def test_saved_and_loaded(tmp_path: Path) -> None:
    check_saved(stirred(), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"features": 10**9}, {"iterations": 0}, {"iterations": 2.0}, {"radius": 500},
        {"neighbourhoods": (4,)}, {"neighbourhoods": ()}, {"neighbourhoods": "all"},
        {"neighbourhoods": (-3,)}, {"head_width": 7}, {"initial": "flow"}, {"shared": 1},
        {"encoder_input": "bgr"}, {"gain": float("nan")}, {"levels": 40}, {"joints": 10**9},
        {"photo_channels": 0}, {"encoder_width": 10**9}, {"blocks": -1}, {"width": 10**9},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        RecurrentPoseAlignment.tiny(**changes)


def test_impossible_inputs_are_refused() -> None:
    picture, source, target = inputs()
    with pytest.raises(SettingsError, match="pass initial"):
        RecurrentPoseAlignment.tiny(initial="limbs")(picture, source, target)
    with pytest.raises(SettingsError, match="initial mapping must be"):
        RecurrentPoseAlignment.tiny()(picture, source, target, initial=torch.zeros(2, 2, 4, 4))
    with pytest.raises(SettingsError, match="heat maps must be"):
        RecurrentPoseAlignment.tiny()(picture, source[..., :4], target)


def test_learns_a_constant_shift_of_two_cells() -> None:
    aligner = RecurrentPoseAlignment.tiny()
    picture, heat, _ = inputs(1)
    wanted = torch.zeros(1, 2, 8, 6)
    wanted[:, 0] = 2
    target = warp(heat, wanted)
    optimizer = torch.optim.Adam(aligner.parameters(), lr=5e-3)
    for _ in range(60):
        found = aligner(picture, heat, target)
        loss = sum((field - wanted).abs().mean() for field in found.mappings)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (found.mapping - wanted).norm(dim=1).mean() < 0.3  # of 2
