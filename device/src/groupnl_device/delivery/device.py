"""What this device is to a repository: its name, its groups, and what it can run. Nothing of it leaves the device."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from groupnl_device.delivery.release import Needs
from groupnl_device.manifest import FORMAT_MAJOR

MODULES = {  # by the names of runtimes in the bundles' artifacts: what must be importable. Looking costs no memory
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "ncnn": ("ncnn",),
    "executorch": ("executorch", "torch"),
    "pytorch": ("torch", "groupnl"),
}
_ID_FILES = ("etc/machine-id", "var/lib/dbus/machine-id")


@dataclass(frozen=True, kw_only=True)
class Device:
    """Who takes part in a rollout, and what fits.

    Attributes:
        device_id: Decides about the device's place in staged rollouts; different on every device.
        groups: That it belongs to.
        input_size: (C, H, W) of the pictures that its program feeds; None: of any size.
        runtimes: Which are here, named as in a bundle's artifacts.
        free_bytes: Of memory; None where the system does not tell.
    """

    device_id: str
    groups: tuple[str, ...] = ()
    input_size: tuple[int, int, int] | None = None
    runtimes: frozenset[str]
    free_bytes: int | None = None

    @classmethod
    def here(
        cls,
        *,
        device_id: str | None = None,
        groups: Sequence[str] = (),
        input_size: tuple[int, int, int] | None = None,
        root: Path = Path("/"),
    ) -> "Device":
        """This one.

        Args:
            device_id: By default the machine's id, else its host name.
            groups: That it belongs to.
            input_size: (C, H, W) of the pictures that its program feeds; None: of any size.
            root: Where ``etc``, ``proc`` and ``var`` lie.

        Raises:
            ValueError: An empty id.
        """
        device_id = machine_id(root) if device_id is None else device_id
        if not device_id:
            raise ValueError("the device's id is empty: expected a name that no other device has")
        return cls(
            device_id=device_id,
            groups=tuple(groups),
            input_size=input_size,
            runtimes=frozenset(name for name, modules in MODULES.items() if all(map(find_spec, modules))),
            free_bytes=free_memory(root),
        )

    def obstacle(self, needs: Needs) -> str | None:
        """Why a model cannot run here, or None if it can."""
        if needs.format_version.partition(".")[0] != str(FORMAT_MAJOR):
            return f"bundle format {needs.format_version}; this groupnl-device reads {FORMAT_MAJOR}.x, update it"
        if not self.runtimes.intersection(needs.runtimes):
            here = ", ".join(sorted(self.runtimes)) or "none"
            return f"runs on {' or '.join(needs.runtimes)}; the runtimes here: {here}"
        if self.input_size is not None and self.input_size != needs.input_size:
            return f"takes pictures of {_size(needs.input_size)}, this device has {_size(self.input_size)}"
        if self.free_bytes is not None and self.free_bytes < needs.memory_bytes:
            return f"needs {needs.memory_bytes} bytes of memory, {self.free_bytes} are free"
        return None


def machine_id(root: Path = Path("/")) -> str:
    """The id that the system was given when it was installed, else the host's name.

    Args:
        root: Where ``etc`` and ``var`` lie.
    """
    for name in _ID_FILES:
        try:
            text = (root / name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if text and text != "uninitialized":
            return text
    return socket.gethostname()


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that programs could still take without swapping; None where the system does not tell.

    Args:
        root: Where ``proc`` lies.
    """
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _size(size: tuple[int, int, int]) -> str:
    return "x".join(map(str, size))
