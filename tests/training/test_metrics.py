"""Metrics by numbers that can be checked by hand, or against the library that computes them.

Long, because every metric has both, on the same pictures.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reposedm.detect import Detection
from reposedm.pose import Pose
from training import metric_weights
from training.fid import Gaussian, Inception, frechet_distance, gaussian_of
from training.metrics import (
    PROTOCOLS,
    SSIMS,
    MetricsError,
    Protocol,
    blacked,
    flow_error,
    limb_mask,
    person_mask,
    protocol_named,
    psnr,
    ssim,
)
from training.pose_metrics import (
    Person,
    best_pckh,
    coco_person,
    from_json,
    oks_ap,
    to_json,
    truth_person,
)

pytest.importorskip("skimage")

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 60, 3), np.uint8)
OTHER = np.clip(PICTURE.astype(int) + RNG.integers(-40, 41, PICTURE.shape), 0, 255).astype(np.uint8)


def flat(value: int, shape: tuple[int, int] = (64, 60)) -> np.ndarray:
    return np.full((*shape, 3), value, np.uint8)


def standing(size: tuple[int, int] = (200, 300)) -> Pose:
    """A pose whose nose is 15 px above its neck: head length 30."""
    points = np.zeros((18, 2), np.float32)
    points[:] = (100, 100)
    points[:, 1] += np.arange(18) * 10
    points[0], points[1] = (100, 50), (100, 65)
    return Pose(points, np.ones(18), np.full(18, 2), size)


# ---- SSIM, PSNR


@pytest.mark.parametrize("name", SSIMS)
def test_equal_pictures_have_ssim_1(name: str) -> None:
    assert ssim(name, PICTURE, PICTURE) == pytest.approx(1, abs=1e-12)


def test_ssim_variants_are_scikit_images_with_the_fields_settings() -> None:
    from skimage.metrics import structural_similarity

    found = {name: ssim(name, OTHER, PICTURE) for name in SSIMS}
    first, second = PICTURE / 255.0, OTHER / 255.0
    assert found["ssim51"] == pytest.approx(
        structural_similarity(first, second, win_size=51, data_range=1, channel_axis=-1)
    )
    for sigma in (1.2, 1.5):
        wanted = structural_similarity(
            PICTURE.astype(float),
            OTHER.astype(float),
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
            channel_axis=-1,
            data_range=float(OTHER.max()) - float(OTHER.min()),
        )
        assert found[f"ssim_g{sigma}"] == pytest.approx(wanted, abs=1e-12)
    assert len({round(value, 6) for value in found.values()}) == 3


def test_data_range_of_the_gaussian_ssim_is_the_predictions() -> None:
    # Two flat halves, 100 | 140 against 100 | 120: only the range of the first argument enters.
    wide, narrow = flat(100), flat(100)
    wide[:, 30:], narrow[:, 30:] = 140, 120
    assert ssim("ssim_g1.5", wide, narrow) != pytest.approx(ssim("ssim_g1.5", narrow, wide))
    assert ssim("ssim51", wide, narrow) == pytest.approx(ssim("ssim51", narrow, wide))


def test_ssim_of_flat_pictures_by_hand() -> None:
    # No variance: SSIM = (2ab + C1) / (a² + b² + C1), C1 = 0.01² with pictures in [0, 1].
    a, b = 0.2, 0.4
    wanted = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim("ssim51", flat(51), flat(102)) == pytest.approx(wanted, abs=1e-6)


def test_a_prediction_of_one_colour_has_no_gaussian_ssim() -> None:
    assert math.isnan(ssim("ssim_g1.5", flat(80), flat(90)))


def test_ssim_inside_a_mask_ignores_the_outside() -> None:
    changed = PICTURE.copy()
    changed[:, 40:] = 255 - changed[:, 40:]
    changed[0, 59], changed[1, 59] = 0, 255  # the same data range
    inside = np.zeros(PICTURE.shape[:2], bool)
    inside[:, :30] = True  # 10 px from the change: more than half a window
    assert ssim("ssim_g1.5", changed, PICTURE, inside) == pytest.approx(1, abs=1e-9)
    assert ssim("ssim_g1.5", changed, PICTURE, ~inside) < 0.5
    assert math.isnan(ssim("ssim_g1.5", changed, PICTURE, np.zeros_like(inside)))


def test_psnr_of_a_constant_offset_by_hand() -> None:
    # 10 levels everywhere: 10 log10(255² / 10²) = 28.1308 dB.
    assert psnr(flat(110), flat(100)) == pytest.approx(28.130804, abs=1e-5)
    assert psnr(PICTURE, PICTURE) == math.inf
    half = np.zeros((64, 60), bool)
    half[:32] = True
    mixed = flat(100)
    mixed[:32] = 110
    assert psnr(mixed, flat(100), half) == pytest.approx(28.130804, abs=1e-5)
    assert psnr(mixed, flat(100), ~half) == math.inf
    assert math.isnan(psnr(mixed, flat(100), np.zeros_like(half)))


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(MetricsError, match="60 x 64 pixels cannot be compared with one of 48 x 64"):
        psnr(PICTURE, PICTURE[:, :48])
    with pytest.raises(MetricsError, match="uint8"):
        psnr(PICTURE / 255, PICTURE)
    with pytest.raises(MetricsError, match="at least 51 pixels, not 48 x 64"):
        ssim("ssim51", PICTURE[:, :48], PICTURE[:, :48])
    with pytest.raises(MetricsError, match="no SSIM 'ssim'"):
        ssim("ssim", PICTURE, PICTURE)


# ---- protocols


def test_protocols_are_the_four_and_say_what_they_do() -> None:
    assert list(PROTOCOLS) == ["legacy-256", "legacy-512", "market", "tf"]
    sizes = [PROTOCOLS[name].size for name in PROTOCOLS]
    assert sizes == [(256, 176), (512, 352), (128, 64), None]
    assert [p.fid for p in PROTOCOLS.values()] == ["fid_legacy_torchvision"] * 3 + ["fid_tf"]
    for words in ("256x176", "bilinear without antialias", "uint8", "train", "all pictures"):
        assert words in str(PROTOCOLS["legacy-256"])
    with pytest.raises(MetricsError, match="choose one of legacy-256"):
        protocol_named("pidm")


def test_fit_filters() -> None:
    # One white row in eight: an antialiased filter keeps the mean, two-tap bilinear does not.
    stripes = np.zeros((1024, 64, 3), np.uint8)
    stripes[::8] = 255
    plain = Protocol("x", (128, 64), "bilinear", "torchvision").fit(stripes)
    smooth = Protocol("x", (128, 64), "bicubic", "torchvision").fit(stripes)
    assert plain.shape == smooth.shape == (128, 64, 3)
    assert smooth.mean() == pytest.approx(255 / 8, abs=2)
    assert abs(plain.mean() - 255 / 8) > 10
    assert PROTOCOLS["tf"].fit(stripes) is stripes
    assert PROTOCOLS["tf"].fit(stripes, (64, 64)).shape == (64, 64, 3)


# ---- masks


def test_limb_mask_is_eight_pixels_wide_and_leaves_hidden_joints_out() -> None:
    pose = standing((64, 128))
    points = pose.points.copy()
    points[8], points[9] = (32.5, 60.5), (32.5, 100.5)
    state = np.zeros(18)
    state[[8, 9]] = 2
    mask = limb_mask(pose.replace(points=points, state=state), (128, 64))
    assert mask[80].sum() in (8, 9)
    assert mask[80, 32]
    assert not mask[40].any()
    assert not limb_mask(pose.replace(state=np.zeros(18)), (128, 64)).any()
    seen, origin = person_mask(pose, np.full((128, 64), 200, np.uint8), (128, 64))
    assert origin == "alpha"
    assert seen.all()
    assert person_mask(pose, None, (128, 64))[1] == "limbs"
    assert not blacked(flat(9, (128, 64)), ~mask)[80, 32].any()


# ---- flow


def test_flow_error_by_hand() -> None:
    truth = np.zeros((2, 4, 2), np.float32)
    found = truth.copy()
    found[0], found[1] = 3, 4
    found[:, 0] = 100  # not seen there
    seen = np.ones((4, 2), bool)
    seen[0] = False
    # 3 and 4 cells: 5 cells; a cell is 8 px wide and 16 px high: hypot(24, 64).
    cells, pixels = flow_error(found, truth, seen, (64, 16))
    assert cells == pytest.approx(5)
    assert pixels == pytest.approx(math.hypot(24, 64))
    assert all(math.isnan(v) for v in flow_error(found, truth, ~np.ones_like(seen), (64, 16)))
    with pytest.raises(MetricsError, match="do not fit"):
        flow_error(found[:, :2], truth, seen, (64, 16))


# ---- poses


def detection(pose: Pose, score: float = 0.9) -> Detection:
    return Detection(pose, (0, 0, 10, 10), score)


def test_pckh_by_hand_takes_the_nearest_person() -> None:
    wanted = standing()
    points = wanted.points.copy()
    points[:9, 0] += 14.9  # within half a head, 15 px
    points[9:, 0] += 15.1
    near = wanted.replace(points=points)
    far = wanted.replace(points=wanted.points + 100)
    assert best_pckh([detection(far), detection(near)], wanted) == pytest.approx(0.5)
    assert best_pckh([], wanted) == 0
    headless = wanted.replace(state=np.r_[[0], np.ones(1), [0], np.ones(2), [0], np.ones(12)])
    assert math.isnan(best_pckh([], headless))


def test_coco_joints_leave_out_the_neck() -> None:
    pose = standing()
    person = coco_person(pose)
    assert person.joints.shape == (17, 3)
    np.testing.assert_array_equal(person.joints[0, :2], pose.points[0])  # nose
    np.testing.assert_array_equal(person.joints[1, :2], pose.points[15])  # left eye
    np.testing.assert_array_equal(person.joints[16, :2], pose.points[10])  # right ankle
    again = from_json(to_json([detection(pose, 0.25)]))
    assert again[0].score == 0.25
    np.testing.assert_allclose(again[0].joints, person.joints)


def test_oks_ap_by_hand() -> None:
    pytest.importorskip("pycocotools")
    pose = standing()
    truth = truth_person(pose, np.full((100, 100), 255, np.uint8))
    assert truth.area == 10_000
    exact = coco_person(pose, 0.9)
    assert oks_ap([truth, truth], [[exact], [exact]])["ap"] == pytest.approx(1)
    # Half of the pictures without anybody: recall stops at 1/2, and COCO's 101 points at 51.
    half = oks_ap([truth, truth], [[exact], []])
    assert half["ap"] == pytest.approx(51 / 101)
    assert half["ar"] == pytest.approx(0.5)
    assert oks_ap([truth], [[]])["ap"] == 0
    # d px off at every joint: OKS = mean of exp(-d² / (2 area (2 k)²)).
    sigmas = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
    d = 12.0
    oks = np.exp(-(d**2) / (2 * 10_000 * (2 * sigmas) ** 2)).mean()
    steps = (np.arange(0.5, 0.96, 0.05) <= oks).mean()
    moved = Person(exact.joints + np.array((d, 0, 0)), 0.9)
    assert 0 < steps < 1
    assert oks_ap([truth], [[moved]])["ap"] == pytest.approx(steps)
    assert math.isnan(oks_ap([truth], [[exact]])["ap_m"])  # 10 000 px² is large
    with pytest.raises(MetricsError, match="2 pictures"):
        oks_ap([truth, truth], [[]])


# ---- Fréchet distance


def test_frechet_distance_of_two_gaussians_by_formula() -> None:
    pytest.importorskip("torch_fidelity")
    first = Gaussian(np.array([1.0, 2.0]), np.diag([4.0, 9.0]), 10)
    second = Gaussian(np.array([4.0, 6.0]), np.diag([1.0, 16.0]), 10)
    # 3² + 4² + (2 - 1)² + (3 - 4)² = 27.
    assert frechet_distance(first, second) == pytest.approx(27)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.floats(0.1, 3))
def test_frechet_distance_of_features_on_a_line(shift: float, scale: float) -> None:
    pytest.importorskip("torch_fidelity")
    values = np.array([[-1.0], [0.0], [1.0]])
    # Deviations 1 and scale, means 0 and shift.
    found = frechet_distance(gaussian_of(values), gaussian_of(values * scale + shift))
    assert found == pytest.approx(shift**2 + (1 - scale) ** 2, abs=1e-9)


def test_one_picture_has_no_covariance() -> None:
    with pytest.raises(MetricsError, match="at least two pictures"):
        gaussian_of(np.zeros((1, 4)))


# ---- weight files: the real loading path, with files that the tests write


def averaging(shapes: dict[str, Any]) -> dict[str, Any]:
    """A state of which every layer takes a mean: tensors that share one number are tiny on disk."""
    import torch

    def tensor(name: str, like: Any) -> Any:
        if name.endswith("num_batches_tracked"):
            return torch.zeros((), dtype=torch.long)
        if like.ndim >= 2:
            return torch.full((1,) * like.ndim, 1 / like[0].numel()).expand(like.shape)
        one = name.endswith(("running_var", "bn.weight"))
        return torch.full((1,), float(one)).expand(like.shape)

    return {name: tensor(name, like) for name, like in shapes.items()}


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from torchvision.models import inception_v3

    with torch.device("meta"):
        network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(averaging(network.state_dict()), path)
    assert path.stat().st_size < 1_000_000
    return path


def test_legacy_fid_through_the_real_loading_path(inception_file: Path) -> None:
    pytest.importorskip("torch_fidelity")
    protocol = Protocol("x", None, "bicubic", "torchvision", batch=3)
    network = Inception(protocol, inception_file)
    assert not network.weights.published
    pictures = [flat(value, (32, 24)) for value in (200, 220, 240, 250)]
    features = network.features(pictures)
    assert features.shape == (4, 2048)
    assert (np.diff(features[:, 0]) > 0).all()  # brighter in, more out
    made = network.gaussian(pictures)
    assert made.pictures == 4
    np.testing.assert_allclose(made.mean, features.mean(0), rtol=1e-5)
    network.protocol = dataclasses.replace(protocol, drop_last=True)
    assert network.gaussian(pictures).pictures == 3


def test_tf_fid_through_the_real_loading_path(tmp_path: Path) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    import torch

    shapes: dict[str, Any] = {}

    class Shapes(fidelity.FeatureExtractorInceptionV3):  # type: ignore[name-defined, misc]
        def load_state_dict(self, *_: Any) -> None:
            shapes.update(self.state_dict())

    path = tmp_path / "inception.pth"
    torch.save({}, path)
    with torch.device("meta"):
        Shapes("shapes", ["2048"], str(path))
    torch.save(averaging(shapes), path)
    network = Inception(PROTOCOLS["tf"], path)
    features = network.features([flat(value, (32, 24)) for value in (100, 200, 240)])
    # (x - 128) / 128: below grey nothing passes the first ReLU.
    assert features.shape == (3, 2048)
    assert (features[0] == 0).all()
    assert (features[2] > features[1]).all()


def test_legacy_normalisation_is_the_fields() -> None:
    # Of [0, 1]: x (0.229 / 0.5) + (0.485 - 0.5) / 0.5 and so on, about [-0.19, 0.43].
    import torch
    from torchvision.models import Inception3

    network = Inception3.__new__(Inception3)
    torch.nn.Module.__init__(network)
    network.transform_input = True
    seen = network._transform_input(
        torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 1, 1)
    )
    low, high = seen[:, :, 0, 0].numpy()
    np.testing.assert_allclose(low, [-0.03, -0.088, -0.188], atol=1e-6)
    np.testing.assert_allclose(high, [0.428, 0.36, 0.262], atol=1e-6)


def test_inception_files_of_the_wrong_network_are_refused(
    inception_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch_fidelity")
    import torch

    with pytest.raises(MetricsError, match="not TensorFlow's Inception"):
        Inception(PROTOCOLS["tf"], inception_file)
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, other)
    with pytest.raises(MetricsError, match="not torchvision's Inception"):
        Inception(PROTOCOLS["market"], other)


@pytest.fixture(scope="module")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from torchvision.models import alexnet

    with torch.device("meta"):
        shapes = {f"features.{k}": v for k, v in alexnet().features.state_dict().items()}
    state = averaging(shapes)
    # Channels that look at red, green and blue: else every unit vector of channels is the same.
    first = torch.zeros(64, 3, 11, 11)
    for channel in range(64):
        first[channel, channel % 3] = 1 / 121
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(state | {"features.0.weight": first}, path)
    return path


def test_lpips_through_the_real_loading_path(alexnet_file: Path) -> None:
    pytest.importorskip("lpips")
    from training.perceptual import Lpips

    judge = Lpips(alexnet_file)
    red, blue = flat(60), flat(60)
    red[..., 0], blue[:, 30:, 2] = 250, 250
    assert judge(red, red) == 0
    assert judge(red, blue) == pytest.approx(judge(blue, red), rel=1e-5)
    assert judge(red, blue) > 0
    left = np.zeros((64, 60), bool)
    left[:, :10] = True
    same_left = flat(60)
    same_left[:, 30:, 2] = 250
    # Only the right half differs: a map that is looked at on the left is smaller than on the right.
    assert judge(flat(60), same_left, left) < judge(flat(60), same_left, left[:, ::-1])
    assert math.isnan(judge(red, blue, np.zeros_like(left)))


def test_a_file_that_is_not_alexnet_is_refused(inception_file: Path) -> None:
    pytest.importorskip("lpips")
    from training.perceptual import Lpips

    with pytest.raises(MetricsError, match=r"not AlexNet: it has no features\.0\.weight"):
        Lpips(inception_file)


def test_missing_weights_name_file_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name, wanted in metric_weights.PUBLISHED.items():
        with pytest.raises(MetricsError) as caught:
            metric_weights.find(name)
        text = str(caught.value)
        assert wanted.file in text
        assert f"python -m training.metric_weights {name}" in text
        assert "never used" in text
        assert wanted.sha in wanted.file
        assert wanted.url.endswith("/" + wanted.file)
    with pytest.raises(MetricsError, match="not here"):
        metric_weights.find("lpips", tmp_path / "absent.pth")


def test_a_changed_published_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    file = tmp_path / "metrics" / metric_weights.PUBLISHED["lpips"].file
    file.parent.mkdir()
    file.write_bytes(b"half of it")
    with pytest.raises(MetricsError, match="damaged"):
        metric_weights.find("lpips")
    assert metric_weights.main(["vgg"]) == 2
    assert "there is no 'vgg'" in capsys.readouterr().err


def test_a_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (mark,))

    file = tmp_path / "evil.pth"
    file.write_bytes(pickle.dumps({"fc.weight": Evil()}, protocol=2))
    for protocol in ("tf", "market"):
        with pytest.raises(MetricsError, match="not a file of weights"):
            Inception(PROTOCOLS[protocol], file)
    assert not mark.exists()
