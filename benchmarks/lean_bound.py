"""How fast a ``lean`` net could be in plain ONNX Runtime, whatever its function: the generated maps made ever cheaper.

    python -m benchmarks.lean_bound --json results/lean-bound.json        # about a minute

``lean`` has the norm and the sine. Without a norm: ``sine``; ``tanh``, the cheapest smooth function (the runtime
computes it while it writes a convolution's result); ``copies``, no function at all: what is left is the bound. In these
three every batch norm is in a depthwise 1x1 convolution, and nothing is concatenated.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.experiment import header, write_result
from benchmarks.runtimes import bundle_graph, load_plainly, with_statistics
from groupnl.export.graph import export_graph
from groupnl.export.latency import interleaved_ms
from groupnl.export.plain_form import frozen_copy
from groupnl.models import convert_, create_model
from groupnl.nn import GroupNLConv2d

BASES = ("mobilenetv2_100", "efficientnet_lite0")  # their blocks have no gates, which read the maps as a whole
SIDE, CLASSES = 224, 1000
FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor] | None] = {"sine": torch.sin, "tanh": torch.tanh, "copies": None}
BUDGET = 3.0  # s of runs for each form


class Halves(nn.Module):
    """What follows the seed convolution, up to and with the projection: (N, S, H, W) to (N, C, H, W).

    Args:
        seed_channels: S.
        projection: A 1x1 convolution of both halves together; its weights are not taken over, only its size.
        function: Of the generated maps.
    """

    def __init__(self, seed_channels: int, projection: nn.Conv2d, function: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.function = function
        self.argument, self.seeds, self.generated = (
            nn.Conv2d(seed_channels, seed_channels, 1, groups=seed_channels) for _ in range(3)
        )
        self.of_seeds = nn.Conv2d(seed_channels, projection.out_channels, 1)
        self.of_generated = nn.Conv2d(seed_channels, projection.out_channels, 1, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        """Two depthwise 1x1 convolutions, an activation each, and the sum of their projections."""
        z = y if self.function is None else self.function(self.argument(y))
        six = nn.functional.relu6
        found: Tensor = self.of_seeds(six(self.seeds(y))) + self.of_generated(six(self.generated(z)))
        return found


def lean_net(base: str) -> nn.Module:
    """The base, converted with the policy ``lean``, in evaluation."""
    torch.manual_seed(0)
    net = create_model(base, num_classes=CLASSES)
    convert_(net, "lean", input_size=(3, SIDE, SIDE))
    return with_statistics(net)


def bounded_net(base: str, function: Callable[[Tensor], Tensor] | None) -> nn.Module:
    """The same shape of net, its layers without a norm and with this function.

    Raises:
        ValueError: A layer is not followed by a batch norm and a projection.
    """
    net = lean_net(base)
    for name, layer in [(n, m) for n, m in net.named_modules() if isinstance(m, GroupNLConv2d)]:
        path, _, own = name.rpartition(".")
        block = net.get_submodule(path)
        order = [child for child, _ in block.named_children()]
        at = order.index(own)
        after = [child for child in order[at + 1 :] if isinstance(getattr(block, child), nn.Conv2d)]
        if not after:
            raise ValueError(f"{base}: no projection behind {name}")
        projection = getattr(block, after[0])
        seed = layer.seed_conv
        plain = nn.Conv2d(
            seed.in_channels,
            seed.out_channels,
            seed.kernel_size,  # type: ignore[arg-type]
            seed.stride,  # type: ignore[arg-type]
            seed.padding,  # type: ignore[arg-type]
            groups=seed.groups,
        )
        setattr(block, own, plain)
        setattr(block, order[at + 1], Halves(layer.seed_channels, projection, function))
        for gone in (after[0], order[order.index(after[0]) + 1]):
            setattr(block, gone, nn.Identity())
    return net.eval()


def measure(base: str, budget: float) -> list[dict[str, Any]]:
    """Latency of each form, one picture, one thread, in turns."""
    example = torch.zeros(1, 3, SIDE, SIDE)
    graphs = {
        "vanilla": export_graph(frozen_copy(with_statistics(create_model(base, num_classes=CLASSES))), example, {}),
        "lean": bundle_graph(lean_net(base), example),
        **{form: export_graph(bounded_net(base, function), example, {}) for form, function in FUNCTIONS.items()},
    }
    images = np.random.default_rng(0).normal(size=example.shape).astype(np.float32)
    calls = {form: partial(load_plainly(graph, 1), images) for form, graph in graphs.items()}
    medians = interleaved_ms(calls, budget)
    return [
        {"net": base, "form": form, "median_ms": median, "ratio_to_vanilla": median / medians["vanilla"]}
        for form, median in medians.items()
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    options = parser.parse_args()
    rows = [row for base in BASES for row in measure(base, BUDGET)]
    facts = {"onnxruntime": onnxruntime.__version__, "threads": 1}
    result = {**header("python -m benchmarks.lean_bound --json results/lean-bound.json", **facts), "rows": rows}
    write_result(options.json, result, sentence(rows))


def sentence(rows: list[dict[str, Any]]) -> str:
    """The figures in words, one line a net."""
    lines = []
    for net in dict.fromkeys(row["net"] for row in rows):
        ratios = [
            f"{row['form']} {row['ratio_to_vanilla']:.2f}"
            for row in rows
            if row["net"] == net and row["form"] != "vanilla"
        ]
        lines.append(f"- {net}, ratio to vanilla: {', '.join(ratios)}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
