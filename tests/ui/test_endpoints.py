"""The API as a program uses it: gradio_client against the served app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reposedm.imaging import is_marked, read_image, read_settings
from reposedm.pose import draw_map, parse_people, preset, to_openpose

pytestmark = pytest.mark.models
EXAMPLE = Path(__file__).parents[2] / "assets" / "examples" / "breton-stripes.jpg"


@pytest.fixture(scope="module")
def client(app: Any) -> Any:
    from gradio_client import Client

    return Client(app.url, verbose=False)


def test_exactly_these_endpoints_are_public(client: Any) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(named) == ["/detect", "/render_pose", "/repose", "/swap_garment"]
    names = [one["parameter_name"] for one in named["/repose"]["parameters"]]
    assert names == [
        "image", "pose", "method", "steps", "guidance", "pose_guidance", "seed", "count",
        "paste_back",
    ]  # fmt: skip


def test_detect_render_and_repose(client: Any) -> None:
    from gradio_client import handle_file

    people = client.predict(handle_file(str(EXAMPLE)), api_name="/detect")
    person = parse_people(people)[0]
    assert person.size == Image.open(EXAMPLE).size
    assert person.visible.sum() >= 14

    target = preset("arms-spread", body=person)
    drawn = client.predict(to_openpose([target]), api_name="/render_pose")
    assert np.array_equal(np.asarray(Image.open(drawn).convert("RGB")), draw_map([target]))

    files, settings = client.predict(
        image=handle_file(str(EXAMPLE)), pose=to_openpose([target]), method="preview", steps=None,
        guidance=None, pose_guidance=None, seed=-1, count=1, paste_back=True, api_name="/repose",
    )  # fmt: skip
    assert len(files) == 1
    assert settings["method"] == "preview"
    result = Image.open(files[0])
    assert result.size == person.size
    assert is_marked(read_image(files[0]))
    stored, _ = read_settings(files[0])
    assert stored is not None
    difference = np.abs(np.asarray(result.convert("RGB")).astype(int) - Image.open(EXAMPLE))
    assert difference.max() > 60


def test_a_stepwise_method_makes_as_many_as_asked_with_seeds(client: Any) -> None:
    from gradio_client import handle_file

    people = client.predict(handle_file(str(EXAMPLE)), api_name="/detect")
    files, settings = client.predict(
        handle_file(str(EXAMPLE)), json.dumps(people), "tiny", 3, None, None, 7, 2, False,
        api_name="/repose",
    )  # fmt: skip
    assert settings["seeds"] == [7, 8]
    assert len(files) == 2
    assert Image.open(files[0]).size == (44, 64), "not pasted back: the network's frame"


@pytest.mark.parametrize(
    ("pose", "method", "steps", "said"),
    [
        ("{", "preview", None, "JSON"),
        ({"people": []}, "preview", None, "nobody"),
        (None, "preview", None, "pose"),
        ("same", "painter", None, "method"),
        ("same", "preview", 5, "steps"),
        ("same", "tiny", 0, "steps"),
        ("same", "tiny", 1000, "steps"),
    ],
)
def test_c47_bad_arguments_are_refused_in_words(
    client: Any, pose: Any, method: str, steps: int | None, said: str
) -> None:
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    if pose == "same":
        pose = client.predict(handle_file(str(EXAMPLE)), api_name="/detect")
    with pytest.raises(AppError, match=said):
        client.predict(
            handle_file(str(EXAMPLE)), pose, method, steps, None, None, 0, 1, True,
            api_name="/repose",
        )  # fmt: skip
