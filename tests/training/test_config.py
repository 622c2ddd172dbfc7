import math

import pytest

from reposedm.errors import SettingsError
from training.components import build
from training.config import CONFIGS, TrainConfig, config_names, from_dict, load_config
from training.train import due, set_rate


@pytest.mark.parametrize("name", config_names())
def test_every_config_that_ships_is_valid_and_survives_json(name: str) -> None:
    config = load_config(name)
    assert from_dict(config.as_dict()) == config
    first = (CONFIGS / f"{name}.yaml").read_text("utf-8").split("\n")
    assert first[0].startswith("# ") and f"--config {name}" in first[0]
    assert "run by us" in first[1] or name == "tiny"


def test_the_papers_numbers() -> None:
    config = load_config("paper-deepfashion-256")
    stage = config.stages.diffusion
    assert stage.steps == 300_000 and stage.learning_rate == 1e-4 and stage.ema == 0.9999
    assert config.diffusion.dropout == "joint" and config.diffusion.dropout_rate == 0.1
    assert config.models.alignment["iterations"] == 5
    assert load_config("paper-deepfashion-512").data.size == (512, 352)
    assert load_config("paper-market").data.size == (128, 64)
    assert (load_config("b1").method, load_config("b2").method) == ("b1", "b2")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.difusion.steps=1", "did you mean 'diffusion'"),
        ("stages.diffusion.learnin_rate=1", "did you mean 'learning_rate'"),
        ("lr=3", "there are method, out"),
        ("seed=-1", "seed must be in 0"),
        ("seed=true", "seed is a whole number, not True"),
        ("stages.diffusion.batch=2.5", "a whole number"),
        ("stages.diffusion.learning_rate=.nan", "learning_rate must be in"),
        ("stages.diffusion.learning_rate=fast", "is a number, not 'fast'"),
        ("data.size=[100, 64]", "multiples of 8"),
        ("data.size=64", "a list of 2"),
        ("method=b3", "one of full, b2, b1"),
        ("method=b2", "set diffusion.guided=false"),
        ("diffusion.vlb_weight=0", "both or neither"),
        ("stages.autoencoder.steps=0", "init.autoencoder=FOLDER"),
        ("stages.estimator.steps=0", "init.estimator=FOLDER"),
        ("data={kind: [", "not YAML"),
        ("seed", "key=value"),
        ("seed.a=1", "a whole number, not"),
    ],
)
def test_what_is_wrong_is_said(override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        load_config("tiny", [override])


def test_an_unknown_config_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="paper-market"):
        load_config("papermarket")


def test_an_unknown_argument_of_a_network_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"models.unet.width: did you mean 'widths'"):
        build(load_config("tiny", ["models.unet.width=3"]))


def test_yaml_takes_a_plain_exponent() -> None:
    config = load_config("tiny", ["stages.diffusion.learning_rate=1e-4"])
    assert config.stages.diffusion.learning_rate == 1e-4


def test_a_file_of_ones_own_starts_from_ours(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: tiny\nseed: 7\nstages: {diffusion: {steps: 5}}\n")
    config, tiny = load_config(file), load_config("tiny")
    assert config.seed == 7 and config.stages.diffusion.steps == 5
    assert config.stages.diffusion.batch == tiny.stages.diffusion.batch


def test_rates_by_hand() -> None:
    class Optimizer:
        param_groups = ({"lr": 0.0},)

    def rates(settings: str, *steps: int) -> list[float]:
        stage = load_config("tiny", [f"stages.diffusion={settings}"]).stages.diffusion
        return [set_rate(Optimizer, stage, step) for step in steps]

    assert rates("{steps: 10, learning_rate: 0.5}", 0, 9) == [0.5, 0.5]
    assert rates("{steps: 10, learning_rate: 0.5, warmup: 4}", 0, 1, 3, 4) == [
        0.125, 0.25, 0.5, 0.5,
    ]  # fmt: skip
    middle = rates("{steps: 10, learning_rate: 0.5, schedule: cosine}", 0, 5, 10)
    assert middle == pytest.approx([0.5, 0.25, 0.0])
    assert Optimizer.param_groups[0]["lr"] == pytest.approx(0.0)
    assert math.isclose(middle[1], 0.25)


def test_what_is_due() -> None:
    assert [step for step in range(1, 11) if due(step, 4, step == 10)] == [4, 8, 10]
    assert not due(4, 0, True)


def test_plan() -> None:
    assert load_config("finetune").plan == ("diffusion",)
    assert isinstance(load_config("tiny"), TrainConfig)
    assert load_config("tiny").plan == ("autoencoder", "estimator", "alignment", "diffusion")
