"""``groupnl data corrupt``."""

import json

import numpy as np
import pytest
from PIL import Image

from groupnl.cli import main
from groupnl.corruptions import corrupt, names
from groupnl.data import load, open_corrupted


@pytest.fixture(scope="module")
def frost_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("frost")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(root / "frost1.png")
    return root


def test_writes_what_evaluation_would_make_itself(run_json, folder, tmp_path, frost_dir):
    out = tmp_path / "colours-C"
    command = ["data", "corrupt", "--data", "folder", "--data-dir", folder, "--image-size", 16, "--out", out]
    options = ["--corruptions", "frost,shot_noise", "--severities", "5,2", "--seed", 3, "--encoding", "png"]
    result = run_json(*command, *options, "--frost-dir", frost_dir, "--batch-size", 5)
    header = result["header"]
    assert (header["data"], header["images"], header["variant"], header["seed"]) == ("folder", 18, "cifar", 3)
    assert header["frost_source"].startswith("1 photographs")
    assert list(result["finished"]) == ["frost", "shot_noise"]
    data = load("folder", split="test", data_dir=folder, image_size=16)
    found = open_corrupted(out, data)
    assert found.frost_source == header["frost_source"]
    assert found.severities == (2, 5)
    for severity in found.severities:
        expected = corrupt(data.images, "shot_noise", severity=severity, seed=3)
        assert np.array_equal(found.images("shot_noise", severity, range(18)).numpy(), expected.numpy())


def test_arrays_by_default_where_images_have_no_files(run_json, tmp_path):
    out = tmp_path / "out"
    result = run_json("data", "corrupt", "--data", "openicons", "--out", out, "--corruptions", "brightness")
    assert result["header"]["layout"] == "npy"
    assert result["header"]["frost_source"] is None
    data = load("openicons", split="test")
    assert np.load(out / "brightness.npy").shape == (5 * len(data), 32, 32, 3)
    assert open_corrupted(out, data).corruptions == ("brightness",)


def test_sets_of_corruptions_have_names(run_json, folder, tmp_path, frost_dir):
    options = ["--data-dir", folder, "--image-size", 8, "--severities", 1, "--frost-dir", frost_dir]
    result = run_json(
        "data", "corrupt", "--data", "folder", *options, "--out", tmp_path / "o", "--corruptions", "mce15"
    )
    assert result["header"]["corruptions"] == list(names("mce15"))


def test_large_pictures_take_the_constants_of_imagenet(run_json, folder, tmp_path):
    options = ["--data-dir", folder, "--image-size", 85, "--severities", 1, "--corruptions", "contrast"]
    result = run_json("data", "corrupt", "--data", "folder", *options, "--out", tmp_path / "o")
    assert result["header"]["variant"] == "imagenet"
    assert sorted((tmp_path / "o" / "contrast" / "1" / "red").iterdir())[0].name == "0.JPEG"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corruptions", "rain"], "rain"),
        (["--corruptions", "fog,rain"], "corruption 'rain' is unknown"),
        (["--corruptions", "fog,fog"], "each may be named once"),
        (["--severities", "0,1"], "--severities 0,1: expected different integers from 1 to 5"),
        (["--severities", "2,2"], "--severities 2,2"),
        (["--variant", "mnist"], "--variant 'mnist': expected cifar or imagenet"),
        (["--encoding", "gif"], "--encoding 'gif': expected raw, jpeg or png"),
        (["--encoding", "jpeg"], "have no files"),
    ],
)
def test_refusals_write_nothing(tmp_path, capsys, options, message):
    assert main(["data", "corrupt", "--data", "openicons", "--out", str(tmp_path / "o"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_tiny_imagenet_is_read_not_made(tmp_path, capsys):
    command = ["data", "corrupt", "--data", "tiny-imagenet", "--data-dir", str(tmp_path), "--out", str(tmp_path / "o")]
    assert main(command) == 2
    assert "constants of its own" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["data", "corrupt", "--data", "openicons", "--out", str(tmp_path), "--corruptions", "contrast"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_manifest_is_the_result(run_json, folder, tmp_path):
    options = ["--data-dir", folder, "--image-size", 8, "--severities", 1, "--corruptions", "contrast"]
    result = run_json("data", "corrupt", "--data", "folder", *options, "--out", tmp_path / "o")
    written = json.loads((tmp_path / "o" / "groupnl-corruptions.json").read_text())
    assert result["header"] == written["header"]
    assert result["finished"] == written["finished"]
