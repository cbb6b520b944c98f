"""Write the figures of pages in docs/ from committed results, so that none is typed by hand.

python -m benchmarks.pages             # write
python -m benchmarks.pages --check     # exit 1 where a page and its results differ
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import (
    bundle_bytes,
    corruptions,
    delivery_faults,
    delivery_load,
    delivery_memory,
    delivery_patches,
    distillation,
    infer,
    int8_bounds,
    int8_latency,
    layer,
    lean_bound,
    runtime_agreement,
    runtimes,
    traffic_page,
    train,
    warm_start,
)
from benchmarks.marks import put_between
from benchmarks.paired import accuracy_table

ROOT = Path(__file__).parents[1]
Nets = Sequence[Mapping[str, Any]]


def reach_table(structures: Nets) -> str:
    """How many input channels an output channel of each part depends on."""
    parts = list(structures[0]["reach"])
    heads = [f"{part}, of {structures[0]['reach'][part]['of']}" for part in parts]
    lines = ["| | parameters | multiply-adds, M | " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(parts) + 2)]
    for row in structures:
        reach = [f"{row['reach'][part]['mean']:.1f}" for part in parts]
        lines.append(f"| {row['variant']} | {row['params']:,} | {row['macs'] / 1e6:.1f} | {' | '.join(reach)} |")
    return "\n".join(lines)


def light_block(results: Mapping[str, Any]) -> str:
    """Cost and accuracy of the forms of a light net."""
    costs = {net["form"]: net for net in results["nets"]}
    rows = [f"| {form} | {net['params']:,} | {net['macs'] / 1e6:.2f} |" for form, net in costs.items()]
    cost = "\n".join(["| form | parameters | multiply-adds, M |", "|---|---:|---:|", *rows])
    return f"{cost}\n\n{accuracy_table(results['nets'], 'form', 'vanilla')}"


def reach_block(results: Mapping[str, Any]) -> str:
    """Reach and cost of the sparse forms in basic blocks."""
    return reach_table(results["structures"])


def basic_block(results: Mapping[str, Any]) -> str:
    """Accuracy of the sparse forms in basic blocks."""
    return accuracy_table(results["nets"], "variant", "sparse")


def warm_block(results: Mapping[str, Any]) -> str:
    """Accuracy of warm starts."""
    vanilla = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in results["vanilla_accuracy"].items())
    return f"Accuracy on the test pictures, %; the vanilla nets have {vanilla}.\n\n{warm_start.table(results['nets'])}"


def distillation_block(results: Mapping[str, Any]) -> str:
    """Accuracy of a student alone and taught."""
    nets = [{**net, "net": net["net"] + (", taught" if net["teacher"] else "")} for net in results["nets"]]
    return accuracy_table(nets, "net", distillation.STUDENT)


def agreement_block(results: Mapping[str, Any]) -> str:
    """How far each corruption is from its original."""
    sides = {
        variant: [row for row in results["rows"] if row["variant"] == variant] for variant in ("cifar", "imagenet")
    }
    lines = [
        "| corruption | CIFAR: largest difference, levels | values that differ | ImageNet: largest difference, levels "
        "| values that differ |",
        "|---|---:|---:|---:|---:|",
    ]
    for rows in zip(*sides.values(), strict=True):
        figures = [f"{row['max_levels']} | {_per_million(row['share_different'])}" for row in rows]
        lines.append(f"| {rows[0]['corruption']} | {' | '.join(figures)} |")
    counts = ", ".join(f"{rows[0]['images']} pictures for {variant}" for variant, rows in sides.items())
    return "\n".join(
        [
            *lines,
            "",
            f"All five severities, {counts}; compared with {results['compared_with']}, OpenCV {results['opencv']}, "
            f"scikit-image {results['scikit_image']}, SciPy {results['scipy']}, Pillow {results['pillow']}.",
        ]
    )


def speed_block(results: Mapping[str, Any]) -> str:
    """Seconds for the whole of CIFAR-10-C on one core."""
    peer = ", ".join(f"{package} {version}" for package, version in results["peer_versions"].items())
    others = [row for row in results["parts"] if row["corruption"] != "glass_blur"]
    rest = sum(row["peer_ms_per_picture"] for row in others) / sum(row["ms_per_picture"] for row in others)
    return (
        f"{corruptions.table(results['parts'], results['images'])}\n"
        f"| all | {results['seconds']:.1f} | {results['peer_seconds']:.0f} | {results['speedup']:.1f} |\n"
        f"| all but glass_blur | | | {rest:.1f} |\n\n"
        f"{results['images']:,} pictures at five severities, {results['time']}; one by one with {peer}, "
        f"from {results['peer_images']} pictures. Memory grew by at most "
        f"{results['largest_memory_growth_mib']:.0f} MiB from {corruptions.BATCH} pictures to all."
    )


def augmentation_block(results: Mapping[str, Any]) -> str:
    """Pictures a second, and what that is of a training step."""
    rates = results["images_per_second"].items(), results["one_at_a_time_images_per_second"].items()
    lines = ["| | pictures a second |", "|---|---:|"]
    for among, names in zip(rates, ("{}, a batch at once", "{}, one at a time"), strict=True):
        lines += [f"| {names.format(name)} | {rate:,.0f} |" for name, rate in among]
    lines += ["", "| training step | plain, ms | three views, ms | AugMix before it, ms | share of the whole |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for net, step in results["steps"].items():
        cells = [f"{step[key]:.0f}" for key in ("plain_step_ms", "three_views_step_ms", "augmix_ms")]
        lines.append(f"| {net} | {' | '.join(cells)} | {step['augmix_share']:.1%} |")
    about = (
        f"Batches of {results['batch']} pictures of {results['side']} x {results['side']}; CPU seconds of one thread. "
        "`augmix` makes two views of each picture; the others, and those one at a time, make one."
    )
    return "\n".join([*lines, "", about])


def inference_block(results: Mapping[str, Any]) -> str:
    """Latency of fused and compiled nets, and what fusing alone gave."""
    gains = ", ".join(f"{variant} {ratio:.2f}" for variant, ratio in results["fused_to_eager"].items())
    return (
        f"{infer.table([row for row in results['rows'] if row['mode'] != 'eager'])}\n\n"
        "Medians in ms, and the ratio to the vanilla net in the same mode; above, batch x threads. Time of the fused "
        f"net over that of the eager one, median over the rows of a method: {gains}."
    )


def runtimes_block(results: Mapping[str, Any]) -> str:
    """Latency of every form beside the vanilla net, and what was wanted."""
    wanted = [
        f"{row['net']} {row['form']} {row['ratio']:.2f} (at most {row['target']:.2f})" for row in results["targets"]
    ]
    return (
        f"{runtimes.table(results['rows'])}\n\n"
        "Medians of one picture at a time; the forms as ratios to the vanilla net with the same runtime and threads, "
        f"below 1 is faster. Wanted with one thread (int8 against vanilla int8): {'; '.join(wanted)}. "
        f"ONNX Runtime {results['onnxruntime']}."
    )


def runtimes_summary(results: Mapping[str, Any]) -> str:
    """ONNX Runtime with one thread: the vanilla net in ms, the peer, our forms, and 8 bits beside vanilla in 8 bits."""
    chosen = [row for row in results["rows"] if (row["runtime"], row["threads"]) == (runtimes.RUNTIME, 1)]
    found = {(row["net"], row["form"]): row["median_ms"] for row in chosen}
    columns = (("published", "vanilla"), ("pure", "vanilla"), ("native", "vanilla"), ("groupnl_int8", "vanilla_int8"))
    lines = [
        "| net | vanilla, ms | published | standard operators | native operator | int8, against vanilla int8 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for net in dict.fromkeys(row["net"] for row in chosen):
        ratios = [
            f"{found[net, form] / found[net, against]:.2f}" if (net, form) in found else "" for form, against in columns
        ]
        lines.append(f"| {net} | {found[net, 'vanilla']:.2f} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def other_runtimes_block(results: Mapping[str, Any]) -> str:
    """Latency of every form beside the vanilla net, in the runtimes besides ONNX Runtime."""
    return (
        f"{runtimes.table(results['rows'])}\n\n"
        "Medians of one picture at a time; the forms as ratios to the vanilla net with the same runtime and threads, "
        "below 1 is faster. `pytorch` is eager, `pytorch-compiled` is `torch.compile`. "
        f"{_versions(results['runtimes'])}."
    )


def runtime_agreement_block(results: Mapping[str, Any]) -> str:
    """How far each form in each runtime is from PyTorch."""
    return f"{runtime_agreement.table(results['rows'])}\n\n{_versions(results['runtimes'])}."


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in packages.items())


def lean_block(results: Mapping[str, Any]) -> str:
    """How fast lean nets could be."""
    return lean_bound.sentence(results["rows"])


def int8_bounds_block(results: Mapping[str, Any]) -> str:
    """Accuracy of each bound before the sine, in float32 and in 8 bits."""
    about = f"Ranges from {results['calibration_images']} training pictures; mean error over {results['corruptions']}."
    return f"{int8_bounds.table(results['rows'])}\n\n{about}"


def int8_latency_block(results: Mapping[str, Any]) -> str:
    """Latency of each bound before the sine, in 8 bits."""
    return f"{int8_latency.table(results['rows'])}\n\nMedians; ONNX Runtime {results['onnxruntime']}."


def layer_block(results: Mapping[str, Any]) -> str:
    """Ratios to the seed convolution for each form of a layer, and what is kept."""
    return layer.ratio_table(results["rows"])


def train_block(results: Mapping[str, Any]) -> str:
    """Whole training steps."""
    return train.table(results["rows"])


def layer_sentences(results: Mapping[str, Any]) -> str:
    """What a layer is worth, in a sentence for each form."""
    lines = []
    for form, words in (("standard-r2", "A standard layer"), ("sparse-r2", "A sparse layer")):
        ours, published = (
            [
                f"{layer.median_ratio(results['rows'], form, key, nets, 'conv2d'):.2f}"
                for key in ("forward_ms", "forward_backward_ms")
            ]
            for nets in (layer.OURS, ("published_eager",))
        )
        lines.append(
            f"- {words} (3x3, r = 2; the better of eager and compiled) takes {ours[0]} of the plain convolution's time "
            f"forward and {ours[1]} with backward; the published arithmetic, eager, takes {published[0]} and "
            f"{published[1]}."
        )
    return "\n".join(lines)


def train_summary(results: Mapping[str, Any]) -> str:
    """Whole training steps of GroupNL nets beside vanilla."""
    return train.table([row for row in results["rows"] if row["variant"].split("_")[0] in ("vanilla", "groupnl")])


def patches_block(results: Mapping[str, Any]) -> str:
    """Bytes of patches beside the bundles and general tools; what they cost the device."""
    packages = _versions(results["packages"])
    about = f"Nets trained on {results['data']} for {results['base_epochs']} epochs before the change; {packages}."
    return f"{delivery_patches.table(results['rows'])}\n\n{about}"


def patches_cost_block(results: Mapping[str, Any]) -> str:
    """Time and memory of a patch."""
    return delivery_patches.device_table(results["rows"])


def bundle_bytes_block(results: Mapping[str, Any]) -> str:
    """Bytes of bundles in each precision, and what float16 does to accuracy."""
    rows = results["rows"]
    return (
        f"{bundle_bytes.bytes_table(rows)}\n\n"
        f"Nets of [robustness.md](robustness.md), trained on {results['data']}; bytes are of seed {rows[0]['seed']}. "
        f"{bundle_bytes.accuracy_sentence(rows)} {results['test_images']:,} test pictures, {results['corruptions']}; "
        f"ONNX Runtime {results['onnxruntime']}."
    )


def _per_million(share: float) -> str:
    """A small share in words."""
    millionths = share * 1e6
    return f"{millionths:.{0 if millionths >= 10 else 1}f} per million" if share else "none"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a page, named from the repository's root, that follows from a file of results."""

    name: str
    page: str
    results: str
    text: Callable[[Mapping[str, Any]], str]

    def put_into(self, page: str, results: Mapping[str, Any]) -> str:
        """The page with this block made anew, its source beneath."""
        trained = (
            f"{results['epochs']} epochs, {results['test_images']:,} test pictures; " if "epochs" in results else ""
        )
        up = "../" * self.page.count("/")
        torch = f", torch {results['versions']['torch']}" if "torch" in results["versions"] else ""
        source = (
            f"`{results['command']}` on {results['hardware']['processor']}, {results['date']}{torch}; "
            f"{trained}figures: [results/{self.results}]({up}results/{self.results})."
        )
        marks = f"<!-- {self.name}: begin, written by python -m benchmarks.pages -->", f"<!-- {self.name}: end -->"
        return put_between(page, *marks, f"{self.text(results)}\n\n{source}")


BLOCKS = (
    Block(name="light", page="docs/forms.md", results="light-forms.json", text=light_block),
    Block(name="reach", page="docs/forms.md", results="sparse-basic.json", text=reach_block),
    Block(name="basic", page="docs/forms.md", results="sparse-basic.json", text=basic_block),
    Block(name="warm start", page="docs/conversion.md", results="warm-start.json", text=warm_block),
    Block(name="distillation", page="docs/conversion.md", results="distillation.json", text=distillation_block),
    Block(name="agreement", page="docs/corruptions.md", results="corruptions-agreement.json", text=agreement_block),
    Block(name="speed", page="docs/corruptions.md", results="corruptions.json", text=speed_block),
    Block(name="augmentation", page="docs/augmentation.md", results="augment.json", text=augmentation_block),
    Block(name="inference", page="docs/inference.md", results="infer.json", text=inference_block),
    Block(name="runtimes", page="docs/export.md", results="runtimes.json", text=runtimes_block),
    Block(name="other runtimes", page="docs/runtimes.md", results="other-runtimes.json", text=other_runtimes_block),
    Block(
        name="runtime agreement",
        page="docs/runtimes.md",
        results="runtime-agreement.json",
        text=runtime_agreement_block,
    ),
    Block(name="lean bound", page="docs/export.md", results="lean-bound.json", text=lean_block),
    Block(name="speed on a device", page="README.md", results="runtimes.json", text=runtimes_summary),
    Block(name="int8 bounds", page="docs/int8.md", results="int8-bounds.json", text=int8_bounds_block),
    Block(name="int8 latency", page="docs/int8.md", results="int8-latency.json", text=int8_latency_block),
    Block(name="layer", page="docs/speed.md", results="layer.json", text=layer_block),
    Block(name="train", page="docs/speed.md", results="train.json", text=train_block),
    Block(name="speed of a layer", page="README.md", results="layer.json", text=layer_sentences),
    Block(name="speed of training", page="README.md", results="train.json", text=train_summary),
    Block(name="load", page="docs/delivery.md", results="delivery-load.json", text=delivery_load.load_block),
    Block(name="patches", page="docs/delivery-patches.md", results="delivery-patches.json", text=patches_block),
    Block(name="patch cost", page="docs/delivery-patches.md", results="delivery-patches.json", text=patches_cost_block),
    Block(name="bundle bytes", page="docs/bundle.md", results="bundle-bytes.json", text=bundle_bytes_block),
    Block(
        name="faults",
        page="docs/delivery.md",
        results="delivery-faults.json",
        text=delivery_faults.faults_block,
    ),
    Block(
        name="client",
        page="docs/delivery-device.md",
        results="delivery-memory.json",
        text=delivery_memory.memory_block,
    ),
    Block(name="traffic", page="docs/traffic.md", results="traffic.json", text=traffic_page.block),
)


def written(root: Path = ROOT) -> dict[Path, str]:
    """The pages as they should be.

    Raises:
        ValueError: Marks are missing.
    """
    pages: dict[Path, str] = {}
    for block in BLOCKS:
        path = root / block.page
        results = json.loads((root / "results" / block.results).read_text(encoding="utf-8"))
        pages[path] = block.put_into(pages.get(path) or path.read_text(encoding="utf-8"), results)
    return pages


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    arguments = parser.parse_args()
    differing = {path: text for path, text in written().items() if path.read_text(encoding="utf-8") != text}
    for path, text in differing.items():
        if arguments.check:
            print(f"{path.relative_to(ROOT)} differs: run python -m benchmarks.pages")
        else:
            path.write_text(text, encoding="utf-8")
    return int(arguments.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
