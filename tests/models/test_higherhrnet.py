"""HigherHRNet: names and shapes of the public checkpoints, and what its parts compute."""

import pytest
import torch
import torch.nn.functional as F

from reposedm.errors import WeightsError
from reposedm.models.higherhrnet import (
    Exchange,
    HigherHRNet,
    between,
    imagenet_normalised,
    mean_heat,
)
from reposedm.models.safe import load_safetensors_strict
from tests.models.checkpoints import reference, tiny


@pytest.mark.parametrize(
    ("width", "column", "parameters"), [(32, 1, 28_645_331), (48, 2, 63_827_139)]
)
def test_all_1810_names_and_shapes_are_the_published_ones(
    width: int, column: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = HigherHRNet(width=width)
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wanted = reference("higherhrnet.txt.gz", column)
    assert len(wanted) == 1810
    assert found == wanted
    assert list(found) == list(wanted), "the order, too"
    assert sum(value.numel() for value in model.parameters()) == parameters


def test_without_arguments_it_is_w32() -> None:
    with torch.device("meta"):
        assert HigherHRNet().config.width == 32


def test_the_small_one_fits_into_4_mib_of_fp16(tmp_path) -> None:
    model = HigherHRNet.small()
    assert sum(value.numel() for value in model.parameters()) <= 2_000_000
    model.half().save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").stat().st_size <= 4 << 20
    again = load_safetensors_strict(HigherHRNet, tmp_path)
    assert again.config.modules == [1, 2, 1]
    assert torch.equal(again.conv1.weight, model.conv1.weight.float())


@torch.no_grad()
def test_outputs_have_the_documented_shapes() -> None:
    model, x = tiny(joints=5, width=6), torch.randn(2, 3, 64, 96)
    coarse, fine = model(x)
    assert coarse.shape == (2, 10, 16, 24)
    assert fine.shape == (2, 5, 32, 48)
    features = model.features(x)
    assert features.shape == (2, 6, 16, 24)
    assert features.min() >= 0 and features.max() > 0
    assert model.heat_maps(x.clamp(-1, 1)).shape == (2, 5, 32, 48)


def test_a_picture_of_a_batch_is_the_picture_alone() -> None:
    model, x = tiny(), torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        together, alone = model.heat_maps(x), model.heat_maps(x[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-6)


@torch.no_grad()
def test_an_exchange_adds_the_branches_up() -> None:
    exchange = Exchange(branches=2, width=1, blocks=1, outputs=2).eval()
    for module in exchange.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0
    for branch in exchange.branches:
        branch[0].bn2.weight.zero_()  # residual blocks that change nothing
    exchange.fuse_layers[0][1][0].weight[:] = torch.tensor([10.0, 1.0]).view(1, 2, 1, 1)
    down = exchange.fuse_layers[1][0][0][0].weight  # (2, 1, 3, 3)
    down.zero_()
    down[0, 0, 1, 1], down[1, 0, 1, 2] = 1, 1  # the cell itself; its right neighbour
    fine = torch.arange(8.0).view(1, 1, 2, 4)
    coarse = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    first, second = exchange([fine, coarse])
    assert first.tolist() == [[[[13.0, 14.0, 26.0, 27.0], [17.0, 18.0, 30.0, 31.0]]]]
    assert second.tolist() == [[[[1.0, 4.0]], [[4.0, 7.0]]]]


@pytest.mark.parametrize(("j", "i", "size"), [(0, 3, 2), (3, 0, 128), (1, 1, 16), (2, 1, 32)])
def test_between_changes_channels_and_size(j: int, i: int, size: int) -> None:
    x = torch.randn(1, 3 * 2**j, 16, 16)
    assert between(j, i, 3)(x).shape == (1, 3 * 2**i, size, size)


@torch.no_grad()
def test_heat_maps_normalise_and_average_both_heads() -> None:
    model, x = tiny(), torch.rand(1, 3, 64, 32) * 2 - 1
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    coarse, fine = model(((x + 1) / 2 - mean) / std)
    raised = F.interpolate(coarse[:, :17], scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(model.heat_maps(x), (raised + fine) / 2)


def test_normalisation_by_hand() -> None:
    grey = torch.zeros(1, 3, 1, 1)  # 0.5 in [0, 1]
    wanted = torch.tensor([0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225])
    torch.testing.assert_close(imagenet_normalised(grey).flatten(), wanted)


def test_mean_heat_of_constants() -> None:
    coarse = torch.cat((torch.full((1, 2, 3, 3), 1.0), torch.full((1, 2, 3, 3), 9.0)), 1)
    assert torch.equal(
        mean_heat(coarse, torch.full((1, 2, 6, 6), 3.0)), torch.full((1, 2, 6, 6), 2.0)
    )


@torch.no_grad()
def test_heat_maps_take_our_picture_size() -> None:
    model, x = tiny(), torch.rand(1, 3, 48, 44) * 2 - 1
    heat = model.heat_maps(x)
    assert heat.shape == (1, 17, 24, 22)
    mean = (torch.tensor([0.485, 0.456, 0.406]) * 2 - 1).view(1, 3, 1, 1)
    padded = mean.repeat(1, 1, 64, 64)
    padded[..., :48, :44] = x
    torch.testing.assert_close(heat, model.heat_maps(padded)[..., :24, :22], rtol=1e-4, atol=1e-5)


def test_heat_maps_gradient_equals_finite_differences() -> None:
    model = tiny().double()
    x = (torch.rand(1, 3, 32, 32, dtype=torch.float64) * 2 - 1).requires_grad_()
    weights = torch.randn(1, 17, 16, 16, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((model.heat_maps(x) * weights).sum(), x)
    direction = torch.randn(x.shape, dtype=torch.float64)
    with torch.no_grad():
        ahead, behind = (
            (model.heat_maps(x + step * direction) * weights).sum() for step in (1e-6, -1e-6)
        )
    slope = (ahead - behind) / 2e-6
    assert slope.abs() > 1e-3
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-6)


def test_sides_that_do_not_fit_are_refused() -> None:
    model = tiny()
    with pytest.raises(ValueError, match="multiples of 32"):
        model(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ValueError, match="multiples of 4"):
        model.heat_maps(torch.zeros(1, 3, 50, 64))


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 10**9}, {"width": 0}, {"width": True}, {"width": 32.0}, {"width": "32"},
        {"joints": 10**9}, {"stem_channels": -1}, {"bottlenecks": 10**6}, {"blocks": 10**6},
        {"modules": (1, 4)}, {"modules": (1, 4, 10**6)}, {"modules": "143"}, {"modules": 3},
        {"modules": None},
    ],
    ids=str,
)  # fmt: skip
def test_arguments_have_bounds(arguments: dict) -> None:
    with pytest.raises(WeightsError, match=next(iter(arguments))):
        HigherHRNet(**arguments)
