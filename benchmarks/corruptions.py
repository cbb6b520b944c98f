"""How fast the corruptions are made on one core, against one picture at a time with numpy and OpenCV, in one run.

    pip install opencv-python-headless scikit-image scipy
    python -m benchmarks.corruptions --data-dir DIR --json results/corruptions.json

CIFAR-10-C is the 10,000 test pictures of CIFAR-10, 19 corruptions, 5 severities. Ours makes all of it, in batches,
each dropped when made, and the peer (benchmarks/corruption_peers.py) the first pictures of every part, right after;
both on one thread, timed in CPU seconds of this process, which other programs on the machine disturb least.
"""

import argparse
import importlib
import importlib.util
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.experiment import header, write_json
from groupnl.corruptions import CORRUPTIONS, SEVERITIES, FrostPhotographs, corrupt, find_frost_photographs, names
from groupnl.data import load

BATCH = 500
NEEDED = {"cv2": "opencv-python-headless", "skimage": "scikit-image", "scipy": "scipy"}


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds that ``work`` takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def peak_mib() -> float:
    """The most memory this process has had so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def make(images: Tensor, name: str, severity: int, photographs: FrostPhotographs) -> None:
    """Make one part of the benchmark batch by batch, and drop it."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        corrupt(batch, name, severity=severity, first_index=start, frost_photographs=photographs)


def make_one_by_one(pictures: np.ndarray, name: str, severity: int, photographs: list[np.ndarray]) -> None:
    """The same, the peer's way.

    Args:
        pictures: uint8, shape (N, H, W, 3).
        name: Of the corruption.
        severity: From 1 to 5.
        photographs: Of frost, each uint8 of shape (H, W, 3).
    """
    from benchmarks.corruption_peers import PEERS

    constants: dict[str, Any] = dict(CORRUPTIONS[name].constants("cifar", severity))
    if name == "frost":
        constants["photographs"] = photographs
    random = np.random.default_rng(0)
    for picture in pictures:
        PEERS[name](picture, random, **constants)


def measure(images: Tensor, peer_images: int, photographs: FrostPhotographs) -> list[dict[str, Any]]:
    """CPU milliseconds a picture of every part, ours and the peer's, and the peak of the memory after it."""
    pictures = images[:peer_images].permute(0, 2, 3, 1).contiguous().numpy()
    panes = [photograph.permute(1, 2, 0).contiguous().numpy() for photograph in photographs.images]
    rows = []
    for name in names("all"):
        for severity in SEVERITIES:
            make(images[:BATCH], name, severity, photographs)  # tables and allocations of the first call
            make_one_by_one(pictures[:1], name, severity, panes)
            before = peak_mib()
            ours = cpu_seconds(lambda n=name, s=severity: make(images, n, s, photographs)) / len(images)  # type: ignore[misc]
            after = peak_mib()
            peer = cpu_seconds(lambda n=name, s=severity: make_one_by_one(pictures, n, s, panes)) / len(pictures)  # type: ignore[misc]
            rows.append(
                {
                    "corruption": name,
                    "severity": severity,
                    "ms_per_picture": ours * 1e3,
                    "peer_ms_per_picture": peer * 1e3,
                    "memory_growth_mib": after - before,
                }
            )
            print(
                f"{name:18} {severity}  ours {ours * 1e3:7.4f} ms  peer {peer * 1e3:8.4f} ms  {peer / ours:6.1f} x",
                flush=True,
            )
    return rows


def summary(rows: list[dict[str, Any]], images: int) -> dict[str, Any]:
    """Seconds for all parts of ``images`` pictures; the peer's are scaled up from those it made."""
    ours, peer = (sum(row[key] for row in rows) * images / 1e3 for key in ("ms_per_picture", "peer_ms_per_picture"))
    return {
        "seconds": ours,
        "peer_seconds": peer,
        "speedup": peer / ours,
        "largest_memory_growth_mib": max(row["memory_growth_mib"] for row in rows),
        "peak_memory_mib": peak_mib(),
    }


def table(rows: list[dict[str, Any]], images: int) -> str:
    """A Markdown table: seconds for the five severities of ``images`` pictures, by corruption."""
    lines = ["| corruption | ours, s | one by one, s | ratio |", "|---|---|---|---|"]
    for name in dict.fromkeys(row["corruption"] for row in rows):
        of_name = [row for row in rows if row["corruption"] == name]
        ours, peer = (sum(row[key] for row in of_name) for key in ("ms_per_picture", "peer_ms_per_picture"))
        lines.append(f"| {name} | {ours * images / 1e3:.1f} | {peer * images / 1e3:.0f} | {peer / ours:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Time every part, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds CIFAR-10")
    parser.add_argument("--images", type=int, default=10_000, help="of the test set, made by us")
    parser.add_argument("--peer-images", type=int, default=100, help="of these, made one by one too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        parser.error(f"the peer needs packages that are not installed: pip install {' '.join(missing)}")
    importlib.import_module("cv2").setNumThreads(1)
    torch.set_num_threads(1)
    images = load("cifar10", split="test", data_dir=arguments.data_dir).images[: arguments.images]
    photographs = find_frost_photographs()
    rows = measure(images, arguments.peer_images, photographs)
    result = {
        **header(
            "python -m benchmarks.corruptions --data-dir DIR "
            f"--images {len(images)} --peer-images {arguments.peer_images}",
            data="cifar10",
            images=len(images),
            peer_images=arguments.peer_images,
            batch=BATCH,
            threads=1,
            time="CPU seconds of the process",
            frost_source=photographs.source,
            peer_versions={module: __import__(module).__version__ for module in NEEDED},
        ),
        **summary(rows, len(images)),
        "parts": rows,
    }
    print("\n" + table(rows, len(images)))
    print(
        f"\n{len(images)} pictures x {len(rows)} parts: ours {result['seconds']:.0f} s, one by one "
        f"{result['peer_seconds']:.0f} s, {result['speedup']:.1f} x; memory grew by at most "
        f"{result['largest_memory_growth_mib']:.0f} MiB from {BATCH} pictures to all"
    )
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
