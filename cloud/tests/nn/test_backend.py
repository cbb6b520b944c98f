"""Choosing and forcing the path of the expansion."""

import os
import subprocess
import sys

import pytest
import torch

from groupnl.nn import BACKENDS, backend, chosen_backend, get_backend, set_backend, using_backend

CPU = torch.device("cpu")


def test_auto_takes_what_fits_the_tensor(monkeypatch):
    assert get_backend() == "auto"
    assert chosen_backend(CPU, torch.float32, "sine") == "eager"
    assert chosen_backend(torch.device("mps"), torch.float32, "sine") == "composite"
    monkeypatch.setattr(backend, "why_no_triton", lambda: None)
    gpu = torch.device("cuda")
    assert chosen_backend(gpu, torch.bfloat16, "sine") == "triton"
    assert chosen_backend(gpu, torch.float64, "sine") == "eager"
    assert chosen_backend(gpu, torch.float32, "legendre") == "eager"
    assert chosen_backend(CPU, torch.float32, "sine") == "eager"
    monkeypatch.setattr(backend, "why_no_triton", lambda: "no CUDA device was found")
    assert chosen_backend(gpu, torch.bfloat16, "sine") == "eager"


def test_forced_for_a_while_only(monkeypatch):
    monkeypatch.setattr(backend, "why_no_triton", lambda: None)
    for name in BACKENDS:
        with using_backend(name):
            assert get_backend() == name
            assert chosen_backend(CPU, torch.float32, "sine") == ("eager" if name == "auto" else name)
        assert get_backend() == "auto"
    with pytest.raises(ZeroDivisionError), using_backend("reference"):
        _ = 1 // 0
    assert get_backend() == "auto"


def test_refuses_what_it_does_not_know(monkeypatch):
    with pytest.raises(ValueError, match="backend='fast': expected one of auto, reference, eager, compiled, triton"):
        set_backend("fast")
    monkeypatch.setattr(backend, "why_no_triton", lambda: "no CUDA device was found")
    with pytest.raises(ValueError, match="'triton': no CUDA device was found; 'auto' takes what runs here"):
        set_backend("triton")
    assert get_backend() == "auto"


def test_forced_triton_refuses_what_it_has_no_kernel_for(monkeypatch):
    monkeypatch.setattr(backend, "why_no_triton", lambda: None)
    with using_backend("triton"):
        with pytest.raises(ValueError, match=r"nlf='legendre' and torch\.float32: the kernels take sine, gaussian"):
            chosen_backend(CPU, torch.float32, "legendre")
        with pytest.raises(ValueError, match="in float32, bfloat16, float16"):
            chosen_backend(CPU, torch.float64, "sine")


def test_says_why_triton_cannot_run(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    assert backend.why_no_triton() == "the package triton is not installed"
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert "7.5" in str(backend.why_no_triton())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert backend.why_no_triton() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert backend.why_no_triton() == "no CUDA device was found"


@pytest.mark.parametrize(("given", "code"), [("reference", 0), ("quick", 1)])
def test_the_environment_sets_it_at_the_start(given, code):
    script = (
        "from groupnl.nn import GroupNLConv2d, get_backend; GroupNLConv2d(4, 4, 1, nl_groups=1); print(get_backend())"
    )
    environment = {**os.environ, "GROUPNL_BACKEND": given}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == code
    said = run.stdout if code == 0 else run.stderr
    assert (given if code == 0 else "GROUPNL_BACKEND='quick': expected one of auto, reference") in said
