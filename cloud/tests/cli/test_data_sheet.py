"""``groupnl data sheet``."""

import numpy as np
from PIL import Image

from groupnl.cli import main
from groupnl.corruptions import names


def test_draws_every_corruption(run_json, tmp_path, folder):
    frost = tmp_path / "frost"
    frost.mkdir()
    Image.fromarray(np.full((60, 80, 3), 200, dtype=np.uint8)).save(frost / "frost1.png")
    out = tmp_path / "sheet.png"
    options = ["--data-dir", folder, "--image-size", 16, "--picture", 7, "--frost-dir", frost]
    result = run_json("data", "sheet", "--data", "folder", "--out", out, *options)
    assert result["corruptions"] == list(names("all"))
    assert (result["class"], result["variant"]) == ("green", "cifar")
    sheet = Image.open(out)
    assert sheet.format == "PNG"
    assert sheet.width > 10 * 96  # two columns of families, five severities each


def test_absent_pictures_are_refused(tmp_path, capsys):
    assert main(["data", "sheet", "--data", "openicons", "--out", str(tmp_path / "s.png"), "--picture", "99999"]) == 2
    assert "--picture 99999: expected 0 to" in capsys.readouterr().err
    assert not (tmp_path / "s.png").exists()
