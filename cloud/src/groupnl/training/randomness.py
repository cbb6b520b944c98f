"""Every random draw of a run as a pure function of (seed, purpose, epoch, step): nothing to save, nothing to restore.

A run that resumes in the middle of an epoch draws what the uninterrupted run drew, and each of many processes can make
the draws of the whole batch and take its share.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, *path: int | str) -> int:
    """A seed in [0, 2**63) for one purpose: BLAKE2b's first 8 bytes, the same in every version of numpy and torch."""
    message = "\0".join(str(part) for part in (seed, *path)).encode()
    return int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "little") >> 1


def generator_for(seed: int, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose, such as ``generator_for(seed, "order", epoch)``."""
    return torch.Generator(device).manual_seed(derived_seed(seed, *path))


def seed_global_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that dropout and its like draw from, on the CPU and on the training device.

    ``torch.manual_seed`` would do the same for every device of the machine, and takes 0.2 ms; this is called at every
    step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


@contextmanager
def caller_generators_kept(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators, at the end, as the caller had them."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices, device_type="cuda"):
        yield
