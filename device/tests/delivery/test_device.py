"""What a device is and can run."""

from dataclasses import replace
from pathlib import Path

import pytest

from groupnl_device.delivery.device import MODULES, Device, free_memory, machine_id
from groupnl_device.delivery.release import Needs
from groupnl_device.runtime import RUNTIMES

NEEDS = Needs(runtimes=("onnxruntime", "openvino"), input_size=(3, 32, 40), memory_bytes=1000)
DEVICE = Device(device_id="x", runtimes=frozenset({"openvino"}))


def test_every_runtime_of_this_package_is_known() -> None:
    assert set(MODULES) == {runtime.name for runtime in RUNTIMES}


def test_onnxruntime_is_here() -> None:
    assert "onnxruntime" in Device.here(device_id="x").runtimes


def test_one_runtime_of_several_is_enough() -> None:
    assert DEVICE.obstacle(NEEDS) is None
    assert DEVICE.obstacle(replace(NEEDS, runtimes=("ncnn",))) == "runs on ncnn; the runtimes here: openvino"


def test_the_size_of_pictures_counts_where_the_device_has_one() -> None:
    assert replace(DEVICE, input_size=(3, 32, 40)).obstacle(NEEDS) is None
    told = replace(DEVICE, input_size=(3, 40, 32)).obstacle(NEEDS)
    assert told == "takes pictures of 3x32x40, this device has 3x40x32"


def test_memory_counts_where_the_system_tells_it() -> None:
    assert replace(DEVICE, free_bytes=1000).obstacle(NEEDS) is None
    assert replace(DEVICE, free_bytes=999).obstacle(NEEDS) == "needs 1000 bytes of memory, 999 are free"


@pytest.mark.parametrize("version", ["2.0", "0.9", "", "x"])
def test_another_major_format_is_not_read(version: str) -> None:
    assert "this groupnl-device reads 1.x, update it" in str(DEVICE.obstacle(replace(NEEDS, format_version=version)))
    assert DEVICE.obstacle(replace(NEEDS, format_version="1.7")) is None


def test_the_machine_has_an_id_else_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "board-7")
    assert machine_id(tmp_path) == "board-7"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("uninitialized\n")
    assert machine_id(tmp_path) == "board-7"
    (tmp_path / "var/lib/dbus").mkdir(parents=True)
    (tmp_path / "var/lib/dbus/machine-id").write_text("0123\n")
    assert machine_id(tmp_path) == "0123"
    (tmp_path / "etc/machine-id").write_text("4567\n")
    assert Device.here(root=tmp_path).device_id == "4567"


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(ValueError, match="the device's id is empty: expected a name that no other device has"):
        Device.here(device_id="")


def test_free_memory(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    3 kB\n")
    assert free_memory(tmp_path) == 3072
