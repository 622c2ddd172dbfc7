from pathlib import Path

import pytest

from reposedm.errors import SettingsError
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities


@pytest.mark.parametrize("name", list(loading.METHODS))
def test_every_entry_is_a_method_of_that_name(name: str) -> None:
    able = loading.capabilities(name)
    assert isinstance(able, Capabilities) and able.name == name
    assert able.label and able.description and able.stages
    known = {"steps", "guidance_scale", "pose_guidance_scale", "texture", "prompt"}
    assert able.controls <= known


def test_the_first_method_needs_no_weights() -> None:
    first = next(iter(loading.METHODS))
    assert loading.unavailable(first) == ""
    assert loading.load_method(first).capabilities.name == first


@pytest.mark.parametrize("name", ["", "no", None, 5, ["preview"], "os.path"])
def test_unknown_names_are_refused(name: object) -> None:
    for use in (loading.capabilities, loading.unavailable, loading.load_method):
        with pytest.raises(SettingsError, match="there is no method"):
            use(name)  # type: ignore[operator]


def test_weights_root_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "my wéights"
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(odd))
    assert loading.weights_root() == odd.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REPOSEDM_WEIGHTS", "~/w")
    assert loading.weights_root() == (tmp_path / "w").resolve()
    monkeypatch.setenv("REPOSEDM_WEIGHTS", "")
    assert loading.weights_root().parts[-2:] == ("assets", "weights")
