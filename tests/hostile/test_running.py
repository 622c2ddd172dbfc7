"""Rows C-40 to C-54 and C-80 to C-84: stop, share, run out of memory, repeat exactly.

Long, because every row has its test and all share the slow and greedy methods made here.
"""

import gc
import inspect
import io
import math
import os
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from reposedm.errors import ResourceError, SettingsError, WeightsError
from reposedm.imaging import read_settings, save_png
from reposedm.jobs import methods
from reposedm.jobs.detect import forget_photos
from reposedm.jobs.live import LivePreview
from reposedm.jobs.memory import with_less_memory
from reposedm.jobs.repose import ReposeResult, generators, repose
from reposedm.jobs.runtime import ACCELERATOR, WAITING, Device, Pace, choose_device
from reposedm.jobs.settings import SEEDS, ReposeSettings
from reposedm.pipelines import loading
from reposedm.pipelines.base import Step
from tests.drawn import arms_up, photo
from tests.methods import FILE, NAME, TinyDiffusion, install

IMAGE, POSE, MASK = photo()
WANTED = arms_up(POSE)
TINY = ReposeSettings(method=NAME, seed=3, steps=6, background="transparent")
"""Transparent: filling in the background takes longer than all else and is not what is tested."""
Job = Generator[Step, None, ReposeResult]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyDiffusion]:
    install(tmp_path, monkeypatch)
    yield methods.load_method(NAME)
    methods.unload_methods()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    gc.collect()
    assert not ACCELERATOR.locked(), "a job is still running"
    forget_photos()


def start(settings: ReposeSettings = TINY) -> Job:
    return repose(IMAGE, POSE, WANTED, settings, source_mask=MASK)


def finish(job: Job) -> ReposeResult:
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


def until(job: Job, stage: str, index: int = 1) -> Step:
    return next(step for step in job if step.stage == stage and step.index == index)


def png(result: ReposeResult, number: int = 0) -> bytes:
    file = io.BytesIO()
    save_png(result.images[number], file, result.settings_of(number))
    return file.getvalue()


# -- stop, share, time


def test_c40_a_job_is_a_generator_and_does_nothing_unasked(tiny: TinyDiffusion) -> None:
    job = start()
    assert inspect.isgenerator(job)
    assert not ACCELERATOR.locked() and tiny.batches == []
    until(job, "denoising", 2)
    time.sleep(0.05)  # nobody asks: nothing goes on behind our back
    assert next(job).index == 3
    job.close()


def test_c41_closing_stops_within_one_step_and_gives_all_back(tiny: TinyDiffusion) -> None:
    job = start()
    until(job, "denoising", 2)
    assert ACCELERATOR.locked() and len(tiny.alive) > 0
    steps_before = tiny.network.weight  # keeps the network alive, not its work
    job.close()
    assert not ACCELERATOR.locked()
    assert tiny.closed == 1
    assert len(tiny.alive) == 0, "tensors of the stopped job are still in memory"
    assert steps_before is tiny.network.weight


@pytest.mark.parametrize("stage", ["preparing", "denoising", "composing"])
def test_c41_in_every_stage(tiny: TinyDiffusion, stage: str) -> None:
    job = start()
    until(job, stage)
    job.close()
    assert not ACCELERATOR.locked()
    assert len(finish(start()).images) == 1


def test_c42_a_forgotten_job_gives_all_back(tiny: TinyDiffusion) -> None:
    job: Any = start()
    until(job, "denoising", 2)
    cycle = {"job": job}
    cycle["self"] = cycle  # type: ignore[assignment]
    del job, cycle
    gc.collect()
    assert not ACCELERATOR.locked() and tiny.closed == 1 and len(tiny.alive) == 0


@pytest.mark.heavy
def test_c43_one_at_a_time_whoever_asks(tiny: TinyDiffusion) -> None:
    assert type(ACCELERATOR) is type(threading.Lock())
    results: list[ReposeResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(finish(start(TINY)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4 and tiny.most_running == 1


def test_c43_two_jobs_on_one_thread_do_not_lock_up(tiny: TinyDiffusion) -> None:
    first, second = start(), start()
    until(first, "denoising")
    assert next(second).stage == WAITING
    finish(first)
    assert finish(second).seeds == [3]


def test_c44_waiting_ends_with_a_friendly_message(tiny: TinyDiffusion) -> None:
    from reposedm.jobs.runtime import exclusively

    first = start()
    next(first)

    def nothing() -> Generator[Step, None, None]:
        yield Step(1, 1, "work")

    with pytest.raises(ResourceError, match="busy with another picture"):
        list(exclusively(nothing(), patience_s=0.1))
    first.close()


@pytest.mark.heavy
def test_c45_a_hundred_runs_leave_memory_flat(tiny: TinyDiffusion, tmp_path: Path) -> None:
    process, settings = psutil.Process(), TINY.replace(steps=2, count=2)
    backgrounds = ("photo", "transparent", "plain", "plain")
    files = len(list(tmp_path.rglob("*")))

    def some(number: int) -> float:
        for run in range(number):
            finish(start(settings.replace(background=backgrounds[run % 4])))
        gc.collect()
        return process.memory_info().rss / 1e6

    warm = some(20)
    after = some(100)
    assert abs(after - warm) < 0.02 * warm, f"{warm:.1f} MB grew to {after:.1f} MB"
    assert len(list(tmp_path.rglob("*"))) == files
    assert len(tiny.alive) == 0


def test_c46_methods_change_only_between_jobs(tiny: TinyDiffusion, tmp_path: Path) -> None:
    loading.METHODS["other"] = loading.METHODS[NAME]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_bytes((tmp_path / NAME / FILE).read_bytes())
    try:
        first, second = start(), start(TINY.replace(method="other"))
        until(first, "denoising")
        assert next(second).stage == WAITING
        assert list(methods._loaded) == [NAME]
        assert finish(first).settings["method"] == NAME
        assert finish(second).settings["method"] == "other"
        assert list(methods._loaded) == ["other"]
    finally:
        del loading.METHODS["other"]


IMPOSSIBLE = [
    {"steps": 0}, {"steps": 1000}, {"steps": -1}, {"steps": 2.5}, {"steps": "20"}, {"steps": True},
    {"steps": math.nan}, {"steps": math.inf}, {"steps": 10**400}, {"steps": [20]},
    {"count": 0}, {"count": 64}, {"count": None}, {"count": 1.5}, {"count": "4"},
    {"guidance_scale": -5}, {"guidance_scale": 1e9}, {"guidance_scale": math.nan},
    {"guidance_scale": math.inf}, {"guidance_scale": "2"}, {"guidance_scale": 1j},
    {"guidance_scale": 10**400},
    {"pose_guidance_scale": -5}, {"pose_guidance_scale": 1e9}, {"pose_guidance_scale": math.nan},
    {"seed": -2}, {"seed": SEEDS}, {"seed": 0.5}, {"seed": "x"}, {"seed": math.nan},
    {"seed": False},
    {"background": "lava"}, {"background": None}, {"background": ["photo"]}, {"color": "red"},
    {"color": "#12345"}, {"color": None}, {"color": "#ffffff\n"}, {"paste_back": "yes"},
    {"retarget": 1}, {"method": None}, {"method": ["preview"]},
]  # fmt: skip


@pytest.mark.parametrize("values", IMPOSSIBLE, ids=lambda values: repr(values)[:40])
def test_c47_impossible_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        ReposeSettings(**values)
    message = str(refused.value)
    assert len(message) < 200 and message.count(". ") < 2


@pytest.mark.parametrize("name", ["../../etc", "os", "", "Preview", "preview\0", "x" * 10_000])
def test_c47_unknown_methods_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="there is no method") as refused:
        start(ReposeSettings(method=name))
    assert len(str(refused.value)) < 300


def test_c47_the_edges_are_possible() -> None:
    ReposeSettings(steps=1, count=1, guidance_scale=0, pose_guidance_scale=0, seed=0)
    ReposeSettings(steps=250, count=8, guidance_scale=30, pose_guidance_scale=30, seed=SEEDS - 1)


def test_c48_a_run_leaves_no_state_in_the_method(tiny: TinyDiffusion) -> None:
    first = finish(start())
    stopped = start(TINY.replace(seed=77, steps=3))
    until(stopped, "denoising", 2)
    stopped.close()
    assert np.array_equal(finish(start()).images[0], first.images[0])


# -- memory


def run_out_above(tiny: TinyDiffusion, monkeypatch: pytest.MonkeyPatch, fits: int) -> list[int]:
    """The real forward, on a device with room for a batch of ``fits``; what was held at retries."""
    forward, held = tiny.denoise, []

    def denoise(x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        held.append(len(tiny.alive))
        if len(x) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(x, condition)

    monkeypatch.setattr(tiny, "denoise", denoise)
    return held


@pytest.mark.parametrize(("fits", "tried"), [(2, [4, 2, 2]), (1, [4, 2, 1, 1, 1, 1])])
def test_c50_smaller_batches_make_the_same_pictures(
    tiny: TinyDiffusion, monkeypatch: pytest.MonkeyPatch, fits: int, tried: list[int]
) -> None:
    four = TINY.replace(count=4)
    whole = finish(start(four))
    tiny.batches.clear()
    held = run_out_above(tiny, monkeypatch, fits)
    result = finish(start(four))
    assert tiny.batches == tried
    assert result.seeds == [3, 4, 5, 6]
    for mine, expected in zip(result.images, whole.images, strict=True):
        assert np.abs(mine.astype(int) - expected).max() <= 1
    assert len(result.notes) == {2: 1, 1: 2}[fits]
    assert "Memory ran out with 4 pictures" in result.notes[0]
    # At the first forward of every attempt, only its own noise is in memory.
    assert max(held) <= 2, f"an attempt before still holds tensors: {held}"


def test_c50_the_last_rung_is_a_sentence_with_numbers(
    tiny: TinyDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out_above(tiny, monkeypatch, 0)
    with pytest.raises(ResourceError, match=r"ran out of memory \(\d+\.\d GB are free\)"):
        finish(start(TINY.replace(count=4)))
    assert not ACCELERATOR.locked()


def test_c50_the_message_names_the_card() -> None:
    def work(numbers: Any) -> Generator[Step, None, list[int]]:
        yield Step(1, 1, "work")
        raise torch.OutOfMemoryError("no room")

    card = Device("mps", "float32", "Radeon Test 6 GB")
    with pytest.raises(ResourceError, match=r"Radeon Test 6 GB ran out.*fewer pictures"):
        list(with_less_memory(work, 4, device=card))


def test_c51_in_the_last_step_finished_pictures_are_kept(
    tiny: TinyDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = TINY.replace(count=4)
    whole = finish(start(four))
    tiny.batches.clear()
    decode, calls = tiny.decode, []

    def decoding(x: torch.Tensor) -> np.ndarray:
        calls.append(1)
        # The third picture never fits: it is call 3 of the batch of four, call 6 (after two of a
        # batch that went well) of the second batch of two, and call 7 alone.
        if len(calls) in (3, 6, 7):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(x)

    monkeypatch.setattr(tiny, "decode", decoding)
    result = finish(start(four))
    assert tiny.batches == [4, 2, 2, 1]
    assert result.seeds == [3, 4]
    for mine, expected in zip(result.images, whole.images[:2], strict=True):
        assert np.abs(mine.astype(int) - expected).max() <= 1
    assert "Finished 2 of 4 pictures" in result.notes[-1]


def test_c52_starts_without_a_graphics_card(tiny: TinyDiffusion) -> None:
    device = choose_device("cpu")
    flags = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    fast = "avx512_bf16" in flags or "amx_bf16" in flags
    assert device.name == "cpu" and device.dtype == ("bfloat16" if fast else "float32")
    assert device.free_gb() > 0
    result = finish(start())
    assert result.settings["dtype"] in ("bfloat16", "float32")


def test_c52_says_how_long_it_takes(tiny: TinyDiffusion) -> None:
    pace, left = Pace(), []
    for step in start():
        if step.stage == "denoising":
            left.append(pace.seconds_left(step))
    assert left[0] is None and all(seconds is not None for seconds in left[1:])
    assert left[-1] == 0


WEIGHTS = {
    "absent": None,
    "empty": b"",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


@pytest.mark.parametrize("state", WEIGHTS)
def test_c53_without_weights_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    install(tmp_path, monkeypatch, weights=False)
    content = WEIGHTS[state]
    if content is not None:
        (tmp_path / NAME).mkdir()
        (tmp_path / NAME / FILE).write_bytes(content)
    assert NAME in methods.method_names() and NAME not in methods.available_methods()
    assert "python -m tests.fetch tiny" in methods.unavailable(NAME)
    for use in (lambda: methods.load_method(NAME), start):
        with pytest.raises(WeightsError, match=r"python -m tests\.fetch tiny"):
            use()
    # The app still works, with what is shipped.
    assert "preview" in methods.available_methods()


def test_c53_every_method_with_weights_says_how_to_get_them() -> None:
    for name, entry in loading.METHODS.items():
        assert bool(entry.files) == bool(entry.fetch), name


def test_c54_refused_before_loading_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, host_gb=54_321)
    # If it were loaded, damaged weights would be a different error.
    (tmp_path / NAME / FILE).write_bytes(b"damaged")
    with pytest.raises(ResourceError, match=r"needs 54321\.0 GB of memory and \d+\.\d GB are free"):
        finish(start())
    assert not ACCELERATOR.locked()


# -- repeat exactly


def test_c80_same_seed_same_bytes(tiny: TinyDiffusion) -> None:
    settings = TINY.replace(count=2, background="photo")
    first, second = finish(start(settings)), finish(start(settings))
    assert png(first, 1) == png(second, 1)
    assert png(first, 0) != png(first, 1)


def test_c81_a_picture_alone_and_in_a_batch(tiny: TinyDiffusion) -> None:
    together = finish(start(TINY.replace(count=4)))
    assert tiny.batches == [4]
    for number in range(4):
        alone = finish(start(TINY.replace(seed=3 + number)))
        difference = np.abs(alone.images[0].astype(int) - together.images[number])
        assert difference.max() <= 1
    assert not np.array_equal(together.images[0], together.images[3])


@pytest.mark.parametrize("seed", [None, -1])
def test_c82_a_drawn_seed_is_stored_and_repeats(tiny: TinyDiffusion, seed: int | None) -> None:
    drawn = finish(start(TINY.replace(seed=seed)))
    again = finish(start(TINY.replace(seed=seed)))
    assert drawn.seeds != again.seeds
    assert drawn.settings_of(0)["seed"] == drawn.seeds[0] >= 0
    assert np.array_equal(
        finish(start(TINY.replace(seed=drawn.seeds[0]))).images[0], drawn.images[0]
    )


def test_c83_settings_from_the_file_make_the_file(tiny: TinyDiffusion) -> None:
    from reposedm.pose import parse_pose

    made = finish(start(TINY.replace(seed=-1, count=2, background="plain", color="#336699")))
    stored, note = read_settings(png(made, 1))
    assert stored is not None and note == ""
    settings, notes = ReposeSettings.restored(stored)
    assert notes == () and settings.seed == made.seeds[1] and settings.count == 1
    body, wanted = parse_pose(stored["source_pose"]), parse_pose(stored["pose"])
    assert wanted == WANTED
    again = finish(repose(IMAGE, body, wanted, settings, source_mask=MASK))
    assert np.abs(again.images[0].astype(int) - made.images[1]).max() <= 1
    assert again.settings_of(0) == stored


def test_c84_the_noise_is_made_on_the_processor() -> None:
    first, second = generators([3, 4])
    assert first.device.type == "cpu"
    noise = torch.randn(4, generator=first)
    assert torch.equal(noise, torch.randn(4, generator=torch.Generator("cpu").manual_seed(3)))
    assert not torch.equal(noise, torch.randn(4, generator=second))


# -- the live preview shares nothing with a running job


def test_c43_the_live_preview_does_not_wait_for_a_job(tiny: TinyDiffusion) -> None:
    job = start()
    until(job, "denoising")
    picture = LivePreview().render(IMAGE, POSE, WANTED, 128, source_mask=MASK)
    assert picture.shape == IMAGE.shape
    job.close()
