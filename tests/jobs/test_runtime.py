import gc
import threading
from collections.abc import Generator

import pytest
import torch

from reposedm.errors import ResourceError, SettingsError
from reposedm.jobs.runtime import (
    ACCELERATOR,
    WAITING,
    Device,
    Pace,
    choose_device,
    exclusively,
    multiplies_bf16,
    offload,
    place,
)
from reposedm.pipelines.base import Step


def work(steps: int = 3) -> Generator[Step, None, str]:
    for index in range(1, steps + 1):
        assert ACCELERATOR.locked()
        yield Step(index, steps, "work")
    return "done"


class Networks:
    """What a method with networks shows to the runtime."""

    def __init__(self, fits: bool = True) -> None:
        self.network = torch.nn.Linear(2, 2)
        self.fits = fits
        self.moves: list[tuple[str, torch.dtype]] = []

    def to(self, device: str, dtype: torch.dtype, /) -> None:
        if not self.fits:
            raise torch.OutOfMemoryError("no room")
        self.moves.append((device, dtype))
        self.network.to(device, dtype)


class TakingTurns(Networks):
    def offload(self, device: str, /) -> None:
        self.moves.append((f"turns on {device}", torch.float32))


def test_exclusively_returns_the_result_and_frees() -> None:
    job = exclusively(work())
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as stop:
            assert stop.value == "done"
            break
    assert [step.index for step in steps] == [1, 2, 3]
    assert not ACCELERATOR.locked()


def test_nothing_is_held_before_the_first_step_nor_after_an_error() -> None:
    def broken() -> Generator[Step, None, None]:
        yield Step(1, 2, "work")
        raise ValueError("a bug")

    job = exclusively(broken())
    assert not ACCELERATOR.locked()
    next(job)
    assert ACCELERATOR.locked()
    with pytest.raises(ValueError, match="a bug"):
        next(job)
    assert not ACCELERATOR.locked()


def test_a_waiting_job_can_be_stopped() -> None:
    first = exclusively(work())
    next(first)
    second = exclusively(work())
    assert next(second).stage == WAITING
    second.close()
    assert ACCELERATOR.locked()
    first.close()
    assert not ACCELERATOR.locked()


def test_impatience() -> None:
    first = exclusively(work())
    next(first)
    with pytest.raises(ResourceError, match="busy"):
        list(exclusively(work(), patience_s=0.2))
    del first
    gc.collect()
    assert not ACCELERATOR.locked()


def test_each_step_may_run_on_another_thread() -> None:
    job, seen = exclusively(work(2)), []

    def once() -> None:
        seen.append(next(job, None))

    for _ in range(3):
        thread = threading.Thread(target=once)
        thread.start()
        thread.join()
    assert [step and step.index for step in seen] == [1, 2, None]
    assert not ACCELERATOR.locked()


@pytest.mark.parametrize(
    ("cpu_info", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx512f avx512_vnni", False),
        ("Features\t: fp asimd bf16", False),
        ("", False),
    ],
)
def test_bf16_flags(cpu_info: str, expected: bool) -> None:
    assert multiplies_bf16(cpu_info) is expected


def test_an_unknown_or_absent_device_is_refused() -> None:
    with pytest.raises(SettingsError, match="'tpu'"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="no cuda"):
            choose_device("cuda")


def test_place_moves_networks_to_the_chosen_device() -> None:
    method = Networks()
    device, notes = place(method)  # type: ignore[arg-type]
    assert method.moves == [(device.name, getattr(torch, device.dtype))]
    assert notes == []


def test_place_says_when_there_is_no_room() -> None:
    with pytest.raises((ResourceError, torch.OutOfMemoryError)):
        place(Networks(fits=False))  # type: ignore[arg-type]


def test_offload_moves_to_the_processor_or_takes_turns() -> None:
    card = Device("mps", "float32", "Test card")
    plain, turns = Networks(), TakingTurns()
    assert "processor" in offload(plain, card)  # type: ignore[arg-type]
    assert plain.moves[0][0] == "cpu"
    assert "turns" in offload(turns, card)  # type: ignore[arg-type]
    assert [where for where, _ in turns.moves] == ["cpu", "turns on mps"]
    assert offload(plain, choose_device("cpu")) == ""  # type: ignore[arg-type]


def test_pace_divides_by_steps_seen() -> None:
    times = iter([10.0, 12.0, 14.0, 20.0, 21.0])
    pace = Pace(lambda: next(times))
    assert pace.seconds_left(Step(1, 5, "denoising")) is None
    assert pace.seconds_left(Step(2, 5, "denoising")) == pytest.approx(6)
    assert pace.seconds_left(Step(3, 5, "denoising")) == pytest.approx(4)
    assert pace.seconds_left(Step(1, 2, "decoding")) is None
    assert pace.seconds_left(Step(2, 2, "decoding")) == 0
