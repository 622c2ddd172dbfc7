"""Hostile rows that only the served app can answer: uploads, queue, errors, files, privacy."""

from __future__ import annotations

import html
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from reposedm.errors import ImageError, SettingsError
from reposedm.imaging import Photo
from reposedm.pose import default_pose
from reposedm.ui import app as ui_app
from reposedm.ui.messages import as_gradio_error, friendly
from reposedm.ui.safe_image import SafeImage
from reposedm.ui.session import MAX_ENTRIES, Entry, Session

pytestmark = pytest.mark.heavy  # the served app starts first

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "assets" / "examples" / "breton-stripes.jpg"


@pytest.fixture(scope="module")
def page() -> Any:
    """The interface, built but not served."""
    return ui_app.build()


@pytest.fixture(scope="module")
def client(app: Any) -> Any:
    from gradio_client import Client

    return Client(app.url, verbose=False)


def refused(client: Any, *arguments: Any, api_name: str) -> str:
    """What the app says when it refuses."""
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.png", b""),
        ("text.png", b"this is not a picture"),
        ("page.jpg", b"<!doctype html><html><body>404</body></html>"),
        ("paper.png", b"%PDF-1.7 ..."),
    ],
)
def test_c02_the_reason_reaches_the_user(
    client: Any, tmp_path: Path, name: str, content: bytes
) -> None:
    from gradio_client import handle_file

    file = tmp_path / name
    file.write_bytes(content)
    said = refused(client, handle_file(str(file)), api_name="/detect")
    assert "verbose error reporting" not in said
    assert "upstream" not in said
    assert "picture" in said or "image" in said


def test_c02_the_page_gets_the_configuration_of_a_stock_image() -> None:
    with gr.Blocks():
        safe, stock = SafeImage(), gr.Image(type="filepath", image_mode=None, format="png")
    assert set(safe.get_config()) == set(stock.get_config())
    assert safe.get_block_name() == "image"


def test_c20_more_than_25_mb_are_rejected(app: Any) -> None:
    body = b"\r\n".join([
        b"--x", b'Content-Disposition: form-data; name="files"; filename="big.png"',
        b"Content-Type: image/png", b"", b"0" * (26 * 2**20), b"--x--", b"",
    ])  # fmt: skip
    request = urllib.request.Request(
        app.url + "gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 413


@pytest.mark.models
def test_c22_a_photo_far_from_people_runs(client: Any, tmp_path: Path) -> None:
    from gradio_client import handle_file

    noise = np.random.default_rng(3).integers(0, 255, (200, 160, 3), np.uint8)
    file = tmp_path / "noise.png"
    Image.fromarray(noise).save(file)
    assert "found" in refused(client, handle_file(str(file)), api_name="/detect")


def test_c23_no_photo_is_a_sentence(client: Any) -> None:
    assert "photo" in refused(client, None, api_name="/detect")


@pytest.mark.models
def test_c24_the_same_photo_twice(client: Any) -> None:
    from gradio_client import handle_file

    first = client.predict(handle_file(str(EXAMPLE)), api_name="/detect")
    assert client.predict(handle_file(str(EXAMPLE)), api_name="/detect") == first


def test_c40_every_job_event_is_a_generator(page: Any) -> None:
    jobs = [event for event in page.fns.values() if event.concurrency_id == "accelerator"]
    names = sorted(event.fn.__name__ for event in jobs)
    assert names == ["repose", "run", "run", "swap_garment"], "two buttons, two endpoints"
    assert all(event.types_generator for event in jobs)


def test_c43_one_job_at_a_time(page: Any) -> None:
    limits = {
        event.concurrency_limit
        for event in page.fns.values()
        if event.concurrency_id == "accelerator"
    }
    assert limits == {1}


def test_c44_the_queue_is_bounded(page: Any) -> None:
    assert page._queue.max_size == ui_app.QUEUE


@pytest.mark.models
def test_c42_a_client_that_leaves_stops_its_job(client: Any, app: Any) -> None:
    import time

    from gradio_client import handle_file

    people = client.predict(handle_file(str(EXAMPLE)), api_name="/detect")
    closed = app.log.read_text("utf-8").count("CLOSED AT")
    job = client.submit(
        handle_file(str(EXAMPLE)), people, "tiny", 200, None, None, 0, 1, True, api_name="/repose"
    )
    time.sleep(2.5)
    job.cancel()
    for _ in range(60):
        time.sleep(0.25)
        if app.log.read_text("utf-8").count("CLOSED AT") > closed:
            break
    assert app.log.read_text("utf-8").count("CLOSED AT") == closed + 1


def test_c87_a_users_text_is_never_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    error = as_gradio_error(ImageError(f"cannot read {evil}"))
    assert evil not in str(error.message)
    assert html.escape(evil) in str(error.message)


def test_c88_a_bug_shows_an_id_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    @friendly
    def broken() -> None:
        raise RuntimeError("password=hunter2")

    with pytest.raises(gr.Error) as caught:
        broken()
    said = str(caught.value.message)
    assert "hunter2" not in said
    ticket = said.rsplit("log id ", 1)[1].rstrip(")")
    assert ticket in caplog.text
    assert "hunter2" in caplog.text, "the details are in the log"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/environ", "http://127.0.0.1:1/x.png", "app.py"]
)
def test_c89_a_posted_path_is_refused(app: Any, path: str) -> None:
    data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
    request = urllib.request.Request(
        app.url + "gradio_api/call/detect", json.dumps(data).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{app.url}gradio_api/call/detect/{event}") as answer:
        text = answer.read().decode()
    assert "event: error" in text
    assert "root:" not in text
    assert "people" not in text


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "app.py"), "app.py"])
def test_c90_files_of_the_server_are_not_served(app: Any, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{app.url}gradio_api/file={path}")
    assert caught.value.code in (403, 404)


def test_c92_pictures_are_served_lossless(page: Any) -> None:
    formats = {
        type(block).__name__: block.format
        for block in page.blocks.values()
        if isinstance(block, (gr.Gallery, gr.ImageSlider, SafeImage))
    }
    assert formats
    assert set(formats.values()) == {"png"}


def test_c94_old_files_are_deleted(page: Any) -> None:
    assert page.delete_cache == (3600, 86400)


def test_c94_deleting_a_session_leaves_no_file() -> None:
    session = Session()
    pixels = np.full((80, 70, 3), 120, np.uint8)
    session.set_photo(Photo(pixels, (), {}))
    folder = session.folder()
    assert list(folder.iterdir())
    session.clear()
    assert not folder.exists()
    assert session.photo is None
    assert not session.entries


def test_c94_a_session_keeps_a_bounded_number_of_results(tmp_path: Path) -> None:
    session = Session()
    pose = default_pose((70, 80))
    for number in range(3 * MAX_ENTRIES):
        session.entries.append(Entry(tmp_path / str(number), tmp_path, "", "", (pose,)))
    assert len(session.entries) == MAX_ENTRIES


def test_c96_sharing_is_off_and_a_login_must_be_whole() -> None:
    import app as entry

    flags = entry.parse([])
    assert not flags.share
    assert not flags.listen
    with pytest.raises(SettingsError, match="USER:PASSWORD"):
        ui_app.serve(auth="only-a-user", open_browser=False, block=False)


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http"])
def test_c96_an_impossible_port_is_said(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    import app as entry

    with pytest.raises(SystemExit) as exit_:
        entry.parse(["--port", port])
    assert exit_.value.code == 2
    assert "from 1 to 65535" in capsys.readouterr().err


def test_c96_a_taken_port_is_one_line() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = subprocess.run(
            [sys.executable, "app.py", "--no-browser", "--port", port],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert f"Port {port}" in run.stderr


def test_c97_no_analytics(page: Any, app: Any) -> None:
    assert page.analytics_enabled is False
    with urllib.request.urlopen(app.url + "config") as answer:
        config = json.load(answer)
    assert not config["analytics_enabled"]
    assert "run_history" not in config or not config["run_history"]


def test_c98_the_page_says_so(app: Any) -> None:
    with urllib.request.urlopen(app.url + "config") as answer:
        text = io.TextIOWrapper(answer, "utf-8").read()
    assert "agreed to it" in text
