"""One process or, under torchrun, many: where each runs, and which of them speaks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """This process.

    Attributes:
        device: Where it runs, such as "cpu" or "cuda:1".
        distributed: Whether it shares the work with others.
        is_first: Whether it speaks for all.
    """

    device: str
    distributed: bool
    is_first: bool


@contextmanager
def launched(device: str | None) -> Iterator[Launch]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    Args:
        device: cpu, cuda, cuda:1, ...; None is a GPU where there is one. Under torchrun each process of a machine takes
            a GPU of its own.

    Raises:
        ValueError: A GPU is asked for and there is none, or fewer than processes.
    """
    import torch
    from torch import distributed

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if chosen.startswith("cuda"):
        local = int(os.environ.get("LOCAL_RANK", "0"))
        number = local if processes > 1 else torch.device(chosen).index or 0
        if torch.cuda.device_count() <= number:
            raise ValueError(
                f"--device {chosen}: process {local} of this machine finds {torch.cuda.device_count()} GPUs; give "
                "--device cpu, or start as many processes as there are GPUs"
            )
        chosen = f"cuda:{number}"
        torch.cuda.set_device(number)
    if processes == 1:
        yield Launch(chosen, distributed=False, is_first=True)
        return
    distributed.init_process_group("nccl" if chosen.startswith("cuda") else "gloo")
    try:
        yield Launch(chosen, distributed=True, is_first=distributed.get_rank() == 0)
    finally:
        distributed.destroy_process_group()
