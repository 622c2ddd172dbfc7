"""Reading MakeHuman's files, and the rule of which may be read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from training.sample import DataError
from training.synthetic.__main__ import main
from training.synthetic.formats import read_bvh, read_mhclo, read_obj, read_target
from training.synthetic.licence import Ledger, evidence
from training.synthetic.pack import connected, shrunk, strongest

HEADER = "# explicitly released as CC0 in september 2020\n"


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_is_taken_by_its_own_header(tmp_path: Path) -> None:
    assert evidence(write(tmp_path / "a.target", HEADER + "1 0 0 0\n")) == "header"
    assert evidence(write(tmp_path / "b.target", "# AGPL3\n1 0 0 0\n")) == ""
    assert evidence(write(tmp_path / "c.mhskel", '{"bones": 1, "license": "CC0"}')) == "header"
    assert evidence(tmp_path / "absent.obj") == ""


def test_a_pose_is_taken_by_its_meta_file(tmp_path: Path) -> None:
    pose = write(tmp_path / "run.bvh", "HIERARCHY\n")
    assert evidence(pose) == ""
    write(tmp_path / "run.meta", "license AGPL3\n")
    assert evidence(pose) == ""
    write(tmp_path / "run.meta", "license CC0\n")
    assert evidence(pose) == "meta"


def test_a_texture_is_taken_by_its_hash(tmp_path: Path) -> None:
    picture = write(tmp_path / "textures/t.png", b"pixels")
    digest = hashlib.sha256(b"pixels").hexdigest()
    pointer = write(tmp_path / "repo/t.png", f"version 1\noid sha256:{digest}\nsize 6\n")
    assert evidence(picture, pointer) == "hash"
    write(tmp_path / "textures/t.png", b"others")
    assert evidence(picture, pointer) == ""
    assert evidence(picture, tmp_path / "repo/none.png") == ""


def test_a_picture_without_a_pointer_is_refused_but_for_the_one_in_the_repository(
    tmp_path: Path,
) -> None:
    assert evidence(write(tmp_path / "x/nice.png", b"p")) == ""
    assert evidence(write(tmp_path / "eyes/materials/brown_eye.png", b"p")) == "repository"


def test_the_report_lists_what_was_refused(tmp_path: Path) -> None:
    ledger = Ledger()
    assert ledger.allows(write(tmp_path / "a.obj", HEADER))
    assert not ledger.allows(write(tmp_path / "b.obj", "# all rights reserved\n"))
    report = ledger.report()
    assert "1 files used (1 by header); 1 refused" in report and "b.obj" in report


def test_polygons_become_triangles(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\ng body\n"
    mesh = read_obj(write(tmp_path / "a.obj", text + "f 1/1 2/2 3/3 4/4\ng other\nf 1 2 3\n"))
    triangles, uv = mesh.triangles("body")
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert uv[1].tolist() == [[0, 0], [1, 1], [0, 1]]
    assert len(mesh.triangles()[0]) == 3


def test_targets_are_dense(tmp_path: Path) -> None:
    offsets = read_target(write(tmp_path / "a.target", HEADER + "2 0.5 -1 0\n"), 4)
    assert offsets[2].tolist() == [0.5, -1, 0] and not offsets[[0, 1, 3]].any()


def test_mhclo_with_a_header_key_after_the_vertices(tmp_path: Path) -> None:
    text = (
        "obj_file a.obj\nx_scale 1 2 0.5\nverts 0\n7\nmaterial a.mhmat\n"
        "1 2 3 0.5 0.7 -0.2 0.1 0.2 0.3\ndelete_verts\n4 6 - 8 10\n"
    )
    fit = read_mhclo(write(tmp_path / "a.mhclo", text))
    assert fit.corners == [[7, 7, 7], [1, 2, 3]] and fit.shares[1] == [0.5, 0.7, -0.2]
    assert fit.hidden == {4, 6, 7, 8, 10} and fit.scale[0].tolist() == [1, 2, 0.5]
    with pytest.raises(DataError, match="not a MHCLO"):
        read_mhclo(write(tmp_path / "b.mhclo", "name x\n"))


def test_bvh_axes_are_turned_to_the_meshs(tmp_path: Path) -> None:
    text = (
        "HIERARCHY\nROOT root\n{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition "
        "Zrotation Yrotation Xrotation\n}\nMOTION\nFrames: 1\nFrame Time: 1\n0 0 0 90 0 0\n"
    )
    pose = read_bvh(write(tmp_path / "a.bvh", text), {"root": 0})
    # About the file's z, which is up: the mesh's y. Its x axis goes to -z.
    assert pose[0] @ (1, 0, 0) == pytest.approx((0, 0, -1), abs=1e-6)
    assert pose[0] @ (0, 1, 0) == pytest.approx((0, 1, 0), abs=1e-6)


def test_components_are_numbered_by_their_first_vertices() -> None:
    triangles = np.array(((3, 4, 5), (0, 1, 2), (2, 1, 6)), np.int32)
    assert connected(7, triangles).tolist() == [0, 0, 0, 1, 1, 1, 0]


def test_four_strongest_bones_share_all() -> None:
    weights = np.array(((0.1, 0.2, 0.3, 0.15, 0.25),), np.float32)
    bones, shares = strongest(weights)
    assert bones[0].tolist() == [2, 4, 1, 3] and shares.sum() == pytest.approx(1)
    assert shares[0, 0] == pytest.approx(0.3 / 0.9)


def test_colors_stay_clean_where_a_texture_is_transparent() -> None:
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, ::2] = (10, 200, 30, 255)  # the transparent columns are black
    small = shrunk(image, 4)
    assert small.shape == (4, 4, 4) and np.abs(small[..., 1].astype(int) - 200).max() <= 1


def test_the_wrong_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path)
    code = main(["pack", "--makehuman", folder, "--assets", folder, "--textures", folder,
                 "--out", folder])  # fmt: skip
    assert code == 2 and "base.obj" in capsys.readouterr().err


def test_no_pack_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPOSEDM_ASSETS", raising=False)
    assert main(["render", "--out", str(tmp_path)]) == 2
    assert "REPOSEDM_ASSETS" in capsys.readouterr().err
    assert main(["render", "--out", str(tmp_path), "--assets", str(tmp_path)]) == 2
    assert "assets.npz" in capsys.readouterr().err
