"""The optimiser's state of a checkpoint, where no loss has asked for every parameter yet."""

import pytest
import torch
from torch import nn

from training.ema import Average
from training.resume import Live, _optimizer_state, _restore_optimizer


def live() -> Live:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {"parts": nn.ModuleDict({"used": nn.Linear(3, 2), "not": nn.Linear(3, 2)})}
    )
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    return Live("diffusion", ("used", "not"), model, optimizer, Average(model, 0.9))


def step(of: Live, *names: str) -> None:
    of.optimizer.zero_grad()
    x = torch.arange(6.0).reshape(2, 3)
    parts = of.model["parts"]
    sum(parts[name](x).square().sum() for name in names).backward()
    of.optimizer.step()


def saved(of: Live) -> dict[str, torch.Tensor]:
    return {
        f"{kind}/{name}": value.clone()
        for name, values in _optimizer_state(of).items()
        for kind, value in values.items()
    }


def test_a_run_goes_on_as_if_it_had_not_been_stopped() -> None:
    first = live()
    step(first, "used")
    tensors = saved(first)
    assert not any("parts.not" in name for name in tensors)
    again = live()
    again.model.load_state_dict(first.model.state_dict())
    _restore_optimizer(again, tensors)
    for run in (first, again):  # the forgotten one takes its first step, the other its second
        step(run, "used", "not")
    for one, other in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_state_of_what_is_not_there_is_refused() -> None:
    first = live()
    step(first, "used")
    tensors = {name.replace("used", "other"): value for name, value in saved(first).items()}
    with pytest.raises(ValueError, match=r"state of parts\.other\.bias does not fit"):
        _restore_optimizer(live(), tensors)
