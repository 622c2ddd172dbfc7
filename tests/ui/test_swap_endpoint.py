"""The endpoint /swap_garment as a program uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from reposedm.imaging import is_marked, read_image, read_settings
from reposedm.pose import to_openpose
from reposedm.ui.examples import all_examples
from tests.dressed import shirt

pytestmark = pytest.mark.models
SIZE = (288, 384)


@pytest.fixture(scope="module")
def client(app: Any) -> Any:
    from gradio_client import Client

    return Client(app.url, verbose=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A person, small, with their pose; and a product picture."""
    folder = tmp_path_factory.mktemp("swap")
    example = all_examples()[0]
    Image.open(example.file).convert("RGB").resize(SIZE).save(folder / "person.png")
    Image.fromarray(shirt()).save(folder / "shirt.png")
    Image.new("RGB", (200, 200), "white").save(folder / "white.png")
    pose = example.source.transformed(np.array(SIZE) / example.source.size, 0, SIZE)
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[100:150, 120:170] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(mask[:100]).save(folder / "other.png")
    return {name: str(folder / f"{name}.png") for name in
            ("person", "shirt", "white", "mask", "other")} | {
        "pose": to_openpose([pose])
    }  # fmt: skip


def test_its_arguments_are_promises(client: Any) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]["/swap_garment"]
    assert [one["parameter_name"] for one in named["parameters"]] == [
        "person", "garment", "region", "mask", "method", "steps", "guidance", "seed", "count",
        "pose", "garment_pose",
    ]  # fmt: skip


def test_swap_and_the_mask_that_it_kept_to(client: Any, pictures: dict[str, Any]) -> None:
    from gradio_client import handle_file

    files, mask, settings = client.predict(
        person=handle_file(pictures["person"]), garment=handle_file(pictures["shirt"]),
        region="top", mask=None, method="warp", steps=None, guidance=None, seed=-1, count=1,
        pose=pictures["pose"], garment_pose=None, api_name="/swap_garment",
    )  # fmt: skip
    assert settings["region"] == "top" and settings["method"] == "warp"
    assert is_marked(read_image(files[0]))
    stored, _ = read_settings(files[0])
    assert stored is not None and stored["region"] == "top"
    before = np.asarray(Image.open(pictures["person"]))
    after = np.asarray(Image.open(files[0]).convert("RGB"))
    allowed = np.asarray(Image.open(mask)) > 0
    assert np.array_equal(after[~allowed], before[~allowed])
    green = np.abs(after.astype(int) - (30, 120, 60)).max(2) < 45
    assert green.sum() > 0.3 * allowed.sum()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"garment": "white"}, "empty, one colour"),
        ({"garment": None}, "garment: upload"),
        ({"person": None}, "person: upload"),
        ({"person": "shirt", "pose": None}, "(?i)nobody was found|shirt"),
        ({"region": "sky"}, "there is no region"),
        ({"region": "shoes"}, "cannot be taken from a picture without a person"),
        ({"mask": "other"}, "the photo has 288 x 384"),
        ({"method": "swap"}, "weights of swap"),
        ({"steps": 5}, "means nothing to the method"),
        ({"count": 0}, "number of pictures"),
        ({"pose": {"people": []}}, "nobody"),
    ],
    ids=str,
)
def test_c47_bad_swaps_are_refused_in_words(
    client: Any, pictures: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    given = {"person": "person", "garment": "shirt", "region": "top", "mask": None,
             "method": "warp", "steps": None, "guidance": None, "seed": 0, "count": 1,
             "pose": pictures["pose"], "garment_pose": None} | change  # fmt: skip
    for name in ("person", "garment", "mask"):
        if given[name] is not None:
            given[name] = handle_file(pictures[given[name]])
    with pytest.raises(AppError, match=said):
        client.predict(**given, api_name="/swap_garment")
