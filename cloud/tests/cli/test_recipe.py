"""Recipes: what they say counts unless the command line says otherwise; the recipes of the repository run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupnl.cli import main
from groupnl.models import read_checkpoint

IMAGENET = sorted((Path(__file__).parents[3] / "recipes" / "imagenet").glob("*.yaml"))
RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))


@pytest.fixture
def recipe(folder, tmp_path):
    """Write a recipe for the tiny data; gives its path."""

    def write(**values):
        lines = {
            **{"net": "resnet8", "data": "folder", "data-dir": str(folder), "image-size": 16, "out": tmp_path / "run"},
            **{"epochs": 1, "batch-size": 8, "lr": "1e-2", "warmup-epochs": 0, "crop-padding": 1},
            **values,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text("# a comment\n" + "".join(f"{key}: {value}\n" for key, value in lines.items()))
        return str(path)

    return write


def settings(run_dir):
    return json.loads((run_dir / "config.json").read_text())["config"]


def test_a_recipe_is_a_whole_command(recipe, run_json, tmp_path):
    path = recipe(policy="standard", **{"policy-option": "[reduction=4, seed=9]", "model-option": "key=value"})
    assert main(["train", "--recipe", path]) == 2  # one value for an option that may be repeated: the net refuses it
    path = recipe(policy="standard", **{"policy-option": "[reduction=4, seed=9]"})
    result = run_json("train", "--recipe", path)
    assert result["net"] == "resnet8+standard"
    assert read_checkpoint(tmp_path / "run" / "model.safetensors").conversion["options"] == {"reduction": 4, "seed": 9}
    kept = settings(tmp_path / "run")
    assert [kept[name] for name in ("epochs", "batch_size", "lr", "warmup_epochs")] == [1, 8, 0.01, 0.0]


def test_the_command_line_wins(recipe, run_json, tmp_path):
    path = recipe(net="resnet18", seed=3, policy="standard", **{"policy-option": "[reduction=4, seed=1]"})
    arguments = ["resnet8", "--epochs", "2", "--policy", "ghost", "-p", "reduction=2", "--lr", "0.02"]
    result = run_json("train", *arguments, "--recipe", path)
    assert (result["net"], result["epochs"]) == ("resnet8+ghost", 2)
    kept = settings(tmp_path / "run")
    assert [kept[name] for name in ("epochs", "lr", "seed")] == [2, 0.02, 3]


def test_a_switch(recipe, run_json, tmp_path):
    first = run_json("train", "--recipe", recipe(resume="false"))
    assert run_json("train", "--recipe", recipe(resume="true")) == first
    assert main(["train", "--recipe", recipe(resume="no")]) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "unknown key 'epoch'; allowed: augment, .* batch-size, .* teacher, "),
        ({"batch_size": 8}, "unknown key 'batch_size'; allowed: augment"),
        ({"recipe": "other.yaml"}, "unknown key 'recipe'"),
        ({"epochs": "[1, 2]"}, r"epochs=\[1, 2\]: expected one value"),
        ({"model-option": "{seed: 1}"}, "model-option={'seed': 1}: expected one value"),
        ({"policy": ""}, "policy is empty: give it a value or leave it out"),
        ({"epochs": "many"}, "Invalid value for '--epochs'"),
        ({"epochs": "true"}, "Invalid value for '--epochs'"),
        ({"epochs": 0}, "Invalid value for '--epochs'"),
        ({"optimizer": "adam"}, "--optimizer adam: expected one of sgd, adamw"),
        ({"net": "resnet19"}, "no net 'resnet19'"),
        ({"model-option": "seed"}, "option 'seed': expected NAME=VALUE"),
    ],
    ids=str,
)
def test_what_a_recipe_may_not_say(values, message, recipe, capsys, tmp_path):
    assert main(["train", "--recipe", recipe(**values)]) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())  # without typer's frame
    assert re.search(message, said), said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("net: [", "is not YAML"), ("- net", "expected lines such as 'net: resnet8', found list"), ("", "found NoneType")],
)
def test_what_is_no_recipe(text, message, capsys, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    assert main(["train", "--recipe", str(path)]) == 2
    assert message in capsys.readouterr().err
    path.write_text("net: !!python/object/apply:os.system ['touch attacked']\n")
    assert main(["train", "--recipe", str(path)]) == 2
    assert "is not YAML" in capsys.readouterr().err
    assert main(["train", "--recipe", str(tmp_path / "absent.yaml")]) == 2
    assert "absent.yaml" in capsys.readouterr().err


def test_a_recipe_where_a_net_is_expected(recipe, run_json, tmp_path):
    path = recipe(seed=3, augment="randaugment", **{"augment-depth": 1})
    result = run_json("train", path, "--lr", "0.02")
    assert result["net"] == "resnet8"
    kept = settings(tmp_path / "run")
    assert [kept[name] for name in ("lr", "seed", "augment", "augment_depth")] == [0.02, 3, "randaugment", 1]
    assert result["train_minus_test"] == pytest.approx(result["train_set_accuracy"] - result["test_accuracy"])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_two_recipes_are_refused(order, recipe, capsys):
    arguments = [recipe(), "--recipe", recipe()]
    assert main(["train", *(arguments[place] for place in order)]) == 2
    assert "and --recipe: give one recipe" in capsys.readouterr().err


def test_a_recipe_where_a_net_is_expected_names_one(tmp_path, capsys):
    path = tmp_path / "recipe.yml"
    path.write_text("data: openicons\n")
    assert main(["train", str(path)]) == 2
    assert "names no net: add a line such as 'net: resnet8'" in capsys.readouterr().err


def test_what_a_recipe_leaves_out_is_asked_for(tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text("net: resnet8\n")
    assert main(["train", "--recipe", str(path)]) == 2
    assert "Missing option '--data'" in capsys.readouterr().err


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_repository_run(path, checkpoint, data, run_json, tmp_path):
    elsewhere = [*data, "--out", tmp_path / "run", "--epochs", "1", "--batch-size", "8", "--warmup-epochs", "0"]
    teacher = ["--teacher", checkpoint] if path.stem.startswith("distill") else []
    result = run_json("train", "--recipe", path, *elsewhere, *teacher)
    assert result["epochs"] == 1
    kept = settings(tmp_path / "run")
    assert kept["lr"] == 0.25
    assert kept["distill_temperature"] == (4.0 if teacher else None)


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory):
    """imagenet/{train,val}/<wnid>/ with four pictures of different sizes each."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for index, wnid in enumerate(("n01440764", "n01440764", "n01443537", "n15075141")):
            picture = random.integers(0, 256, (40 + 7 * index, 50, 3), dtype=np.uint8)
            (root / "imagenet" / split / wnid).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / "imagenet" / split / wnid / f"{index}.JPEG")
    return root


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=() if p.stem == "mobilenetv3_large" else pytest.mark.long, id=p.stem) for p in IMAGENET],
)
def test_the_imagenet_recipes_run(path, imagenet, run_json, tmp_path):
    small = ["--data-dir", imagenet, "--image-size", "64", "--epochs", "1", "--warmup-epochs", "0", "--batch-size", "4"]
    run = tmp_path / "run"
    result = run_json("train", path, *small, "--out", run, "--precision", "fp32", "--augment", "augmix")
    assert (result["epochs"], result["steps"]) == (1, 1)
    preprocessing = read_checkpoint(run / "model.safetensors").preprocessing
    assert [preprocessing[name] for name in ("crop_mode", "crop_pct")] == ["center", 0.875]
    assert preprocessing["mean"] == [0.485, 0.456, 0.406]
    assert settings(run)["crop_area"] >= 0.08
