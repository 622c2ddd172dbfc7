"""One of several processes that share a plan.

``accelerate launch`` and ``torchrun`` tell a process its number. Nothing else is needed: processes
meet in the folder of results, which all of them, on whatever machine, must see. So none waits in a
collective operation that times out after an hour of work, and none needs torch for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reposedm.errors import SettingsError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Which process this is.

    Attributes:
        index: 0 .. count - 1; 0 also writes the plan, the merged manifest and the report.
        count: how many there are.
        local: its number on this machine, which is that of its accelerator.
    """

    index: int = 0
    count: int = 1
    local: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Shard:
        """As the launcher says; alone without one.

        Raises:
            SettingsError: what it says is not possible.
        """
        said = os.environ if environment is None else environment
        try:
            index, count = int(said.get("RANK", "0")), int(said.get("WORLD_SIZE", "1"))
            local = int(said.get("LOCAL_RANK", "0"))
        except ValueError as error:
            raise SettingsError("RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers") from error
        if not 0 <= index < count or local < 0:
            raise SettingsError(f"there is no process {index} among {count} (RANK, WORLD_SIZE)")
        return cls(index, count, local)

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.count == 1

    @property
    def first(self) -> bool:
        """Whether this process does what is done once."""
        return self.index == 0

    def own(self, items: Sequence[Item]) -> list[Item]:
        """Every ``count``-th of a list."""
        return list(items[self.index :: self.count])

    def take_device(self) -> None:
        """Make "cuda" mean this process's own accelerator; for processes with networks."""
        if self.alone:
            return
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(self.local % torch.cuda.device_count())
