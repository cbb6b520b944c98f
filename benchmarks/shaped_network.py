"""Hosts on one machine, each with a link of its own of a given speed: Linux network namespaces around a switch.

Every host is a namespace with one interface, ``eth0``, whose other end is a port of a bridge in one more namespace.
Nothing appears in the machine's own network. Both directions of each link are shaped by a token bucket (``tc`` tbf).
Root and the programs ``ip`` and ``tc`` are needed.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

PREFIX = "groupnl-traffic-"  # then the process's number, then the host's
CONGESTION_CONTROL = "reno"  # of TCP: every kernel has it, and lets every namespace use it
QUEUE_MS = 20  # what a full queue takes to drain
BURST_MS, LEAST_BURST = 1, 32 * 1024  # bytes; below a millisecond's worth the token bucket cannot keep up


class Loopback:
    """The machine's own loopback interface in place of a network: no shaping, all hosts share it."""

    interface = "lo"
    shaped = False

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def address(self, _host: int) -> str:
        """Where a host is reached."""
        return "127.0.0.1"

    def command(self, _host: int) -> list[str]:
        """What to put before a command so that it runs on the host."""
        return []

    def shape(self, _bits_per_second: float) -> None:
        """Nothing: loopback has no speed to set."""


class ShapedNetwork:
    """Hosts that exist as long as the context lasts.

    Args:
        hosts: How many.
    """

    interface = "eth0"
    shaped = True

    def __init__(self, hosts: int) -> None:
        self._hosts = [f"{PREFIX}{os.getpid()}-{host}" for host in range(hosts)]
        self._switch = f"{PREFIX}{os.getpid()}-switch"

    def __enter__(self) -> "ShapedNetwork":
        remove_leftovers()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*self._hosts, self._switch):
            _remove(name)

    def address(self, host: int) -> str:
        """Where a host is reached."""
        return f"10.0.0.{host + 1}"

    def command(self, host: int) -> list[str]:
        """What to put before a command so that it runs on the host."""
        return ["ip", "netns", "exec", self._hosts[host]]

    def shape(self, bits_per_second: float) -> None:
        """Give every link this speed, in each direction; it may be called again while programs run."""
        burst = max(LEAST_BURST, int(bits_per_second / 8 * BURST_MS / 1000))
        bucket = ["tbf", "rate", f"{int(bits_per_second)}bit", "burst", f"{burst}b", "latency", f"{QUEUE_MS}ms"]
        for host, name in enumerate(self._hosts):
            _run("tc", "-n", name, "qdisc", "replace", "dev", self.interface, "root", *bucket)
            _run("tc", "-n", self._switch, "qdisc", "replace", "dev", f"port{host}", "root", *bucket)

    def _build(self) -> None:
        _run("ip", "netns", "add", self._switch)
        _run("ip", "-n", self._switch, "link", "add", "switch", "type", "bridge")
        _run("ip", "-n", self._switch, "link", "set", "switch", "up")
        for host, name in enumerate(self._hosts):
            port = f"port{host}"
            _run("ip", "netns", "add", name)
            peer = ("type", "veth", "peer", "name", port, "netns", self._switch)
            _run("ip", "link", "add", self.interface, "netns", name, *peer)
            _run("ip", "-n", self._switch, "link", "set", port, "master", "switch", "up")
            _run("ip", "-n", name, "address", "add", f"{self.address(host)}/24", "dev", self.interface)
            for interface in ("lo", self.interface):
                _run("ip", "-n", name, "link", "set", interface, "up")
            setting = "/proc/sys/net/ipv4/tcp_congestion_control"
            _run(*self.command(host), "sh", "-c", f"echo {CONGESTION_CONTROL} > {setting}")


def why_not() -> str | None:
    """Why hosts cannot be made here; None where they can."""
    missing = [program for program in ("ip", "tc") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} not found (iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with ShapedNetwork(1) as network:
            network.shape(1e9)
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}: {error.stderr.strip()}"
    return None


def remove_leftovers() -> None:
    """Remove what a killed run left behind: namespaces of ours whose process is gone, and what runs in them."""
    folder = Path("/var/run/netns")
    for path in sorted(folder.glob(f"{PREFIX}*")):
        process = path.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            _remove(path.name)


def _remove(name: str) -> None:
    """End what runs in a namespace and delete it, its links with it; nothing where there is none."""
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for process in map(int, found.stdout.split()):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
