"""What a device's benchmark must hold, and how it is told from other JSON."""

import pytest

from groupnl.report import is_bench, read_device


def test_every_figure_is_read(bench):
    device = read_device(bench(threads=(1, 2), forms=("plain", "native"), energy_mj=3.0))
    assert (device.name, device.model, device.energy_covers, device.idle_w) == (
        "Board 4",
        "resnet8",
        "the whole board",
        2.5,
    )
    assert [(row.form.split("/")[1], row.threads) for row in device.rows] == [
        ("plain", 1),
        ("plain", 2),
        ("native", 1),
        ("native", 2),
    ]
    last = device.rows[-1]
    assert (last.latency_ms_median, last.latency_ms_p90, last.latency_ms_p99) == (3.0, 3.25, 3.625)
    assert (last.images_per_second, last.latency_spread, last.ratio_to_first) == (320.0, 0.08, 0.5)
    assert (last.cold_start_ms, last.peak_memory_bytes, last.energy_mj) == (345.6, 64 * 2**20, 3.0)
    assert last.block_medians_ms == (2.975, 3.025)
    assert device.energy_reasons == ()


def test_without_a_meter(bench):
    device = read_device(bench())
    assert device.rows[0].energy_mj is None
    assert device.energy_reasons == ("no counters",)


def test_energy_below_what_the_meter_can_tell_is_kept(bench):
    assert read_device(bench(energy_mj=-0.5)).rows[0].energy_mj == -0.5


def test_a_benchmark_is_told_from_other_files(bench, evaluation):
    assert is_bench(bench())
    assert is_bench({"latency_ms_median": 1.0, "cold_start_ms": 1.0, "artifact": "x"})  # of the first version
    assert not is_bench(evaluation())
    assert not is_bench({"nets": {"a": {"latency_ms_median": 1.0, "cold_start_ms": 1.0}}})


def test_an_older_benchmark_is_refused_with_a_way_out(bench):
    old = {key: value for key, value in bench().items() if key not in ("rows", "settings", "kind")}
    with pytest.raises(ValueError, match=r"no rows, settings: .* an older one wrote less, so measure again"):
        read_device(old)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": []}, "rows is empty"),
        ({"rows": {}}, r"rows=\{\}: expected list"),
        ({"rows": [3]}, r"rows\[0\]=3: expected an object"),
        ({"model_bytes": "many"}, "model_bytes='many': expected int"),
        ({"hardware": None}, "hardware=None: expected dict"),
    ],
)
def test_refusals(bench, changes, message):
    with pytest.raises(ValueError, match=message):
        read_device(bench(**changes))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latency_ms_median", None),
        ("latency_ms_p99", -1.0),
        ("images_per_second", "fast"),
        ("latency_spread", float("nan")),
        ("peak_memory_bytes", True),
        ("energy_mj", float("inf")),
        ("threads", 0),
        ("threads", 1.0),
        ("block_medians_ms", []),
        ("block_medians_ms", ["1"]),
    ],
)
def test_refusals_in_a_row(bench, key, value):
    record = bench()
    record["rows"][1][key] = value
    with pytest.raises(ValueError, match=rf"rows\[1\]: {key}="):
        read_device(record)
