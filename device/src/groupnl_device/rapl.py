"""Energy counters of x86 processors (RAPL), as Linux shows them under ``/sys/class/powercap``.

A zone ``intel-rapl:0`` is a processor package (also on AMD); its children ``intel-rapl:0:0`` are parts of it (``core``,
``uncore``), already in its figure, or its memory (``dram``), which is not. ``psys`` is a whole that holds packages and
other parts, and ``intel-rapl-mmio`` shows a package a second time. So packages and memory are added, each once.
Source: the kernel's documentation of the power capping framework.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from groupnl_device.power import Mark, MeterError, now

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Zone:
    """One counter that is part of the sum: its folder, its name, and where it starts again from 0, in microjoules."""

    folder: Path
    name: str
    range_uj: int

    def read_uj(self) -> int:
        """The counter.

        Raises:
            MeterError: It cannot be read.
        """
        return _read(self.folder / "energy_uj")


class Rapl:
    """The sum over processor packages and their memory.

    Args:
        powercap: The folder of the zones.

    Raises:
        MeterError: There is no zone, or a counter may not be read.
    """

    name = "rapl"

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self.zones = _zones(powercap)
        for zone in self.zones:
            zone.read_uj()
        self.covers = f"processor packages and memory ({', '.join(zone.name for zone in self.zones)})"

    def sampling(self) -> AbstractContextManager[object]:
        """Nothing to start: the counters always run."""
        return nullcontext()

    def mark(self) -> Mark:
        """This moment, with the counters.

        Raises:
            MeterError: A counter cannot be read.
        """
        return now(tuple(zone.read_uj() for zone in self.zones))

    def joules(self, begin: Mark, end: Mark) -> float:
        """Energy between two moments in which no counter went round more than once.

        The smallest ranges in use, 65 kJ, are minutes at the highest power of a package.

        Raises:
            MeterError: The counters stand still.
        """
        pairs = zip(self.zones, begin.microjoules, end.microjoules, strict=True)
        total = sum(last - first + (zone.range_uj if last < first else 0) for zone, first, last in pairs)
        if total == 0:
            raise MeterError("the energy counters of the processor stand still: this may be a virtual machine")
        return total / 1e6


def _zones(powercap: Path) -> list[Zone]:
    zones = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue  # a zone that went away
        is_child = folder.name.count(":") > 1
        if (name == "dram") if is_child else name.startswith("package"):
            zones.append(Zone(folder, name, _read(folder / "max_energy_range_uj")))
    if not zones:
        raise MeterError(f"{powercap} has no energy counter of a processor package")
    return zones


def _read(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except PermissionError as error:
        raise MeterError(
            f"{file} may not be read: Linux shows it to root only; run as root, or let root allow it with chmod a+r"
        ) from error
    except (OSError, ValueError) as error:
        raise MeterError(f"{file} cannot be read ({error})") from error
