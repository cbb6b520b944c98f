"""RAPL counters, from trees of files made by hand."""

from pathlib import Path

import pytest

from groupnl_device.power import Mark, MeterError
from groupnl_device.rapl import Rapl

RANGE = 65_532_610_987  # as small packages have it


def zone(powercap: Path, folder: str, name: str, energy: int, most: int = RANGE) -> Path:
    path = powercap / folder
    path.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", most)):
        (path / file).write_text(f"{text}\n")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Two packages with cores and memory, the platform, and the first package a second time."""
    for package in (0, 1):
        zone(tmp_path, f"intel-rapl:{package}", f"package-{package}", 1000 * package)
        zone(tmp_path, f"intel-rapl:{package}:0", "core", 7)
        zone(tmp_path, f"intel-rapl:{package}:1", "dram", 50)
    zone(tmp_path, "intel-rapl:2", "psys", 9)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 3)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def set_energy(powercap: Path, **energies: int) -> None:
    for folder, energy in energies.items():
        (powercap / f"intel-rapl:{folder[1:].replace('_', ':')}" / "energy_uj").write_text(f"{energy}\n")


def test_packages_and_memory_are_added_each_once(server: Path) -> None:
    meter = Rapl(server)
    assert meter.covers == "processor packages and memory (package-0, dram, package-1, dram)"
    begin = meter.mark()
    set_energy(server, z0=2_000_000, z1=5_001_000, z0_1=500_050, z1_1=250_050, z0_0=10**9, z2=10**9)
    assert meter.joules(begin, meter.mark()) == pytest.approx(2.0 + 5.0 + 0.5 + 0.25)
    assert begin.microjoules == (0, 50, 1000, 50)


def test_a_counter_that_went_round(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 400_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 100)
    meter = Rapl(tmp_path)
    begin = meter.mark()
    set_energy(tmp_path, z0=600_000, z1=1_000_100)
    assert meter.joules(begin, meter.mark()) == pytest.approx(1.0 + 1.0)


def test_dies_of_one_package_are_packages(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0-die-0", 0)
    zone(tmp_path, "intel-rapl:1", "package-0-die-1", 0)
    assert len(Rapl(tmp_path).zones) == 2


def test_counters_that_stand_still_are_no_measurement(server: Path) -> None:
    meter = Rapl(server)
    with pytest.raises(MeterError, match="stand still: this may be a virtual machine"):
        meter.joules(meter.mark(), meter.mark())


@pytest.mark.parametrize("names", [[], ["psys"]])
def test_no_package(tmp_path: Path, names: list[str]) -> None:
    for place, name in enumerate(names):
        zone(tmp_path, f"intel-rapl:{place}", name, 0)
    with pytest.raises(MeterError, match="no energy counter of a processor package"):
        Rapl(tmp_path)


def test_no_powercap_at_all(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="absent has no energy counter"):
        Rapl(tmp_path / "absent")


def test_a_counter_for_root_only(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def guarded(self: Path, *arguments: str, **options: str) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(MeterError, match=r"energy_uj may not be read: Linux shows it to root only; run as root, or"):
        Rapl(server)


def test_a_counter_that_holds_no_number(server: Path) -> None:
    meter = Rapl(server)
    (server / "intel-rapl:1" / "energy_uj").write_text("?")
    with pytest.raises(MeterError, match=r"intel-rapl:1.energy_uj cannot be read"):
        meter.mark()
    with pytest.raises(ValueError, match="zip"):
        meter.joules(Mark(0.0, 0.0, (1,)), Mark(1.0, 1.0, (2,)))
