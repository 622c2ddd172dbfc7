"""From B1 to alignment: the weights of the baseline as those of a network that sees more."""

from __future__ import annotations

from typing import Any, Final

import torch

from reposedm.errors import SettingsError

STEM: Final = "stem.weight"


@torch.no_grad()
def continue_unet(unet: Any, baseline: Any) -> None:
    """Give a new U-Net with ``source_context`` the weights of B1's.

    What B1 does not have begins with nothing to say: the aligned features' sums and the gates are
    zero as they were built, and so become the stem's weights for the warped latents. The network
    then predicts what B1 predicts, whatever alignment says.

    Args:
        unet: a ``UNet`` with ``source_context``; changed in place.
        baseline: B1's ``UNet``, without extra channels.

    Raises:
        SettingsError: they differ in more than what alignment adds.
    """
    own, given = unet.state_dict(), baseline.state_dict()
    settings = ("latent_channels", "pose_channels", "prediction", "learn_variance")
    odd = [name for name in settings if unet.config[name] != baseline.config[name]]
    odd += [name for name in given if name != STEM and _shape(own.get(name)) != _shape(given[name])]
    if odd or baseline.config.extra_channels or not unet.config.source_context:
        raise SettingsError(
            "init.baseline holds a U-Net that this one cannot begin with"
            + (f": they differ in {odd[0]}" if odd else ", of other inputs")
        )
    seen = given[STEM].shape[1]
    own[STEM][:, :seen] = given[STEM]
    own[STEM][:, seen:] = 0
    unet.load_state_dict(own | {name: value for name, value in given.items() if name != STEM})


def _shape(value: Any) -> tuple[int, ...]:
    return () if value is None else (1, *value.shape)
