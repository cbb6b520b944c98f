"""How many images fit at a time: measured with a few, so that it holds for any net that runs on torch."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TRIAL = 8  # images that are measured with
_LARGEST = {"cpu": 256, "cuda": 1024}  # beyond these a batch gains no speed
_ELSEWHERE = 64  # on devices whose memory torch does not report
_SHARE = {"cpu": 0.25, "cuda": 0.5}  # of the free memory; the rest is for the corruptions and for other programs
_LEAST_PER_VALUE = 64  # bytes a value of the input: for nets whose work torch does not see


def fitting_batch_size(run: Callable[[], object], trial_images: Tensor, processes: int) -> int:
    """The largest power of two of images that fits in a share of the free memory.

    Args:
        run: Puts ``trial_images`` through the net.
        trial_images: Some images on the net's device, shape (n, 3, H, W), n at least 1.
        processes: How many share this machine's memory.

    Returns:
        1 to 256 on a CPU, to 1024 on a GPU; 64 on other devices.
    """
    device = trial_images.device
    if device.type == "cuda":
        taken, free = _peak_on_gpu(run, device), _free_on_gpu(device)
    elif device.type == "cpu":
        with _LiveBytes() as live:
            run()
        taken, free = live.peak, psutil.virtual_memory().available // processes
    else:
        return _ELSEWHERE
    least = trial_images[0].numel() * _LEAST_PER_VALUE
    fits = int(_SHARE[device.type] * free / max(taken / len(trial_images), least))
    return min(_LARGEST[device.type], 1 << max(fits.bit_length() - 1, 0))


def _peak_on_gpu(run: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _free_on_gpu(device: torch.device) -> int:
    """What the driver has, and what torch holds without using it."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not say its types
    """Counts the bytes of the tensors that are alive at a time, of those made while it is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
