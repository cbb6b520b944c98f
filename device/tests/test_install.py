"""The device's distribution alone, installed into an empty environment: it works, and brings no torch."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image

DEVICE = Path(__file__).parents[1]


@pytest.mark.long
def test_an_empty_environment_needs_nothing_else(tmp_path, bundle_bytes):
    bundle, picture = tmp_path / "tiny.gnl", tmp_path / "picture.png"
    bundle.write_bytes(bundle_bytes)
    Image.new("RGB", (20, 10), "red").save(picture)
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check"]
    install = subprocess.run([*pip, "install", "--quiet", str(DEVICE)], capture_output=True, text=True, check=False)
    if install.returncode and "onnection" in install.stderr:
        pytest.skip("no package index can be reached")
    assert install.returncode == 0, install.stderr
    listed = json.loads(subprocess.run([*pip, "list", "--format", "json"], capture_output=True, check=True).stdout)
    packages = {package["name"].lower() for package in listed}
    assert "groupnl-device" in packages
    assert not packages & {"torch", "groupnl", "timm", "onnx"}
    run = subprocess.run(
        [binaries / "groupnl-device", "run", bundle, picture, "--json", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["pictures"][0]["top"]
