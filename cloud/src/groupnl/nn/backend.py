"""Which implementation expands the seed maps: chosen by itself, or forced for a whole process."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from groupnl_device.nlf import NLF

Backend = Literal["auto", "reference", "eager", "compiled", "triton"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TRITON_NLFS: tuple[NLF, ...] = ("sine", "gaussian", "monomial", "identity")


_backend: Backend | None = None  # None: the environment was not asked yet


def set_backend(name: Backend) -> None:
    """Force how GroupNL layers expand their seed maps, in this process, from the next forward pass on.

    Results agree within rounding. The environment variable ``GROUPNL_BACKEND`` sets it at the start.

    Args:
        name: ``auto``: Triton kernels on a GPU, ``eager`` on a CPU, and the composite form of plain operators inside
            ``torch.compile``, ``torch.export``, tracing, and on other devices. ``reference``: the formula written
            plainly, slow. ``eager``: few whole-tensor operations with a backward pass of their own. ``compiled``: the
            composite form under ``torch.compile``, each layer on its own. ``triton``: the kernels, or an error.

    Raises:
        ValueError: ``name`` is unknown, or ``triton`` cannot run here.
    """
    global _backend
    _backend = _checked("backend", name)


def get_backend() -> Backend:
    """What :func:`set_backend` or ``GROUPNL_BACKEND`` asked for.

    Raises:
        ValueError: The environment asks for what is unknown, or cannot run here.
    """
    global _backend
    if _backend is None:
        _backend = _checked("GROUPNL_BACKEND", os.environ.get("GROUPNL_BACKEND", "auto"))
    return _backend


def _checked(source: str, given: str) -> Backend:
    if given not in BACKENDS:
        raise ValueError(f"{source}={given!r}: expected one of {', '.join(BACKENDS)}")
    if given == "triton" and (reason := why_no_triton()):
        raise ValueError(f"{source}='triton': {reason}; 'auto' takes what runs here")
    return given


@contextmanager
def using_backend(name: Backend) -> Iterator[None]:
    """:func:`set_backend` for as long as the context lasts."""
    before = get_backend()
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def why_no_triton() -> str | None:
    """What keeps the Triton kernels from running here; None: nothing."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed"
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        return None if major >= 8 else f"the GPU has compute capability {major}.{minor}, Triton needs 8.0"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return None
    return "no CUDA device was found"


def runs_in_triton(device: torch.device, dtype: torch.dtype, nlf: NLF) -> bool:
    """Whether an eager expansion goes through the Triton kernels.

    Raises:
        ValueError: They are forced, and have no such type or function.
    """
    backend = get_backend()
    forced = backend == "triton"
    able = dtype in TRITON_DTYPES and nlf in TRITON_NLFS
    if forced and not able:
        raise ValueError(
            f"backend='triton' with nlf={nlf!r} and {dtype}: the kernels take {', '.join(TRITON_NLFS)} in "
            f"{', '.join(str(d).removeprefix('torch.') for d in TRITON_DTYPES)}; 'auto' takes what runs"
        )
    return able and (forced or (backend == "auto" and device.type == "cuda" and why_no_triton() is None))


def chosen_backend(device: torch.device, dtype: torch.dtype, nlf: NLF) -> str:
    """What an eager forward pass takes: ``eager``, ``triton``, ``composite``, or what was forced."""
    backend = get_backend()
    if backend in ("reference", "compiled"):
        return backend
    if backend == "auto" and device.type not in ("cpu", "cuda"):
        return "composite"
    return "triton" if runs_in_triton(device, dtype, nlf) else "eager"
