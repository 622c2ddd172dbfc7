"""Chromium for the browser tests: one per session, and pages that must stay offline and clean.

``tests/browser/conftest.py`` makes the fixtures known there. A test elsewhere puts this folder on
``sys.path`` and imports ``browser``, ``open_page`` and what it needs: the browser is cached here,
so that both share one.
"""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 180
"""For an app to start: seconds on an idle machine, far more beside other tests."""
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@functools.cache
def _chromium() -> Any:
    from playwright.sync_api import sync_playwright

    context = sync_playwright()
    api = context.start()
    chromium = api.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
    atexit.register(context.__exit__, None, None, None)
    atexit.register(chromium.close)
    return chromium


@pytest.fixture(scope="session")
def browser() -> Any:
    """One headless Chromium for all browser tests; skipped where there is none."""
    pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium here: set CHROMIUM to its path")
    return _chromium()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(url, viewport=(1400, 900), touch=False, **context)`` -> a loaded page.

    At the end of the test no page may have asked anything of another host, or thrown an error.
    """
    contexts, errors, outside = [], [], []

    def open_one(
        url: str, viewport: tuple[int, int] = (1400, 900), touch: bool = False, **options: Any
    ) -> Any:
        context = browser.new_context(
            viewport={"width": viewport[0], "height": viewport[1]}, has_touch=touch, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if _is_error(line) else None)
        page.on("request", lambda request: _note_outside(request.url, outside))
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not outside, "requests left this machine"
    assert not errors, "the page threw errors"


def _is_error(line: Any) -> bool:
    return line.type == "error" and "Error executing js_on_load" in line.text


def _note_outside(url: str, outside: list[str]) -> None:
    parts = urlparse(url)
    if parts.scheme not in ("data", "blob") and parts.hostname not in ("127.0.0.1", "localhost"):
        outside.append(url)


def start_app(script: Path, log: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a Gradio script on a free port (in $PORT) and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ, "PORT": str(port), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url + "config", timeout=5).close()
            return process, url
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    process.kill()
    pytest.fail(f"{script.name} did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


@pytest.fixture(scope="session")
def editor_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``editor_app.py``."""
    log = tmp_path_factory.mktemp("editor") / "app.log"
    process, url = start_app(Path(__file__).with_name("editor_app.py"), log)
    yield url
    process.terminate()
    process.wait(20)
