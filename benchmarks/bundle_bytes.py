"""What a net costs on the way to a device, and what fewer bits cost: bytes and accuracy of trained nets' bundles.

    python -m benchmarks.experiments --budget 2h --data-dir DIR --only icons50 --methods vanilla groupnl-r2
    python -m benchmarks.bundle_bytes --data-dir DIR --json results/bundle-bytes.json

The first command trains what is missing: the nets of the robustness experiments. Each is exported as ``groupnl export``
does it in float32, float16 and int8 (256 training pictures). Bytes: of the file, and of the file as ``groupnl publish``
compresses it; beside them the vanilla net's state dict as safetensors. Accuracy: of the float32 and float16 bundles in
ONNX Runtime, on the same test pictures, clean and under the fifteen corruptions of mCE at severity 3.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

import groupnl
from benchmarks.experiment import header, write_result
from benchmarks.experiments import RUNS, SEEDS
from benchmarks.int8_bounds import preprocessing_of
from groupnl.cli.bundle_size import PRECISIONS, state_dict_bytes
from groupnl.cli.quantization_gate import CORRUPTIONS, SEVERITY, pictures_for_calibration
from groupnl.data import CorruptedSet, ImageSet, load, open_corrupted
from groupnl.evaluation import evaluate
from groupnl.export import export_bundle
from groupnl_device.bundle import Bundle
from groupnl_device.repack import compressed
from groupnl_device.runtime import Session

DATA = "icons50"
NETS = {"resnet8": "ResNet-8", "resnet18_quarter": "ResNet-18, a quarter wide"}  # protocol: in words
METHODS = {"vanilla": "vanilla", "groupnl-r2": "GroupNL"}  # of the experiments: in words
JUDGED = ("float32", "float16")
_CALIBRATION = 256


def measure(protocol: str, method: str, seed: int, data: "Data") -> dict[str, Any]:
    """One trained net: bytes by precision, and accuracy of those that are judged.

    Raises:
        FileNotFoundError: It is not trained yet.
    """
    checkpoint = RUNS / protocol / f"{DATA}-{method}" / f"seed{seed}" / "model.safetensors"
    model, preprocessing = groupnl.load(checkpoint), preprocessing_of(checkpoint)
    row: dict[str, Any] = {
        "net": protocol,
        "method": method,
        "seed": seed,
        "state_dict_bytes": state_dict_bytes(model),
        "bundles": {},
    }
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            report = export_bundle(
                model,
                Path(folder) / "net.gnl",
                example_input=torch.zeros(1, *preprocessing.input_size),
                preprocessing=preprocessing,
                class_names=data.test_set.class_names,
                test_images=data.test_set.images,
                precision=precision,
                calibration_images=data.calibration if precision == "int8" else None,
            )
            bundle = Bundle.open(report.path)
        figures = {"bytes": report.size_bytes, "published_bytes": len(compressed(bundle))}
        row["bundles"][precision] = figures | {"max_relative_difference": report.agreement.max_relative_difference}
        if precision in JUDGED:
            row["bundles"][precision] |= data.accuracy_of(Session(bundle))
    return row


class Data:
    """The pictures that all nets share."""

    def __init__(self, test_set: ImageSet, corrupted: CorruptedSet, calibration: Tensor) -> None:
        self.test_set, self.calibration = test_set, calibration
        self._corrupted = corrupted

    def accuracy_of(self, session: Session) -> dict[str, float]:
        """Clean and, on average, under corruption."""

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(session.logits(images.numpy()))

        found = evaluate(
            run,
            self.test_set,
            preprocessing=session.bundle.manifest.preprocessing,
            corruptions=CORRUPTIONS,
            severities=(SEVERITY,),
            corrupted=self._corrupted,
            batch_size=64,
        )
        if found.mean_error is None:
            raise ValueError("no corruption was run")
        return {"clean_accuracy": found.clean_accuracy, "accuracy_under_corruption": 1 - found.mean_error}


def bytes_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Bytes of the first seed's files, and their share of the vanilla net's state dict."""
    first = [row for row in rows if row["seed"] == rows[0]["seed"]]
    lines = ["| net | file | exported, bytes | of the vanilla state dict | published, bytes | of it |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for net in dict.fromkeys(row["net"] for row in first):
        of_net = [row for row in first if row["net"] == net]
        whole = next(row["state_dict_bytes"] for row in of_net if row["method"] == "vanilla")
        lines.append(f"| {NETS[net]}, vanilla | state dict | {whole:,} | 100 % | | |")
        for row in of_net:
            for precision, bundle in row["bundles"].items():
                cells = [f"{bundle[key]:,} | {bundle[key] / whole:.0%}" for key in ("bytes", "published_bytes")]
                cells = [cell.replace("%", " %") for cell in cells]
                lines.append(f"| {NETS[net]}, {METHODS[row['method']]} | {precision} | {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracy_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """What float16 changes, over all nets and seeds."""
    changes = {
        key: [100 * (row["bundles"]["float16"][key] - row["bundles"]["float32"][key]) for row in rows]
        for key in ("clean_accuracy", "accuracy_under_corruption")
    }
    furthest = max(row["bundles"]["float16"]["max_relative_difference"] for row in rows)
    spans = [f"{_signed(min(found))} to {_signed(max(found))}" for found in changes.values()]
    return (
        f"Float16 against float32, {len(rows)} trained nets: clean accuracy changes by {spans[0]} points, the mean "
        f"accuracy under corruption by {spans[1]}; logits by at most {furthest:.1e} of their scale."
    )


def _signed(points: float) -> str:
    return f"{round(points, 2) + 0.0:+.2f}"


def main() -> None:
    """Export and measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--json", metavar="FILE", help="- prints the figures alone")
    arguments = parser.parse_args()
    train_set, test_set = (load(DATA, split=split, data_dir=arguments.data_dir) for split in ("train", "test"))
    corrupted = open_corrupted(RUNS / "corrupted" / DATA, test_set)
    data = Data(test_set, corrupted, pictures_for_calibration(train_set, _CALIBRATION))
    rows = [measure(net, method, seed, data) for net in NETS for method in METHODS for seed in arguments.seeds]
    some = "" if tuple(arguments.seeds) == SEEDS else f" --seeds {' '.join(map(str, arguments.seeds))}"
    result = {
        **header(
            f"python -m benchmarks.bundle_bytes --data-dir DIR{some} --json results/bundle-bytes.json",
            data="Icons-50",
            test_images=len(test_set),
            corruptions=f"the fifteen of mCE, severity {SEVERITY}",
            onnxruntime=onnxruntime.__version__,
        ),
        "rows": rows,
    }
    write_result(arguments.json, result, f"{bytes_table(rows)}\n\n{accuracy_sentence(rows)}")


if __name__ == "__main__":
    main()
