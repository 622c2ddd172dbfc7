"""Networks that take turns on a device: the same pictures, and never all of them there at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reposedm.jobs.runtime import Offloadable
from reposedm.pipelines.turns import TOGETHER, Turns
from tests.pipelines.tiny import generators, person, tiny_pidm, tiny_reposedm


def images(method: Any) -> np.ndarray:
    photo, source, target, mask = person()
    given = {"source_mask": mask, "generators": generators(1, 2), "steps": 3}
    return np.stack(method(photo, source, target, preview_every=1, **given).images)


def watched(method: Any) -> list[tuple[str, frozenset[str]]]:
    """Every use of a network from now on, with all that are on the device then."""
    seen: list[tuple[str, frozenset[str]]] = []
    for name, network in method.networks.items():
        for layer in network.modules():
            layer.register_forward_hook(
                lambda *_, name=name: seen.append((name, frozenset(method.turns.present)))
            )
    return seen


@pytest.mark.parametrize("make", [tiny_reposedm, tiny_pidm])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_pictures_are_the_same_and_few_are_there_at_once(make: Any, dtype: Any) -> None:
    method = make()
    method.to("cpu", dtype)
    expected = images(method)
    assert isinstance(method, Offloadable)
    method.offload("cpu")
    seen = watched(method)
    np.testing.assert_array_equal(images(method), expected)
    assert {name for name, _ in seen} == set(method.networks)
    for name, there in seen:
        assert name in there
        assert any(there <= group for group in TOGETHER)


def test_the_pose_guidances_gradient_goes_through_networks_in_turns() -> None:
    method = tiny_reposedm()
    expected, plain = images(method), images(tiny_reposedm(steer=False))
    assert (expected != plain).any()
    method.offload("cpu")
    np.testing.assert_array_equal(images(method), expected)


def test_weights_go_there_and_come_back_as_they_were() -> None:
    networks: dict[str, Any] = {"unet": nn.Linear(3, 2), "autoencoder": nn.BatchNorm1d(2)}
    before = {
        (name, key): (value, value.data_ptr())
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    unet, autoencoder = networks["unet"].eval(), networks["autoencoder"].eval()
    turns = Turns(networks, "cpu")  # what is brought there is a copy, as on any other device
    assert unet.weight.data_ptr() == before["unet", "weight"][1]
    unet(torch.ones(1, 3))
    assert turns.present == {"unet"}
    assert unet.weight.data_ptr() != before["unet", "weight"][1]
    autoencoder(torch.ones(4, 2))
    assert turns.present == {"autoencoder"}
    assert unet.weight.data_ptr() == before["unet", "weight"][1]
    turns.end()
    assert not turns.present
    for (name, key), (value, place) in before.items():
        after = networks[name].state_dict()[key]
        assert torch.equal(after, value)
        assert after.data_ptr() == place


def test_to_ends_the_turns() -> None:
    method = tiny_pidm()
    expected = images(method)
    method.offload("cpu").offload("cpu").to("cpu")
    assert method.turns is None
    assert all("forward" not in vars(network) for network in method.networks.values())
    np.testing.assert_array_equal(images(method), expected)
