"""The public parser's back end, with a real SegFormer of a few thousand random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reposedm.errors import DetectionError, WeightsError
from reposedm.garments import segformer
from reposedm.garments.labels import BACKGROUND, BOTTOM, CLASSES, SHOES, TOP
from reposedm.garments.parse import parse_person
from tests.drawn import photo

NAMES = (
    "Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt",
    "Left-shoe", "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag",
    "Scarf",
)  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the Hub's library; yields where the weights' files belong."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / f"models--{segformer.REPOSITORY.replace('/', '--')}"
    commit = "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    segformer._loaded.clear()
    yield folder / "snapshots" / commit
    segformer._loaded.clear()


def save(folder: Path, names: tuple[str, ...] = NAMES) -> Any:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[4, 4, 8, 8], num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8, id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )  # fmt: skip
    network = SegformerForSemanticSegmentation(config)
    network.save_pretrained(folder)
    return network


def test_every_name_has_a_label() -> None:
    assert {name.lower() for name in NAMES} == set(segformer.LABELS)
    shares = np.zeros((len(NAMES), 2, 2), np.float32)
    for name, value in (("Left-shoe", 0.25), ("Right-shoe", 0.5), ("Bag", 0.25)):
        shares[NAMES.index(name)] = value
    found = segformer.ours(shares, dict(enumerate(NAMES)))
    assert found.shape == (len(CLASSES), 2, 2) and found.sum(0) == pytest.approx(np.ones((2, 2)))
    assert found[SHOES, 0, 0] == 0.75 and found[BACKGROUND, 0, 0] == 0.25
    assert segformer.LABELS["pants"] == BOTTOM and segformer.LABELS["upper-clothes"] == TOP


@pytest.mark.heavy
def test_the_real_code_path_with_small_weights(hub: Path) -> None:
    save(hub)
    image, pose, mask = photo()
    found = parse_person(image, pose, mask, "segformer")
    assert found.shape == mask.shape and (found[mask >= 0.5] > 0).all()
    assert not found[mask < 0.5].any()


@pytest.mark.heavy
def test_another_networks_classes_are_refused(hub: Path) -> None:
    save(hub, ("wall", "building", "sky"))
    image, pose, mask = photo()
    with pytest.raises(WeightsError, match="'wall'"):
        parse_person(image, pose, mask, "segformer")


@pytest.mark.heavy
def test_weights_with_a_tensor_missing_are_refused(hub: Path) -> None:
    from safetensors.torch import load_file, save_file

    save(hub)
    tensors = load_file(hub / "model.safetensors")
    del tensors["decode_head.classifier.weight"]
    save_file(tensors, hub / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="lacks 1 tensors"):
        segformer.load(hub)
    (hub / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(WeightsError, match="fetch it again"):
        segformer.load(hub)


def test_offline_it_says_how_to_fetch(hub: Path) -> None:
    image, pose, mask = photo()
    with pytest.raises(DetectionError, match=r"hf download mattmdjaga.*or choose the parser small"):
        parse_person(image, pose, mask, "segformer")
