"""Files of external meters, made by hand."""

import threading
import time
from pathlib import Path

import pytest

from groupnl_device.power import Mark, MeterError
from groupnl_device.power_log import PowerLog

DAY = 1_790_000_000.0  # an instant of 2026, in seconds since 1970


def log(folder: Path, rows: list[tuple[float, float]], head: str = "time,power_w") -> Path:
    file = folder / "power.csv"
    file.write_text("\n".join([head, *(f"{moment:.3f},{power}" for moment, power in rows)]) + "\n")
    return file


def window(begin: float, end: float) -> tuple[Mark, Mark]:
    """The same window by both clocks: the machine was started at DAY."""
    return Mark(begin, DAY + begin), Mark(end, DAY + end)


@pytest.mark.parametrize("start", [0.0, DAY])
def test_both_clocks_give_the_same_energy(tmp_path: Path, start: float) -> None:
    meter = PowerLog(log(tmp_path, [(start + t / 4, 2.0 if t < 20 else 6.0) for t in range(100)]))
    # 2 W until 4.75 s, 6 W from 5 s on, a straight line between: (2 s - 0.25 s) at 2, 0.25 s at 4, 3 s at 6
    assert meter.joules(*window(3.0, 8.0)) == pytest.approx(2 * 1.75 + 4 * 0.25 + 6 * 3, abs=1e-3)


def test_other_columns_blanks_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    rows = "".join(f'"note, {t}",1.5,5.0,{t}\r\n' for t in range(11))
    file.write_bytes(f"note, power_w ,volts,time\r\n{rows}\r\n".encode("utf-8-sig"))
    assert PowerLog(file).joules(*window(0.0, 10.0)) == pytest.approx(15.0)


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    file = log(tmp_path, [(0.0, 1.0), (1.0, 1.0)])
    with file.open("a") as stream:
        stream.write("2.0,1")  # of 1234.5, perhaps
    assert PowerLog(file).read() == ([0.0, 1.0], [1.0, 1.0])


def test_waits_for_the_logger(tmp_path: Path) -> None:
    file = log(tmp_path, [(float(t), 2.0) for t in range(8)])
    meter = PowerLog(file, patience=20)

    def write_on() -> None:
        time.sleep(0.2)
        with file.open("a") as stream:
            stream.write("8.0,2.0\n9.0,2.0\n10.0,2.0\n")

    thread = threading.Thread(target=write_on)
    thread.start()
    assert meter.joules(*window(0.0, 10.0)) == pytest.approx(20.0)
    thread.join()


def test_too_short(tmp_path: Path) -> None:
    meter = PowerLog(log(tmp_path, [(float(t), 2.0) for t in range(8)]), patience=0)
    with pytest.raises(MeterError, match=r"power.csv does not reach the end .*: its last sample is 3.0 s earlier"):
        meter.joules(*window(0.0, 10.0))
    with pytest.raises(MeterError, match="it holds no sample"):
        PowerLog(log(tmp_path, []), patience=0).joules(*window(0.0, 10.0))


def test_begun_too_late_or_with_a_gap(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"power.csv: the samples do not cover"):
        PowerLog(log(tmp_path, [(float(t), 2.0) for t in range(3, 20)])).joules(*window(0.0, 10.0))
    with pytest.raises(MeterError, match=r"power.csv: 4.00 s without a sample"):
        PowerLog(log(tmp_path, [(float(t), 2.0) for t in range(20) if t not in (5, 6, 7)])).joules(*window(0.0, 10.0))


def test_a_clock_that_is_set(tmp_path: Path) -> None:
    meter = PowerLog(log(tmp_path, [(DAY + t, 2.0) for t in range(30)]))
    with pytest.raises(MeterError, match="clock was set"):
        meter.joules(Mark(0.0, DAY), Mark(10.0, DAY + 15))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no column time and no column power_w; .*found an empty file"),
        ("time,watts\n1,2\n", "no column power_w; .*found time, watts"),
        ("1.0,2.0\n2.0,2.0\n", "no column time"),
        ("time,power_w\n1.0,abc\n", "line 2: '1.0,abc': expected numbers"),
        ("time,power_w\n1.0\n", "line 2: '1.0': expected numbers"),
        ("time,power_w\n1.0,nan\n", "line 2"),
        ("time,power_w\n1.0,2.0\n\n1.0,2.0\n", "line 4: time 1.0 is not later"),
    ],
)
def test_files_that_are_no_log(tmp_path: Path, text: str, match: str) -> None:
    file = tmp_path / "power.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=match):
        PowerLog(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent.csv"):
        PowerLog(tmp_path / "absent.csv")
