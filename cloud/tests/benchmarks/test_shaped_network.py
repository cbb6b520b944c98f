"""Hosts with links of a given speed: the speed holds, and nothing is left behind. Needs root; skipped without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.shaped_network import PREFIX, Loopback, ShapedNetwork, remove_leftovers, why_not

REASON = why_not()
needs_root = pytest.mark.skipif(REASON is not None, reason=str(REASON))

RECEIVE = """
import socket, time
with socket.create_server(("", 5001)) as door:
    print("ready", flush=True)
    connection, _ = door.accept()
connection.recv(1 << 20)
begin, arrived = time.perf_counter(), 0
while chunk := connection.recv(1 << 20):
    arrived += len(chunk)
print(8 * arrived / (time.perf_counter() - begin))
"""
SEND = "import socket, sys; socket.create_connection((sys.argv[1], 5001)).sendall(bytes(int(sys.argv[2])))"


def measured_speed(network: ShapedNetwork, size_bytes: int) -> float:
    """Bits a second from host 0 to host 1, by plain sockets."""
    receiver = subprocess.Popen([*network.command(1), sys.executable, "-c", RECEIVE], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    sender = [*network.command(0), sys.executable, "-c", SEND, network.address(1), str(size_bytes)]
    subprocess.run(sender, check=True, timeout=60)
    speed = float(receiver.stdout.read())
    receiver.wait(timeout=10)
    return speed


def namespaces() -> list[str]:
    return [path.name for path in Path("/var/run/netns").glob(f"{PREFIX}*")]


@needs_root
def test_the_speed_holds_and_can_be_changed() -> None:
    with ShapedNetwork(2) as network:
        network.shape(20e6)
        assert measured_speed(network, 2_000_000) == pytest.approx(20e6, rel=0.15)  # headers take 5 %
        network.shape(100e6)
        assert measured_speed(network, 10_000_000) == pytest.approx(100e6, rel=0.15)


@needs_root
def test_nothing_is_left_after_an_error() -> None:
    started: list[subprocess.Popen[str]] = []
    own = f"{PREFIX}{os.getpid()}-"

    def fail_in_between() -> None:
        with ShapedNetwork(2) as network:
            sleeper = [*network.command(0), "sh", "-c", "echo ready; exec sleep 60"]
            started.append(subprocess.Popen(sleeper, stdout=subprocess.PIPE, text=True))
            assert started[0].stdout is not None
            assert started[0].stdout.readline() == "ready\n"  # it has entered the namespace
            assert {f"{own}0", f"{own}1", f"{own}switch"} <= set(namespaces())
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail_in_between()
    assert started[0].wait(timeout=10) < 0  # what ran there was ended
    assert not [name for name in namespaces() if name.startswith(own)]


@needs_root
def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not() -> None:
    killed = "import os; from benchmarks.shaped_network import ShapedNetwork; ShapedNetwork(1).__enter__(); os._exit(9)"
    process = subprocess.Popen([sys.executable, "-c", killed], cwd=Path(__file__).parents[3])
    assert process.wait(timeout=60) == 9
    left = f"{PREFIX}{process.pid}-0"
    assert left in namespaces()
    with ShapedNetwork(1) as living:
        assert left not in namespaces()  # entering removes it
        remove_leftovers()
        assert living.command(0)[-1] in namespaces()


def test_loopback_stands_in() -> None:
    with Loopback() as network:
        network.shape(1e9)
        assert network.command(3) == []
        assert (network.address(3), network.interface, network.shaped) == ("127.0.0.1", "lo", False)


def test_why_not_says_so_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.shaped_network.shutil.which", lambda program: f"/sbin/{program}")
    monkeypatch.setattr("benchmarks.shaped_network.os.geteuid", lambda: 1000)
    assert why_not() == "network namespaces need root"
    monkeypatch.setattr("benchmarks.shaped_network.shutil.which", lambda program: None)
    assert why_not() == "ip and tc not found (iproute2)"
