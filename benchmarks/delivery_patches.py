"""Bytes of an update: patches between real versions of a net, beside the whole bundle and beside general tools.

    python -m benchmarks.delivery_patches --json results/delivery-patches.json

Each net is trained on OpenIcons, then trained on for one more epoch, or its head alone. Every version is exported in
every precision, so a patch goes from the base's bundle to the version's, as published. The peers see the two bundles
as files: zstd with the old one as its prefix, and bsdiff4.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import bsdiff4
import torch
from torch import nn

from benchmarks.experiment import header, write_result
from benchmarks.fine_tuned import Pictures, versions
from groupnl.delivery.patches import make_patch
from groupnl.export import export_bundle
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.frames import pack_frame
from groupnl_device.delivery.patch_format import manifest_base, read_head
from groupnl_device.limits import DEFAULT_LIMITS
from groupnl_device.repack import compressed, stored

NETS = ("resnet8", "groupnl_resnet8", "groupnl_resnet18")
PRECISIONS = ("float32", "float16", "int8")
_CALIBRATION = 256  # training pictures for the ranges of 8 bits
_LARGEST_FOR_PEERS = 2**24  # bytes: bsdiff4 takes 17 times as much memory
_CHILD = """
import json, sys, time
from pathlib import Path
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.patch import apply_patch

def kibibytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

old, patch, out, full = sys.argv[1:]
before = kibibytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the peak; ru_maxrss would not do, it outlives an exec
begin = time.process_time()
apply_patch(old, patch, out)
applied, memory = time.process_time() - begin, kibibytes("VmHWM") - before
begin = time.process_time()
Bundle.open(full)
opened = time.process_time() - begin
print(json.dumps({"apply_seconds": applied, "apply_memory_bytes": 1024 * memory, "open_seconds": opened}))
"""


def exported(model: nn.Module, name: str, precision: str, pictures: Pictures) -> Bundle:
    """A version as ``groupnl export`` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.gnl")
        export_bundle(
            model,
            path,
            example_input=torch.zeros(1, *pictures.preprocessing.input_size),
            preprocessing=pictures.preprocessing,
            class_names=pictures.train.class_names,
            name=name,
            precision=precision,
            calibration_images=pictures.train.images[:_CALIBRATION] if precision == "int8" else None,
        )
        return Bundle.open(path)


def measure(old: Bundle, new: Bundle) -> dict[str, Any]:
    """Bytes of every way to bring a device from one bundle to another; time and memory of a patch.

    The old bundle is on the device as it was published: compressed.
    """
    files = stored(old), stored(new)
    published = compressed(old), compressed(new)
    begin = time.process_time()
    patch = make_patch(Bundle.from_bytes(published[0]), new)
    making = time.process_time() - begin
    head = read_head(io.BytesIO(patch), manifest_base(bytes(old.manifest_json)), DEFAULT_LIMITS)
    ways: Counter[str] = Counter()
    for recipe in head.recipes.values():
        for step in recipe.steps:
            ways[step.by] += sum(step.parts)
    peers = max(map(len, files)) <= _LARGEST_FOR_PEERS
    return {
        "stored_bytes": len(files[1]),
        "published_bytes": len(published[1]),
        "zstd_prefix_bytes": len(pack_frame(files[1], prefix=files[0])) if peers else None,
        "bsdiff4_bytes": len(bsdiff4.diff(*files)) if peers else None,
        "patch_bytes": len(patch),
        "patch_head_bytes": len(patch) - sum(ways.values()),
        "way_bytes": dict(ways),
        "make_seconds": making,
        **_on_a_device(published, patch),
    }


def _on_a_device(published: tuple[bytes, bytes], patch: bytes) -> dict[str, float]:
    """CPU seconds and growth of memory, in a process of its own; and CPU seconds to open the whole new bundle."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("old.gnl", "new.patch", "new.gnl", "full.gnl")]
        for path, content in zip(paths, (published[0], patch, b"", published[1]), strict=True):
            path.write_bytes(content)
        run = [sys.executable, "-c", _CHILD, *map(str, paths)]
        told: dict[str, float] = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
        return told


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Bytes in Markdown; in percent of the bundle as published."""
    lines = [
        "| net | weights | what changed | bundle, kB | as published, kB | zstd against the old | bsdiff4 | patch, kB | "
        "patch |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        whole = row["published_bytes"]
        peers = ["" if (size := row[key]) is None else f"{size / whole:.1%}" for key in _PEERS]
        kilobytes = [f"{row[key] / 1000:,.1f}" for key in ("stored_bytes", "published_bytes", "patch_bytes")]
        lines.append(
            f"| {row['net']} | {row['precision']} | {row['change']} | {kilobytes[0]} | {kilobytes[1]} | "
            f"{' | '.join(peers)} | {kilobytes[2]} | {row['patch_bytes'] / whole:.1%} |"
        )
    return "\n".join(lines)


_PEERS = ("zstd_prefix_bytes", "bsdiff4_bytes")


def device_table(rows: Sequence[dict[str, Any]]) -> str:
    """What a patch costs the device and the publisher, in Markdown: of each net and precision, one more epoch."""
    lines = [
        "| net | weights | bundle, kB | apply, CPU s | open the bundle, CPU s | memory to apply, MiB | make, CPU s |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['net']} | {row['precision']} | {row['stored_bytes'] / 1000:,.1f} | {row['apply_seconds']:.3f} | "
        f"{row['open_seconds']:.3f} | {row['apply_memory_bytes'] / 2**20:.1f} | {row['make_seconds']:.1f} |"
        for row in rows
        if row["change"] == "one more epoch"
    ]
    return "\n".join(lines)


def main() -> None:
    """Train, export, compare, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--base-epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE", help="- prints it, alone")
    arguments = parser.parse_args()
    pictures = Pictures.of_openicons()
    command = f"python -m benchmarks.delivery_patches --base-epochs {arguments.base_epochs} --seed {arguments.seed}"
    head = header(
        command,
        data="OpenIcons, 32x32",
        base_epochs=arguments.base_epochs,
        packages={name: metadata.version(name) for name in ("zstandard", "bsdiff4")},
    )
    rows: list[dict[str, Any]] = []
    for name in arguments.nets:
        base: dict[str, Bundle] = {}
        for change, model in versions(name, pictures, epochs=arguments.base_epochs, seed=arguments.seed):
            bundles = {precision: exported(model, name, precision, pictures) for precision in arguments.precisions}
            if change == "base":
                base = bundles
                continue
            rows += [
                {"net": name, "precision": precision, "change": change, **measure(base[precision], bundle)}
                for precision, bundle in bundles.items()
            ]
            print(f"{name}, {change}", file=sys.stderr, flush=True)
    write_result(arguments.json, {**head, "rows": rows}, f"{table(rows)}\n\n{device_table(rows)}")


if __name__ == "__main__":
    main()
