"""Hostile rows C-60 to C-68: weight folders that are damaged, changed, wrong or hard to reach."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reposedm import cli
from reposedm.errors import WeightsError
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.safe import load_safetensors_strict
from reposedm.weights import CONFIG, MANIFEST, WEIGHTS
from tests.models.checkpoints import attacks, saved, tiny

DAMAGED = "damaged or incomplete: delete it and download it again"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "hhr")


def refused(folder: Path | str) -> str:
    """The message with which loading is refused: one or two sentences."""
    with pytest.raises(WeightsError) as caught:
        load_safetensors_strict(HigherHRNet, folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 800
    return message


def change(folder: Path, edit: Callable[[dict], None]) -> None:
    """Edit the tensors of a folder."""
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)


def configure(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, **changes}), "utf-8")


DAMAGE = {
    "truncated": lambda raw: raw[: len(raw) // 2],
    "one byte short": lambda raw: raw[:-1],
    "one byte more": lambda raw: raw + b"\0",
    "4 bytes": lambda raw: raw[:4],
    "8 bytes": lambda raw: raw[:8],
    "only the header": lambda raw: raw[: 8 + int.from_bytes(raw[:8], "little")],
    "header of 2**60 bytes": lambda raw: (1 << 60).to_bytes(8, "little") + raw[8:],
    "header of 0 bytes": lambda raw: bytes(8) + raw[8:],
    "header is no JSON": lambda raw: raw[:8] + b"x" + raw[9:],
    "an HTML page": lambda raw: b"<html><body>404: not found</body></html>",
    "a picture": lambda raw: b"\x89PNG\r\n\x1a\n" + raw,
    "zeros": lambda raw: bytes(len(raw)),
}


@pytest.mark.parametrize("manifest", [False, True], ids=["alone", "manifest"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_c60_damaged_weights(tmp_path: Path, kind: str, manifest: bool) -> None:
    folder = saved(tmp_path, manifest)
    weights = folder / WEIGHTS
    weights.write_bytes(DAMAGE[kind](weights.read_bytes()))
    message = refused(folder)
    assert DAMAGED in message and str(weights) in message
    if manifest:
        listed = json.loads((folder / MANIFEST).read_text("utf-8"))
        assert f"(sha256 {listed['files'][WEIGHTS]['sha256']})" in message


@pytest.mark.parametrize("name", [CONFIG, MANIFEST])
@pytest.mark.parametrize(
    "raw",
    [b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000, b'{"width": NaN}', b"1" * 5000],
    ids=lambda raw: raw[:12].decode("latin-1"),
)
def test_c60_damaged_json(tmp_path: Path, name: str, raw: bytes) -> None:
    folder = saved(tmp_path, manifest=True)
    (folder / name).write_bytes(raw)
    assert DAMAGED in refused(folder)


def test_c60_empty_and_absent_files(folder: Path) -> None:
    (folder / CONFIG).rename(folder / "x")
    assert "not here" in refused(folder)
    (folder / "x").rename(folder / CONFIG)
    (folder / WEIGHTS).write_bytes(b"")
    assert "empty" in refused(folder)
    (folder / WEIGHTS).unlink()
    assert f"There is no {WEIGHTS}" in refused(folder)
    (folder / WEIGHTS).mkdir()
    refused(folder)
    (folder / CONFIG).write_bytes(b"")
    shutil.rmtree(folder)
    assert "no weights folder" in refused(folder)


def test_c60_a_huge_config_is_not_parsed(folder: Path) -> None:
    (folder / CONFIG).write_bytes(b'{"a": "' + b"x" * (2 << 20) + b'"}')
    assert "larger than" in refused(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_c61_git_lfs_pointer(folder: Path, name: str) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 3\n"
    (folder / name).write_text(pointer)
    assert "git-lfs pointer" in refused(folder)


def test_c62_a_tensor_is_missing(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop("bn1.weight"))
    assert "1 missing (bn1.weight)" in refused(folder)


def test_c62_a_tensor_too_many(folder: Path) -> None:
    change(folder, lambda tensors: tensors.update(extra=torch.zeros(2)))
    assert "1 unexpected (extra)" in refused(folder)


def test_c62_another_shape(folder: Path) -> None:
    change(folder, lambda tensors: tensors.update({"bn1.weight": torch.zeros(5)}))
    assert "bn1.weight (5,) instead of (4,)" in refused(folder)


def test_c62_another_kind_of_number(folder: Path) -> None:
    change(folder, lambda tensors: tensors.update({"bn1.weight": torch.zeros(4, dtype=torch.int8)}))
    assert "bn1.weight is torch.int8" in refused(folder)


def test_c62_every_tensor_has_another_name(folder: Path) -> None:
    old = tiny().state_dict()
    save_file({f"x.{name}": value for name, value in old.items()}, folder / WEIGHTS)
    message = refused(folder)
    assert f"{len(old)} missing" in message and f"{len(old)} unexpected" in message


@pytest.mark.parametrize("name", ["UNet", "AutoencoderKL", "", None, 5, ["HigherHRNet"]], ids=str)
def test_c62_another_class(folder: Path, name: object) -> None:
    configure(folder, _class_name=name)
    assert "not for HigherHRNet" in refused(folder)


@pytest.mark.parametrize("key", ["depth", "self", "_use_default_values", "kwargs"])
def test_c62_an_unknown_setting(folder: Path, key: str) -> None:
    configure(folder, **{key: 3})
    message = refused(folder)
    assert f"no setting {key}" in message and "newer version" in message


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("how", ["one", "all", "half"])
def test_c63_weights_that_are_not_finite(folder: Path, value: str, how: str) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if tensors[name].is_floating_point()]:
            if how == "half":
                tensors[name] = tensors[name].half()
            if how != "one" or name == "stage4.0.branches.3.0.conv1.weight":
                tensors[name].view(-1)[-1] = float(value)

    change(folder, spoil)
    message = refused(folder)
    assert "not finite" in message
    assert ("1 tensors (stage4.0.branches.3.0.conv1.weight)" in message) == (how == "one")


@pytest.mark.parametrize("where", [0.5, 0.75, 0.999])
def test_c64_one_flipped_bit_in_the_numbers(tmp_path: Path, where: float) -> None:
    folder = saved(tmp_path, manifest=True)
    raw = bytearray((folder / WEIGHTS).read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    raw[start + int(where * (len(raw) - start))] ^= 1
    (folder / WEIGHTS).write_bytes(raw)
    message = refused(folder)
    assert DAMAGED in message and "sha256" in message
    (folder / MANIFEST).unlink()
    load_safetensors_strict(HigherHRNet, folder)  # nothing else could have noticed


def test_c64_a_changed_config_is_noticed(tmp_path: Path) -> None:
    folder = saved(tmp_path, manifest=True)
    (folder / CONFIG).write_text((folder / CONFIG).read_text("utf-8") + " ", "utf-8")
    assert DAMAGED in refused(folder)


@pytest.mark.parametrize(
    "files", [{}, {WEIGHTS: "abc"}, {WEIGHTS: {"bytes": 3}}, [], None], ids=str
)
def test_c64_a_manifest_that_lists_other_things(tmp_path: Path, files: object) -> None:
    folder = saved(tmp_path, manifest=True)
    (folder / MANIFEST).write_text(json.dumps({"files": files}), "utf-8")
    refused(folder)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "last.pt", "a.PTH", "x.ckpt"])
def test_c65_a_folder_with_a_pickle_only(folder: Path, tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    (folder / WEIGHTS).unlink()
    torch.save({"conv1.weight": attacks(marker)["os.system"]}, folder / name)
    message = refused(folder)
    assert "was not opened" in message and f"reposedm convert {folder / name}" in message
    assert not marker.exists()


def test_c65_a_pickle_under_the_name_of_the_weights(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"conv1.weight": attacks(marker)["os.system"]}, folder / WEIGHTS)
    assert DAMAGED in refused(folder)
    assert not marker.exists()


def test_c65_a_pickle_beside_the_weights_is_not_opened(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save(attacks(marker)["os.system"], folder / "diffusion_pytorch_model.bin")
    load_safetensors_strict(HigherHRNet, folder)
    assert not marker.exists()


def test_c65_a_pickle_given_for_the_folder(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"x")
    assert "is a file: name the folder" in refused(tmp_path / "last.pt")


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": "os.system"},
        {"_class_name": "../higherhrnet.HigherHRNet"},
        {"auto_map": {"AutoModel": "higherhrnet.HigherHRNet"}},
        {"_module": "os"},
    ],
    ids=str,
)
def test_c66_a_config_that_names_code(folder: Path, tmp_path: Path, changes: dict) -> None:
    marker = tmp_path / "ran"
    (folder / "higherhrnet.py").write_text(f"open({str(marker)!r}, 'w')\nclass HigherHRNet: ...\n")
    configure(folder, **changes)
    refused(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 10**9}, {"stem_channels": 10**9}, {"joints": 10**9}, {"blocks": 10**9},
        {"modules": [1, 10**9, 1]}, {"width": -1}, {"width": 1e9}, {"width": "32"},
        {"width": None}, {"modules": [[1, 4, 3]]}, {"modules": {}}, {"width": 10**400},
    ],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_c67_a_config_that_asks_for_all_memory(folder: Path, changes: dict) -> None:
    configure(folder, **changes)
    assert CONFIG in refused(folder)


def test_c67_a_possible_config_of_another_size_takes_no_memory(folder: Path) -> None:
    configure(folder, width=128, modules=[1, 1, 16], blocks=4)  # 6 GB of weights
    before = max_memory()
    assert "of another shape" in refused(folder)
    assert max_memory() - before < 500 << 20


def max_memory() -> int:
    """Bytes that this process ever had."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's rights, if the tests have them."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, with weights (pytest's own belong to one user)."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    yield saved(root / "weights")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(root)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files, as on Unix")
def test_c68_a_folder_that_is_read_only(public: Path) -> None:
    before = sorted(path.name for path in public.iterdir())
    for path in public.iterdir():
        path.chmod(0o444)
    public.chmod(0o555)
    with nobody():
        load_safetensors_strict(HigherHRNet, public)
    assert sorted(path.name for path in public.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files, as on Unix")
@pytest.mark.parametrize("what", ["folder", CONFIG, WEIGHTS])
def test_c68_no_permission(public: Path, what: str) -> None:
    (public if what == "folder" else public / what).chmod(0)
    with nobody():
        message = refused(public)
    assert "Permission denied" in message


@pytest.mark.parametrize("name", ["two words", "größe 模型 🙂", "a'b\"c", "-o"])
def test_c68_odd_names(tmp_path: Path, name: str) -> None:
    load_safetensors_strict(HigherHRNet, saved(tmp_path / name, manifest=True))


def test_c68_relative_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    load_safetensors_strict(HigherHRNet, "weights")
    load_safetensors_strict(HigherHRNet, Path("weights/../weights"))
    monkeypatch.setenv("HOME", str(tmp_path))
    load_safetensors_strict(HigherHRNet, "~/weights")


@pytest.mark.parametrize("path", ["no/such/folder", "", "nul\0byte", "x" * 5000])
def test_c68_paths_that_cannot_be(tmp_path: Path, monkeypatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    refused(path)


@pytest.mark.parametrize("name", ["two words", "größe 🙂"])
def test_c68_convert_into_odd_names(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.pth"
    torch.save(HigherHRNet(width=4).state_dict(), file)
    assert cli.main(["convert", str(file), "-o", str(tmp_path / "new" / name)]) == 0
    load_safetensors_strict(HigherHRNet, tmp_path / "new" / name)


def test_c68_convert_where_nothing_can_be_written(tmp_path: Path, capsys) -> None:
    file = tmp_path / "hhr.pth"
    torch.save(HigherHRNet(width=4).state_dict(), file)
    assert cli.main(["convert", str(file), "-o", str(file / "below" / "a file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
