"""The kernels' benchmark: without a GPU it says so; its cases run in the interpreter, small, and are checked."""

import sys

import pytest
import torch

from benchmarks import kernels

CPU = torch.device("cpu")
LAST = torch.channels_last


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kernels", "--json", "-"])
    assert kernels.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "benchmarks.kernels needs a GPU, and PyTorch finds none here\n"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.skipif(torch.cuda.is_available(), reason="the benchmark itself runs here")
def test_every_kernel_is_checked_and_timed(monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed here")
    monkeypatch.setattr(kernels, "CACHE", 1)
    case = kernels.Case(8, 3, 2, torch.float32, LAST, 2, CPU)
    rows = kernels.measure(case, "channels_last", "float32", 1)
    assert [(row["kind"], row["implementation"]) for row in rows] == [
        ("expand", "forward"),
        ("expand", "backward"),
        ("sparse", "grouped convolution, forward"),
        ("sparse", "depthwise convolution, sums, forward"),
        ("sparse", "fused"),
        ("sparse", "fused, seed maps not kept"),
        ("statistics", "forward, then statistics"),
        ("statistics", "in one pass"),
    ]
    assert all(row["ms"] > 0 for row in rows)
    assert rows[0]["percent_of_copy"] == pytest.approx(100 * rows[0]["copy_ms"] / rows[0]["ms"])
    # 2 images of 3 x 3 pixels: 4 seed maps read, 8 maps written, 4 bytes each
    assert rows[0]["gigabytes_per_second"] == pytest.approx(2 * 9 * 12 * 4 / rows[0]["ms"] / 1e6)
    assert rows[1]["gigabytes_per_second"] == pytest.approx(2 * 9 * 16 * 4 / rows[1]["ms"] / 1e6)
    assert len(kernels.table(rows).splitlines()) == 2 + len(rows)


def test_a_round_outgrows_the_cache():
    small = kernels.Case(512, 7, 2, torch.bfloat16, LAST, 256, CPU)
    assert small.several(768) * 768 * 256 * 49 * 2 >= kernels.CACHE
    assert kernels.Case(64, 560, 2, torch.float32, LAST, 256, CPU).several(96) == 1


def test_the_cases():
    assert len(list(kernels.cases(True, 1, CPU))) == 8
    assert len(list(kernels.cases(False, 1, CPU))) == 32


def test_a_wrong_kernel_ends_the_run():
    exact = torch.ones(3, dtype=torch.double)
    errors = kernels.checked("sine", exact.float() + 1e-3, exact, exact + 1e-3)
    assert errors == pytest.approx({"error": 1e-3, "plain_error": 1e-3}, rel=1e-3)
    with pytest.raises(SystemExit, match=r"sine: wrong by 0\.003, plain PyTorch in the same precision by 0\.001"):
        kernels.checked("sine", exact + 3e-3, exact, exact + 1e-3)
    with pytest.raises(SystemExit, match="sine: wrong by nan"):
        kernels.checked("sine", exact * torch.nan, exact, exact)
