from collections.abc import Generator, Sequence

import numpy as np
import pytest

from reposedm.errors import ResourceError
from reposedm.jobs.memory import (
    PeakMemory,
    check_host_memory,
    host_memory_free,
    is_out_of_memory,
    with_less_memory,
)
from reposedm.jobs.runtime import Device
from reposedm.pipelines.base import Step, drain

DEVICE = Device("mps", "float32", "Test card")


class Maker:
    """Makes squares; runs out of memory above ``fits`` at once, or at the numbers in ``never``."""

    def __init__(self, fits: int, never: Sequence[int] = ()) -> None:
        self.fits, self.never = fits, set(never)
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> Generator[Step, None, list[int]]:
        self.batches.append(list(numbers))
        yield Step(1, 2, "work")
        if len(numbers) > self.fits or self.never & set(numbers):
            raise MemoryError
        yield Step(2, 2, "work")
        return [number**2 for number in numbers]


def run(maker: Maker, count: int, **options):
    return drain(with_less_memory(maker, count, device=DEVICE, **options))


def test_without_trouble_there_are_no_notes() -> None:
    assert run(Maker(4), 6) == ([0, 1, 4, 9, 16, 25], [])


@pytest.mark.parametrize(("fits", "batches"), [(3, 2), (2, 2), (1, 1)])
def test_halves_until_it_fits(fits: int, batches: int) -> None:
    maker = Maker(fits)
    made, notes = run(maker, 4)
    assert made == [0, 1, 4, 9]
    assert len(maker.batches[-1]) == batches
    assert len(notes) == {2: 1, 1: 2}[batches]
    assert "made 2 at once" in notes[0]


def test_finished_ones_are_not_made_again() -> None:
    maker = Maker(2)
    run(maker, 4)
    assert maker.batches == [[0, 1, 2, 3], [0, 1], [2, 3]]


def test_offload_comes_last_and_once() -> None:
    maker, calls = Maker(0), []

    def offload() -> str:
        calls.append(list(maker.batches))
        maker.fits = 1
        return "moved away"

    made, notes = run(maker, 2, offload=offload)
    assert made == [0, 1]
    assert calls == [[[0, 1], [0]]]
    assert notes[-1] == "moved away"


def test_gives_up_with_name_numbers_and_advice() -> None:
    with pytest.raises(ResourceError, match=r"Test card ran out of memory \(\d+\.\d GB.*fewer"):
        run(Maker(0), 2, offload=lambda: "moved away")


def test_keeps_what_was_finished_when_it_gives_up() -> None:
    made, notes = run(Maker(4, never=[2]), 4)
    assert made == [0, 1]
    assert "Finished 2 of 4" in notes[-1]


def test_other_errors_pass() -> None:
    def broken(numbers: Sequence[int]) -> Generator[Step, None, list[int]]:
        yield Step(1, 1, "work")
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(broken, 2)  # type: ignore[arg-type]


def test_steps_count_through_all_batches() -> None:
    steps = list(with_less_memory(Maker(4), 6, device=DEVICE))
    assert [(step.index, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_closing_closes_the_work() -> None:
    closed = []

    def work(numbers: Sequence[int]) -> Generator[Step, None, list[int]]:
        try:
            yield Step(1, 2, "work")
        finally:
            closed.append(True)
        return []

    job = with_less_memory(work, 1, device=DEVICE)
    next(job)
    job.close()
    assert closed == [True]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_recognises_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_recognises_numpy_opencv_and_torch() -> None:
    import cv2
    import torch

    with pytest.raises(MemoryError) as numpy_error:
        np.empty(2**60, np.uint8)
    assert is_out_of_memory(numpy_error.value)
    with pytest.raises(cv2.error) as opencv_error:
        cv2.copyMakeBorder(np.ones((1, 1)), 0, 2**31 - 9, 0, 2**31 - 9, 0)
    assert is_out_of_memory(opencv_error.value) == (opencv_error.value.code == -4)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_host_memory_is_plausible_and_checked() -> None:
    free = host_memory_free()
    assert 0.05 < free < 1e5
    check_host_memory(free / 2, "half of it")
    with pytest.raises(ResourceError, match=r"The model needs 1000000\.0 GB of memory and \d"):
        check_host_memory(1e6, "The model")


def test_peak_sees_what_was_held_at_a_sample() -> None:
    peak = PeakMemory()
    before = peak.megabytes
    block = np.ones(60_000_000, np.uint8)
    peak.sample()
    del block
    assert 40 < peak.megabytes - before < 400
