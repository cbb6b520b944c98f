"""A tiny data set in an image folder, a trained net on it, and a way to run commands in this process."""

import json

import numpy as np
import pytest
from PIL import Image

from groupnl.cli import main

COLOURS = {"blue": (30, 40, 200), "green": (40, 190, 50), "red": (210, 40, 30)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """train/ and test/ with 12 and 6 pictures of 16x16 for each of three colours."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("colours")
    for split, count in (("train", 12), ("test", 6)):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                picture = np.clip(np.array(colour) + random.normal(0, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(picture).save(root / split / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def data(folder):
    """The options that name it."""
    return ["--data", "folder", "--data-dir", str(folder), "--image-size", "16"]


@pytest.fixture(scope="session")
def short():
    """The options of a run of two epochs."""
    return ["--epochs", "2", "--batch-size", "8", "--lr", "0.02", "--warmup-epochs", "0.5", "--crop-padding", "1"]


@pytest.fixture(scope="session")
def run_dir(short, data, tmp_path_factory):
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("runs") / "colours"
    assert main(["train", "groupnl_resnet8", *data, "--out", str(out), *short, "-m", "seed=3"]) == 0
    return out


@pytest.fixture(scope="session")
def checkpoint(run_dir):
    return run_dir / "model.safetensors"


@pytest.fixture
def run_json(capsys):
    """Run a command with ``--json -``; stdout must then be one JSON document and nothing else."""

    def run(*arguments):
        capsys.readouterr()
        code = main([*map(str, arguments), "--json", "-"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)

    return run
