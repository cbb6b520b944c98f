"""The benchmark of data-parallel training: what it plans, its tables, and whole runs that end well or badly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.shaped_network import PREFIX, Loopback, why_not
from benchmarks.traffic import SPEEDS, Case, plan, step_counts
from benchmarks.traffic_team import Team, TeamFailedError

from benchmarks import traffic_page, traffic_picture

ROOT = Path(__file__).parents[3]
ALL = tuple(SPEEDS.values())


def row(net: str, seconds: float, *, workers: int = 2, compute: str = "replay", busy: float = 1.0) -> dict[str, Any]:
    return {
        "net": net,
        "workers": workers,
        "speed": 1e9,
        "compute": compute,
        "bucket_cap_mb": None,
        "seconds": seconds,
        "predicted_seconds": seconds / 1.25,
        "sent_bytes": 45e6,
        "predicted_sent_bytes": 44e6,
        "busy_cores": busy,
    }


def net(name: str, size: int) -> dict[str, Any]:
    return {
        "net": name,
        "forward_seconds": 0.1,
        "backward_seconds": 0.2,
        "update_seconds": 0.01,
        "gradient_bytes": size,
        "buffer_bytes": 100,
        "buckets": [{"size_bytes": size, "parameters": 3, "ready": 1.0}],
        "broadcast_bytes": [100],
    }


LINK = {"workers": 2, "speed": 1e9, "bits_per_second": 9.5e8, "latency_seconds": 1e-4, "all_reduce_sent": 1.004}


def test_the_plan_says_what_it_leaves_out() -> None:
    cases, left_out = plan(["groupnl_resnet18", "ghost_resnet50"], 8, ALL, ["replay", "real"])
    assert cases == [
        Case(net="groupnl_resnet18", workers=8, compute="replay", speeds=ALL),
        Case(net="groupnl_resnet18", workers=8, compute="real", speeds=(1e9,)),
        Case(net="groupnl_resnet18", workers=8, compute="replay", speeds=(1e9,), bucket_cap_mb=4.0),
        Case(net="ghost_resnet50", workers=8, compute="replay", speeds=(1e9, 1e10)),
    ]
    assert left_out == [
        "groupnl_resnet18, 8 workers, real: 100 Mbit/s, 10 Gbit/s",
        "ghost_resnet50, 8 workers, replay: 100 Mbit/s",
        "ghost_resnet50, 8 workers, real: 100 Mbit/s, 1 Gbit/s, 10 Gbit/s",
    ]


def test_slow_steps_are_few() -> None:
    assert step_counts(14.0) == (0, 2)
    assert step_counts(1.0) == (1, 3)
    assert step_counts(0.01) == (1, 10)


def test_the_step_table_by_hand() -> None:
    rows = [row("resnet18", 0.9), row("groupnl_resnet18", 0.6, busy=1.9), row("resnet18", 2.0, workers=4)]
    assert traffic_page.step_table(rows, 2).splitlines()[2:] == [
        "| resnet18 | 2 | 1 Gbit/s | 900 | 720 | 45.0 | 44.0 |  |  |",
        "| groupnl_resnet18 | 2 | 1 Gbit/s | 600 * | 480 | 45.0 | 44.0 | 1.50 | 1.50 |",
        "| resnet18 | 4 | 1 Gbit/s | 2,000 | 1,600 | 45.0 | 44.0 |  |  |",
    ]


def test_the_sentence_on_agreement_by_hand() -> None:
    rows = [row("resnet18", 0.9), {**row("resnet18", 0.6), "predicted_seconds": 0.6}, row("resnet50", 2.0, busy=2.0)]
    assert traffic_page.agreement(rows, 2).split(". A worker")[0] == (
        "Each worker as on a machine of its own: steps took 1.00 to 1.25 times (median 1.12) the predicted time with "
        "cores to spare, 2 of 3 cases; 1.25 to 1.25 times (median 1.25) the predicted time with busy cores (*), 1 of 3 "
        "cases"
    )
    assert "A worker sent 1.02 to 1.02 times (median 1.02) the predicted bytes" in traffic_page.agreement(rows, 2)
    assert traffic_page.agreement([], 2).startswith("No step was measured")


def test_the_other_tables_by_hand() -> None:
    assert traffic_page.link_table([LINK]).splitlines()[2] == (
        "| 2 | 1 Gbit/s | 950 Mbit/s (95%) | 0.10 | 1.004 b | 1.000 |"
    )
    assert "| 2 | unshaped | 950 Mbit/s | 0.10 |" in traffic_page.link_table([{**LINK, "speed": None}])
    assert traffic_page.sent_table([net("resnet18", 44_700_000)]).splitlines()[2] == (
        "| resnet18 | 44.7 | 0 | 44.7 | 100 | 200 | 10 |"
    )
    rows = [
        {"net": name, "compute_seconds": 0.1, "speed": 2.5e9, "predicted_seconds": seconds}
        for name, seconds in (("resnet101", 0.306), ("groupnl_resnet101", 0.2))
    ]
    claim = {"rows": rows, "gradient_bytes": {"resnet101": 178e6, "groupnl_resnet101": 105e6}}
    assert traffic_page.claim_table(claim).splitlines() == [
        "| net (gradients; resnet101: 178 MB) | compute, ms | 2.5 Gbit/s |",
        "|---|---:|---:|",
        "| groupnl_resnet101 (105 MB) | 100 | +53 % |",
    ]


def test_the_picture_has_a_panel_a_net_with_its_points_and_lines() -> None:
    nets = [net("resnet18", 40_000_000), net("groupnl_resnet18", 20_000_000), net("ghost_resnet18", 25_000_000)]
    steps = [row("resnet18", 0.9), row("groupnl_resnet18", 0.6), row("groupnl_resnet18", 9.0, compute="real")]
    figure = traffic_picture.draw({"nets": nets, "links": [LINK], "steps": steps})
    first, second = (axis for axis in figure.axes if axis.get_visible())
    assert [axis.get_title() for axis in (first, second)] == ["groupnl_resnet18", "ghost_resnet18"]
    line, points = first.lines[:2]
    assert points.get_xydata().tolist() == [[9.5e8, pytest.approx(1.5)]]
    assert line.get_ydata()[0] == pytest.approx(2, rel=0.1)  # a slow link: the ratio of the bytes
    assert line.get_ydata()[-1] == pytest.approx(1, rel=0.1)  # a fast one: the same computing
    assert second.lines[1].get_xydata().tolist() == []


def test_speeds_have_names() -> None:
    assert [traffic_page.speed_name(speed) for speed in (1e8, 2.5e9, 1e12, 9600, None)] == [
        "100 Mbit/s",
        "2.5 Gbit/s",
        "1 Tbit/s",
        "9600 bit/s",
        "unshaped",
    ]


@pytest.mark.long
def test_a_team_over_loopback_and_one_that_fails() -> None:
    with Team(Loopback(), 2) as team:
        found = team.order("link", size_bytes=1_000_000)
        assert found["bits_per_second"] > 1e7
        compute = {"forward_seconds": 0.01, "backward_seconds": 0.05, "update_seconds": 0.01}
        with pytest.raises(TeamFailedError, match="KeyError"):  # no word on when gradients are ready
            team.order(
                "prepare",
                net="groupnl_resnet18",
                batch=2,
                compute={**compute, "ready": {"none": 0.5}},
                bucket_cap_mb=None,
            )


@pytest.mark.long
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.traffic", "--quick", "--json", str(tmp_path / "traffic.json")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    finally:
        signal.signal(signal.SIGINT, before)
    first = Path(f"/var/run/netns/{PREFIX}{process.pid}-1")
    deadline = time.monotonic() + 300
    while not (first.exists() and subprocess.check_output(["ip", "netns", "pids", first.name])):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(timeout=60) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert not list(Path("/var/run/netns").glob(f"{PREFIX}{process.pid}-*"))


@pytest.mark.long
def test_the_quick_run_measures_what_it_predicts(tmp_path: Path) -> None:
    path = tmp_path / "traffic.json"
    command = [sys.executable, "-m", "benchmarks.traffic", "--quick", "--json", str(path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)
    result = json.loads(path.read_text())
    assert result["network"].startswith("loopback" if why_not() else "network namespaces")
    assert all([bucket["size_bytes"] for bucket in net["buckets"]] == net["ddp_buckets"] for net in result["nets"])
    replayed = [step for step in result["steps"] if step["compute"] == "replay"]
    assert [step["net"] for step in replayed] == ["resnet18", "groupnl_resnet18"]
    for step in replayed:
        assert step["sent_bytes"] == pytest.approx(step["predicted_sent_bytes"], rel=0.1)
        assert step["seconds"] >= 0.95 * step["predicted_seconds"]
