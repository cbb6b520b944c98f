"""One layer: forward, and forward with backward, beside what a user would pick instead; all peers in one run.

    python -m benchmarks.layer --json results/layer.json
    python -m benchmarks.layer --quick --json -          # r = 2, standard form only, fewer rounds

A case is a 3x3 layer from C to C channels on H x W maps: ``standard-r2-c64-hw56``. Its rows: ``conv2d``, the plain
convolution; ``seed_conv``, the seed convolution alone, the floor of what GroupNL can take; ``depthwise``; ``ghost`` and
``sinefm`` at the same reduction; the published arithmetic, eager and under ``torch.compile``; ours, eager (``groupnl``)
and compiled (``groupnl_compiled``). Sparse cases also have ``grouped_conv``: the seed convolution as the library
does it, and the published layer.

``forward_ms`` is a forward pass without gradients, ``forward_backward_ms`` one with them and its backward pass, to the
input as well: medians of interleaved rounds. ``saved_bytes`` is what autograd keeps of a forward pass, the input
included, ``peak_bytes`` the most memory that forward and backward hold beyond input and weights.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.experiment import header, write_result
from benchmarks.published_layer import PublishedLayer
from benchmarks.rounds import kept_bytes, median_ms, peak_bytes
from groupnl.nn import GhostConv2d, GroupNLConv2d, SineFMConv2d, chosen_backend

SIZES = ((64, 56), (128, 28), (256, 14), (512, 7))  # C, H = W
FORMS = (("standard", 2), ("standard", 4), ("sparse", 2), ("sparse", 4))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OURS = ("groupnl", "groupnl_compiled")
ROUNDS, QUICK_ROUNDS = 25, 9
TARGETS = {"forward": 1.25, "forward_backward": 1.4}  # of the seed convolution's time; the better of eager and compiled


def implementations(channels: int, form: str, reduction: int) -> dict[str, nn.Module]:
    """The layers of a case, by name; those to be compiled end in ``compiled``."""
    torch.manual_seed(0)
    same: dict[str, Any] = {"kernel_size": 3, "padding": 1, "bias": False}
    layer = GroupNLConv2d(channels, channels, **same, reduction=reduction, sparse=form == "sparse")
    published = PublishedLayer(layer)
    return {
        "conv2d": nn.Conv2d(channels, channels, **same),
        "seed_conv": layer.seed_conv,
        **({"grouped_conv": published.seed_conv} if form == "sparse" else {}),
        "depthwise": nn.Conv2d(channels, channels, **same, groups=channels),
        "ghost": GhostConv2d(channels, channels, **same, reduction=reduction),
        "sinefm": SineFMConv2d(channels, channels, **same, reduction=reduction),
        "published_eager": published,
        "published_compiled": published,
        "groupnl": layer,
        "groupnl_compiled": layer,
    }


def measure(case: str, nets: Mapping[str, nn.Module], x: Tensor, rounds: int) -> list[dict[str, Any]]:
    """One row for each implementation.

    Args:
        case: Its name.
        nets: By name, on the device of ``x``.
        x: Input, shape (N, C, H, W), requiring a gradient.
        rounds: Samples of each time.
    """
    torch._dynamo.reset()
    runs = {
        name: torch.compile(net, fullgraph=True) if name.endswith("compiled") else net for name, net in nets.items()
    }
    grads = {name: torch.randn_like(run(x)) for name, run in runs.items()}

    def forward(name: str) -> Tensor:
        with torch.no_grad():
            out: Tensor = runs[name](x)
            return out

    def both(name: str) -> None:
        x.grad = None
        nets[name].zero_grad()
        runs[name](x).backward(grads[name])

    forward_ms = median_ms({name: lambda name=name: forward(name) for name in runs}, rounds=rounds, device=x.device)  # type: ignore[misc]
    both_ms = median_ms({name: lambda name=name: both(name) for name in runs}, rounds=rounds, device=x.device)  # type: ignore[misc]
    return [
        {
            "case": case,
            "implementation": name,
            "forward_ms": forward_ms[name],
            "forward_backward_ms": both_ms[name],
            "saved_bytes": kept_bytes(lambda run=run: run(x), nets[name]),  # type: ignore[misc]
            "peak_bytes": peak_bytes(lambda name=name: both(name), x.device),  # type: ignore[misc]
        }
        for name, run in runs.items()
    ]


def cases(options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """Measure case after case."""
    device, dtype = torch.device(options.device), DTYPES[options.dtype]
    order = torch.channels_last if options.channels_last else torch.contiguous_format
    for form, reduction in FORMS[:1] if options.quick else FORMS:
        for channels, side in SIZES:
            x = torch.randn(options.batch, channels, side, side, device=device, dtype=dtype)
            nets = {
                name: net.to(device, dtype).to(memory_format=order)
                for name, net in implementations(channels, form, reduction).items()
            }
            case = f"{form}-r{reduction}-c{channels}-hw{side}"
            rounds = QUICK_ROUNDS if options.quick else ROUNDS
            yield measure(case, nets, x.to(memory_format=order).requires_grad_(), rounds)


def by_case(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Case, then implementation, to row."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["case"], {})[row["implementation"]] = row
    return found


def median_ratio(rows: Sequence[Mapping[str, Any]], form: str, key: str, nets: Sequence[str], peer: str) -> float:
    """Over the sizes of a form such as ``standard-r2``: the least of the nets' figures, divided by the peer's."""
    ratios: list[float] = [
        min(found[name][key] for name in nets) / found[peer][key]
        for case, found in by_case(rows).items()
        if case.startswith(f"{form}-")
    ]
    return median(ratios)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """For each form the better of our two, eager and compiled, beside its peers, forward and with backward."""
    forms = dict.fromkeys("-".join(row["case"].split("-")[:2]) for row in rows)
    peers = ("seed_conv", "conv2d", "published_eager", "published_compiled")
    return {
        form: {
            f"{key}_to_{peer}": median_ratio(rows, form, f"{key}_ms", OURS, peer) for key in TARGETS for peer in peers
        }
        for form in forms
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Times as ratios to the seed convolution's, in Markdown."""
    lines = [
        "| case | layer | forward, ms | to seed conv | with backward, ms | to seed conv | kept, MB | peak, MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case, nets in by_case(rows).items():
        floor = nets["seed_conv"]
        for name, row in nets.items():
            times = [f"{row[key]:.2f} | {row[key] / floor[key]:.2f}" for key in ("forward_ms", "forward_backward_ms")]
            memory = f"{row['saved_bytes'] / 1e6:.2f} | {row['peak_bytes'] / 1e6:.2f}"
            lines.append(f"| {case} | {name} | {' | '.join(times)} | {memory} |")
    return "\n".join(lines)


def ratio_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians over the sizes of each form, as ratios to the seed convolution of the same case, in Markdown."""
    ratios: dict[tuple[str, str], dict[str, list[float]]] = {}
    for case, nets in by_case(rows).items():
        form = "-".join(case.split("-")[:2])
        for name, row in nets.items():
            for key in ("forward_ms", "forward_backward_ms", "saved_bytes", "peak_bytes"):
                found = ratios.setdefault((form, name), {}).setdefault(key, [])
                found.append(row[key] / nets["seed_conv" if key.endswith("ms") else "conv2d"][key])
    lines = [
        "| form | layer | forward | forward and backward | kept for backward, conv2d = 1 | peak memory, conv2d = 1 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for (form, name), figures in ratios.items():
        cells = " | ".join(f"{median(values):.2f}" for values in figures.values())
        lines.append(f"| {form} | {name} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help="r = 2, standard form, fewer rounds")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    parser.add_argument("--channels-last", action="store_true", help="memory order of maps and weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for found in cases(options):
        rows += found
        print(f"{found[0]['case']} measured", file=sys.stderr)
    facts = {key: getattr(options, key) for key in ("device", "dtype", "batch", "threads", "channels_last", "quick")}
    backend = chosen_backend(torch.device(options.device), DTYPES[options.dtype], "sine")
    command = "python -m " + " ".join(["benchmarks.layer", *sys.argv[1:]])
    result = {**header(command, **facts, backend=backend), "rows": rows, "summary": summary(rows), "targets": TARGETS}
    write_result(options.json, result, table(rows))


if __name__ == "__main__":
    main()
