"""The learned start of alignment: the analytic mapping until it has learned otherwise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reposedm.errors import SettingsError
from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.limb_prior import POSTURE, LimbPrior
from reposedm.models.mapping import BONES, FAR, Limbs, limb_mapping, limbs_of
from tests.models.networks import dead_parameters, stir

SIZE, SHAPE = (64, 48), (8, 6)


def poses(batch: int = 2, hidden: tuple[int, ...] = ()) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([SIZE[1], SIZE[0]])
    source = torch.rand(batch, 18, 2, generator=generator) * size
    target = torch.rand(batch, 18, 2, generator=generator) * size
    states = torch.full((batch, 18), 2)
    states[:, list(hidden)] = 0
    return source, target, states, states.clone()


def limbs(**changes: object) -> Limbs:
    return limbs_of(*poses(**changes), size=SIZE, shape=SHAPE)


def test_shapes() -> None:
    found = limbs()
    assert found.moved.shape == (2, len(BONES), 2, *SHAPE)
    assert found.nearness.shape == (2, len(BONES), *SHAPE)
    assert found.joints.shape == (2, POSTURE)


@pytest.mark.parametrize("hidden", [(), (3, 4), tuple(range(18))])
def test_untrained_it_is_the_limb_mapping(hidden: tuple[int, ...]) -> None:
    prior = LimbPrior(16, 1, 4.0)
    mapping, seen = prior(limbs(hidden=hidden))
    analytic = limb_mapping(*poses(hidden=hidden), size=SIZE, shape=SHAPE)
    assert torch.equal(mapping, analytic)
    assert torch.equal(seen, torch.zeros(2, 1, *SHAPE))


def test_bones_that_are_not_there_never_count() -> None:
    """Whatever is learned, a cell goes with none of the bones of a hidden joint."""
    found = limbs(hidden=(3, 4))
    absent = [number for number, bone in enumerate(BONES) if {3, 4} & set(bone)]
    assert (found.nearness[:, absent] == FAR).all()
    prior = stir(LimbPrior(16, 1, 4.0))
    moved = found.moved.clone()
    moved[:, absent] = 1e3
    changed = prior(
        found._replace(moved=torch.where(found.nearness[:, :, None] == FAR, 0.0, moved))
    )
    assert torch.equal(changed[0], prior(found)[0])


def test_every_parameter_learns() -> None:
    prior = stir(LimbPrior(16, 1, 4.0))
    mapping, seen = prior(limbs())
    (mapping.square().mean() + seen.square().mean()).backward()
    assert dead_parameters(prior) == []


def test_it_learns_a_mapping() -> None:
    prior, found = LimbPrior(16, 1, 4.0), limbs()
    wanted = found.moved[:, 3]
    optimizer = torch.optim.Adam(prior.parameters(), lr=1e-2)
    errors = []
    for _ in range(40):
        error = (prior(found)[0] - wanted).norm(dim=1).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < errors[0] / 2


def test_alignment_starts_from_it() -> None:
    aligner = RecurrentPoseAlignment.tiny(initial="learned", prior_width=16, prior_blocks=1)
    heat = torch.rand(2, 18, *SHAPE)
    found = aligner(torch.rand(2, 3, *SIZE), heat, heat, limbs=limbs())
    assert found.prior is not None
    assert torch.equal(found.prior[0], limbs().blended())
    assert torch.equal(found.mapping, found.prior[0])  # recurrent steps start at zero
    with pytest.raises(SettingsError, match="pass limbs"):
        aligner(torch.rand(2, 3, *SIZE), heat, heat)
