"""Strict loading of what is as it should be; hostile/test_weights.py has the rest."""

import json

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from safetensors.torch import load_file, save_file
from torch import nn

from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.safe import load_safetensors_strict
from reposedm.weights import MANIFEST, WEIGHTS
from tests.models.checkpoints import saved, tiny


class Masked(ModelMixin, ConfigMixin):
    """A component with a buffer that is computed and not saved."""

    @register_to_config
    def __init__(self, size: int = 3, steps: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.layer = nn.Linear(size, size)
        self.register_buffer("index", torch.arange(size) * 2, persistent=False)


def test_a_saved_network_comes_back_bit_for_bit(tmp_path) -> None:
    model, x = tiny(), torch.rand(1, 3, 32, 32)
    again = load_safetensors_strict(HigherHRNet, saved(tmp_path))
    assert not again.training
    assert dict(again.config)["width"] == 4
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model(x)[1], again(x)[1])


def test_nothing_stays_on_meta_and_buffers_are_computed(tmp_path) -> None:
    model = Masked(4, (5, 6, 7))
    model.save_pretrained(tmp_path)
    again = load_safetensors_strict(Masked, tmp_path)
    assert again.index.tolist() == [0, 2, 4, 6]
    assert list(again.config.steps) == [5, 6, 7]
    assert torch.equal(again.layer.weight, model.layer.weight)


def test_half_precision_weights_become_a_float32_network(tmp_path) -> None:
    folder = saved(tmp_path)
    tensors = load_file(folder / WEIGHTS)
    half = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    save_file(half, folder / WEIGHTS)
    again = load_safetensors_strict(HigherHRNet, folder)
    assert again.conv1.weight.dtype == torch.float32
    assert torch.equal(again.conv1.weight, half["conv1.weight"].float())


def test_loading_draws_no_random_numbers(tmp_path) -> None:
    folder = saved(tmp_path)
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    load_safetensors_strict(HigherHRNet, folder)
    assert torch.equal(torch.rand(3), wanted)


def test_the_manifest_lists_what_is_there(tmp_path) -> None:
    folder = saved(tmp_path, manifest=True)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    facts = manifest["files"][WEIGHTS]
    assert facts["bytes"] == (folder / WEIGHTS).stat().st_size
    assert len(facts["sha256"]) == 64
    assert manifest["kind"] == "test"
    load_safetensors_strict(HigherHRNet, folder)


def test_what_else_lies_in_the_folder_is_not_opened(tmp_path) -> None:
    folder = saved(tmp_path)
    for name in ("optimizer.bin", "model.pth", "higherhrnet.py"):
        (folder / name).symlink_to(tmp_path / "nowhere")  # opening one would fail
    load_safetensors_strict(HigherHRNet, folder)
