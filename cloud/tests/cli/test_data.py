"""``groupnl data``."""

from PIL import Image

from groupnl.cli import main


def test_list_names_every_data_set(run_json):
    listed = run_json("data", "list")
    assert {"openicons", "cifar10", "gtsrb", "icons50", "folder"} <= set(listed)
    assert "random" in listed["openicons"]


def test_show_counts_and_draws(run_json, folder, tmp_path):
    sheet = tmp_path / "sheet.png"
    shown = run_json("data", "show", "folder", "--data-dir", folder, "--image-size", 16, "--sheet", sheet)
    assert shown["train"] == {"blue": 12, "green": 12, "red": 12}
    assert shown["test"] == {"blue": 6, "green": 6, "red": 6}
    assert shown["image_shape"] == [3, 16, 16]
    assert Image.open(sheet).size[0] > 16


def test_absent_data_says_what_is_expected(tmp_path, capsys):
    assert main(["data", "show", "cifar10", "--data-dir", str(tmp_path)]) == 2
    assert "cifar-10-batches-py" in capsys.readouterr().err
