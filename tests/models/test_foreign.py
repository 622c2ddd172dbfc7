"""Foreign checkpoints: what is read, what is refused, and that nothing in them runs."""

import io
import json
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file

from reposedm import cli
from reposedm.errors import WeightsError
from reposedm.models.foreign import Stub, View, read_foreign, state_dict_of, tensors_of
from reposedm.models.foreign_layouts import convert_checkpoint, pidm_shapes
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.safe import load_safetensors_strict
from tests.models.checkpoints import Attack, attacks, pidm, reference, shaken


class Settings(BaseModel):
    """What PIDM's ``conf`` is: an object of a class that only its own program has."""

    beta: float = 0.1
    levels: list[int] = [1, 2]


@pytest.fixture(scope="module")
def network() -> HigherHRNet:
    """The published architecture (1810 tensors), narrow."""
    torch.manual_seed(3)
    return shaken(HigherHRNet(width=4))


def below(prefix: str, tensors: dict) -> OrderedDict:
    return OrderedDict((prefix + name, value) for name, value in tensors.items())


def mmpose(tensors: dict) -> dict:
    """As mmpose 0.x saves: two prefixes, and a meta with a numpy number in it."""
    state = OrderedDict(
        (("keypoint_head." if name.startswith(("final", "deconv")) else "backbone.") + name, value)
        for name, value in tensors.items()
    )
    return {"meta": {"epoch": 300, "AP": np.float64(0.677), "time": "Sun"}, "state_dict": state}


FORMS = {
    "bare": OrderedDict,
    "original, several GPUs": lambda tensors: below("module.", tensors),
    "original, training": lambda tensors: {"epoch": 3, "state_dict": below("module.", tensors)},
    "mmpose 0.x": mmpose,
    "mmpose 0.x, several GPUs": lambda tensors: below("module.", mmpose(tensors)["state_dict"]),
    "parameters": lambda tensors: {
        name: torch.nn.Parameter(value) if value.is_floating_point() else value
        for name, value in tensors.items()
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_higherhrnet_in_every_form_gives_the_same_tensors(tmp_path, network, form: str) -> None:
    torch.save(FORMS[form](network.state_dict()), tmp_path / "hhr.pth")
    found = convert_checkpoint(tmp_path / "hhr.pth")
    assert found.kind == "higherhrnet" and len(found.tensors) == 1810
    assert ("mmpose" in found.source) == form.startswith("mmpose")
    wanted = network.state_dict()
    assert [name for name in wanted if not torch.equal(wanted[name], found.tensors[name])] == []


def test_a_converted_folder_loads_and_computes_the_same(tmp_path, network) -> None:
    file, folder = tmp_path / "hhr.pth", tmp_path / "out"
    torch.save(mmpose(network.state_dict()), file, _use_new_zipfile_serialization=False)
    assert cli.main(["convert", str(file), "-o", str(folder)]) == 0
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["kind"] == "higherhrnet" and manifest["source"] == "HigherHRNet, mmpose 0.x"
    assert manifest["shapes"]["conv1.weight"] == "64x3x3x3" and len(manifest["shapes"]) == 1810
    again = load_safetensors_strict(HigherHRNet, folder)
    with torch.no_grad():
        x = torch.rand(1, 3, 32, 32)
        assert torch.equal(network(x)[0], again(x)[0])
        assert torch.equal(network(x)[1], again(x)[1])


def test_checkpoints_without_batch_counters_are_complete(tmp_path, network) -> None:
    old = {n: t for n, t in network.state_dict().items() if not n.endswith("batches_tracked")}
    assert len(old) == 1509
    torch.save(old, tmp_path / "old.pth")
    found = convert_checkpoint(tmp_path / "old.pth").tensors
    assert len(found) == 1810 and found["bn1.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(found["bn1.running_mean"], old["bn1.running_mean"])


def test_other_numbers_of_joints_convert(tmp_path) -> None:
    torch.save(HigherHRNet(width=4, joints=14).state_dict(), tmp_path / "crowdpose.pth")
    assert convert_checkpoint(tmp_path / "crowdpose.pth").config["joints"] == 14


def test_what_does_not_fit_is_named(tmp_path, network) -> None:
    tensors = dict(network.state_dict())
    tensors["stage5.0.weight"] = torch.zeros(2)
    tensors["conv1.weight"] = torch.zeros(64, 1, 3, 3)
    for name in ("bn2.bias", "bn2.weight", "bn1.bias", "bn1.weight"):
        del tensors[name]
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(WeightsError) as caught:
        convert_checkpoint(tmp_path / "odd.pth")
    message = str(caught.value)
    assert "of 1810 tensors" in message
    assert "4 missing (bn1.weight, bn1.bias, bn2.weight and 1 more)" in message
    assert "1 unexpected (stage5.0.weight)" in message
    assert "conv1.weight (64, 1, 3, 3) instead of (64, 3, 3, 3)" in message


def test_the_same_name_below_two_prefixes_is_refused(tmp_path, network) -> None:
    tensors = {**network.state_dict(), **below("module.", network.state_dict())}
    torch.save(tensors, tmp_path / "twice.pth")
    with pytest.raises(WeightsError, match="twice"):
        convert_checkpoint(tmp_path / "twice.pth")


def test_nan_is_refused(tmp_path, network) -> None:
    tensors = {name: value.clone() for name, value in network.state_dict().items()}
    tensors["bn1.bias"][3] = float("nan")
    torch.save(tensors, tmp_path / "nan.pth")
    with pytest.raises(WeightsError, match=r"not finite in 1 tensors \(bn1.bias\)"):
        convert_checkpoint(tmp_path / "nan.pth")


def test_all_852_names_and_shapes_of_pidm() -> None:
    wanted = reference("pidm.txt.gz")
    assert len(wanted) == 852
    assert pidm_shapes() == wanted
    assert sum(int(np.prod(shape)) for shape in wanted.values()) == 180_355_718


def pidm_file(file: Path, **changes: object) -> OrderedDict:
    ema = pidm()
    model = OrderedDict((name, value + 1) for name, value in ema.items())
    rest = {"scheduler": {"step": 5}, "optimizer": {"state": {}}, "conf": Settings()}
    torch.save({"model": model, "ema": ema, **rest, **changes}, file)
    return ema


def test_pidm_with_foreign_settings_gives_its_average(tmp_path) -> None:
    file, folder = tmp_path / "last.pt", tmp_path / "pidm"
    ema = pidm_file(file)
    with pytest.raises(pickle.UnpicklingError):  # the reason for the second reader
        torch.load(file, weights_only=True)
    found = convert_checkpoint(file)
    assert found.kind == "pidm"
    assert found.config == {"_class_name": "PIDM", "model_channels": 4, "in_channels": 23}
    assert all(torch.equal(found.tensors[name], value) for name, value in ema.items())
    assert cli.main(["convert", str(file), "-o", str(folder), "--kind", "pidm"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "diffusion_pytorch_model.safetensors", "manifest.json",
    ]  # fmt: skip


def test_pidm_without_average_gives_the_model(tmp_path) -> None:
    ema = pidm_file(tmp_path / "last.pt", ema=None)
    found = convert_checkpoint(tmp_path / "last.pt").tensors
    assert torch.equal(found["out.2.bias"], ema["out.2.bias"] + 1)


def test_a_kind_that_it_is_not_is_refused(tmp_path, network) -> None:
    torch.save(network.state_dict(), tmp_path / "hhr.pth")
    pidm_file(tmp_path / "pidm.pt")
    with pytest.raises(WeightsError, match="no checkpoint of PIDM"):
        convert_checkpoint(tmp_path / "hhr.pth", "pidm")
    with pytest.raises(WeightsError, match="no HigherHRNet"):
        convert_checkpoint(tmp_path / "pidm.pt", "higherhrnet")
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"1 tensors \(fc.weight ...\) of a network that is not"):
        convert_checkpoint(tmp_path / "other.pt")


NAMES = tuple(attacks(Path("marker")))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("attack", NAMES)
def test_c65_a_malicious_pickle_does_nothing(tmp_path, attack: str, zipped: bool) -> None:
    marker = tmp_path / "ran"
    evil = attacks(marker)[attack]
    pickle.loads(pickle.dumps(evil))  # the attack is a real one
    assert marker.exists()
    (marker.rmdir if marker.is_dir() else marker.unlink)()
    ema = OrderedDict(a=torch.rand(3), evil=evil, b=torch.rand(2, 2).t())
    content = {"conf": evil, "ema": ema, "list": [evil, {"a": {"b": (evil,)}}]}
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    parts = state_dict_of(read_foreign(tmp_path / "evil.pt"), "evil.pt")
    found = tensors_of(parts, tmp_path)
    assert not marker.exists()
    assert list(found) == ["a", "b"]
    assert torch.equal(found["a"], ema["a"]) and torch.equal(found["b"], ema["b"])


def test_c65_convert_runs_nothing_of_a_checkpoint_full_of_attacks(tmp_path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "last.pt"
    ema = pidm_file(file, conf=attacks(marker), optimizer=list(attacks(marker).values()))
    assert cli.main(["convert", str(file), "-o", str(tmp_path / "out")]) == 0
    assert not marker.exists()
    found = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    assert found.keys() == ema.keys() and torch.equal(found["out.2.bias"], ema["out.2.bias"])


@pytest.mark.parametrize("attack", NAMES)
@pytest.mark.parametrize("place", ["alone", "key", "storage"])
def test_c65_attacks_in_other_places(tmp_path, attack: str, place: str) -> None:
    marker = tmp_path / "ran"
    evil = attacks(marker)[attack]
    rebuild = Attack(torch._utils._rebuild_tensor_v2, evil, 0, (1,), (1,), False, OrderedDict())
    content = {"alone": evil, "key": {"ema": {(evil, 1): 2}}, "storage": {"a": rebuild}}[place]
    torch.save(content, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(WeightsError):
            convert_checkpoint(tmp_path / name)
        assert not marker.exists()


def test_a_stub_cannot_be_changed() -> None:
    before = dict(vars(Stub)), dict(vars(View))
    Stub.__setstate__({"__call__": print})
    View.__setstate__((None, {"tensor": print}))
    stub = Stub(1, two=2)
    stub.__setstate__({"x": 1})
    stub["a"] = 1
    stub.append(1)
    assert stub(3) is stub and vars(stub) == {}
    assert (dict(vars(Stub)), dict(vars(View))) == before


def storage(count: int) -> torch.storage.TypedStorage:
    return torch.arange(float(count))._typed_storage()


def test_a_view_is_the_part_it_names() -> None:
    view = View(storage(12), 1, (2, 3), (4, 1), True, OrderedDict())
    assert view.shape == (2, 3)
    assert view.tensor().tolist() == [[1, 2, 3], [5, 6, 7]]
    assert View(storage(3), 2, (), ()).tensor().item() == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (2, (2, 3), (8, 1)), (11, (2,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (-2,), (1,)),
        (0, (10**12,), (1,)), (0, (2, 2), (1,)), (0, (2.0,), (1,)), (0, "ab", (1, 1)), (0, 5, (1,)),
    ],
    ids=str,
)  # fmt: skip
def test_a_view_beyond_its_storage_is_refused(arguments: tuple) -> None:
    with pytest.raises(WeightsError, match="damaged"):
        tensors_of({"a": View(storage(12), *arguments)}, Path("file"))


def archive(file: Path, names: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in names.items():
            opened.writestr(name, content)


def test_other_containers_are_not_opened(tmp_path) -> None:
    cases = {}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    cases["a.tar"] = "tar archive"
    archive(tmp_path / "b.zip", {"readme.txt": b"hello"})
    cases["b.zip"] = "not a PyTorch checkpoint"
    archive(tmp_path / "c.pt", {"x/data.pkl": b".", "x/code/a.py": b"", "x/constants.pkl": b"."})
    cases["c.pt"] = "TorchScript"
    archive(tmp_path / "d.pt", {"x/data.pkl": b"0" * 10**6}, zipfile.ZIP_DEFLATED)
    cases["d.pt"] = "compressed"
    (tmp_path / "e.pth").write_text("<html><body>Quota exceeded</body></html>")
    cases["e.pth"] = "damaged or incomplete"
    (tmp_path / "f.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    cases["f.pth"] = "git-lfs pointer"
    (tmp_path / "g.pth").write_bytes(b"")
    cases["g.pth"] = "empty"
    cases["nothing.pth"] = "not here"
    for name, words in cases.items():
        with pytest.raises(WeightsError, match=words):
            read_foreign(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_cut_off_anywhere_is_damaged(tmp_path, zipped: bool) -> None:
    torch.save({"a": torch.rand(50), "conf": Settings()}, tmp_path / "w.pt",
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    whole = (tmp_path / "w.pt").read_bytes()
    assert torch.is_tensor(
        tensors_of(state_dict_of(read_foreign(tmp_path / "w.pt"), ""), tmp_path)["a"]
    )
    for size in range(1, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.pt").write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            state_dict_of(read_foreign(tmp_path / "cut.pt"), "cut.pt")


def test_convert_replaces_nothing_and_leaves_nothing(tmp_path, capsys) -> None:
    file, taken = tmp_path / "last.pt", tmp_path / "taken"
    pidm_file(file)
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    for output, words in ((taken, "files already"), (file, "is a file")):
        assert cli.main(["convert", str(file), "-o", str(output)]) == 2
        assert words in capsys.readouterr().err
    assert cli.main(["convert", str(tmp_path / "no.pt"), "-o", str(tmp_path / "new")]) == 2
    assert "not here" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "taken"]
    assert (taken / "mine.txt").read_text() == "mine"
    (taken / "mine.txt").unlink()
    assert cli.main(["convert", str(file), "-o", str(taken)]) == 0, "an empty folder may be used"
    assert "PIDM: 852 tensors, 183,594 values" in capsys.readouterr().err
    assert cli.main(["convert", str(file), "-o", str(taken)]) == 2
    assert "weights already" in capsys.readouterr().err
