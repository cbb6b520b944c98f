"""The Triton kernels by themselves on a GPU, checked and then timed, each beside what it would replace.

    python -m benchmarks.kernels --json results/kernels.json
    python -m benchmarks.kernels --quick --json -          # bfloat16 and channels_last only, fewer rounds

Kinds of rows. ``expand``: the expansion ``forward`` and ``backward``, each against a copy of as many bytes, which is
what the memory allows (``percent_of_copy``). ``sparse``: the seed convolution of a sparse layer and the expansion: the
library's grouped convolution, then ``forward``; a depthwise convolution and sums, then ``forward``; and one fused
kernel, with the seed maps kept for backward and without. ``statistics``: all maps and their batch statistics:
``forward`` and then PyTorch's, against both in one pass.

Times are medians of interleaved rounds of CUDA graphs, so that no launch is timed, over so many inputs in turn that
none is still in the cache. ``error`` is the largest against float64, ``plain_error`` plain PyTorch's in the same
precision; a kernel that is off by more than twice that ends the run. Needs a GPU; without one it says so and exits
with 2.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.experiment import header, write_result
from benchmarks.rounds import median_ms
from groupnl.nn import expand_reference
from groupnl_device.nlf import NLF, PixelNorm, draw_pairs

SIZES = ((64, 56), (128, 28), (256, 14), (512, 7))  # C, H = W
REDUCTIONS = (2, 4)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
BATCH = 256
CACHE = 512e6  # bytes that a round touches at least: ten times the L2 cache of an H200
ROUNDS, QUICK_ROUNDS = 25, 9
TARGETS = {"forward": 80, "backward": 70}  # percent of copy bandwidth
ROUNDINGS = 1e-6  # of float32, allowed beyond plain PyTorch's error

Call = Callable[[int], Any]  # with the number of the input; returns a tensor or several
Arguments = tuple[Tensor, Tensor, int, NLF, PixelNorm]


@dataclass(frozen=True)
class Case:
    """A layer from C to C channels and its maps."""

    channels: int
    side: int
    reduction: int
    dtype: torch.dtype
    memory_format: torch.memory_format
    images: int
    device: torch.device

    @property
    def seeds(self) -> int:
        """S."""
        return self.channels // self.reduction

    @property
    def name(self) -> str:
        """Such as ``r2-c64-hw56``."""
        return f"r{self.reduction}-c{self.channels}-hw{self.side}"

    @property
    def plane_bytes(self) -> int:
        """Of one channel of the batch."""
        return self.images * self.side**2 * self.dtype.itemsize

    def maps(self, channels: int, seed: int = 0) -> Tensor:
        """Random ones."""
        generator = torch.Generator(self.device).manual_seed(seed)
        shape = (self.images, channels, self.side, self.side)
        values = torch.randn(shape, generator=generator, device=self.device).to(self.dtype)
        return values.contiguous(memory_format=self.memory_format)

    def arguments(self) -> Arguments:
        """What the kernels want beside seed maps: four groups' period and shift, maps to generate, the rest."""
        period, shift = draw_pairs(nlf="sine", nl_groups=4, copies=self.reduction - 1, seed=0, key="kernels")
        pairs = torch.from_numpy(period).to(self.device), torch.from_numpy(shift).to(self.device)
        return *pairs, self.channels - self.seeds, "sine", "l2"

    def several(self, planes: int) -> int:
        """How many inputs in turn outgrow the cache, if a call touches so many channels."""
        return max(1, -int(-CACHE // (planes * self.plane_bytes)))


def expand_rows(case: Case, rounds: int) -> list[dict[str, Any]]:
    """The expansion's two kernels."""
    from groupnl.nn.triton_expand import expand_backward, expand_forward

    period, shift, generated, nlf, normalize = case.arguments()
    planes = {"forward": case.seeds + case.channels, "backward": 2 * case.seeds + case.channels}
    turns = case.several(planes["forward"])
    seeds = [case.maps(case.seeds, seed) for seed in range(turns)]
    grads = [case.maps(case.channels, turns + seed) for seed in range(turns)]
    copied = {
        name: torch.empty(n * case.plane_bytes // 2, dtype=torch.uint8, device=case.device)
        for name, n in planes.items()
    }
    copies = {name: [buffer.clone() for _ in range(turns)] for name, buffer in copied.items()}
    calls: dict[str, Call] = {
        "forward": lambda i: expand_forward(seeds[i], period, shift, generated, nlf, normalize),
        "backward": lambda i: expand_backward(grads[i], seeds[i], period, shift, nlf, normalize),
        **{f"copy for {name}": lambda i, name=name: copies[name][i].clone() for name in planes},  # type: ignore[misc]
    }
    made = {"forward": calls["forward"](0), "backward": calls["backward"](0)}
    errors = {}
    for part in (slice(0, 2), slice(-2, None)):
        exact, plain = (_autograd(case, seeds[0][part], grads[0][part], kind) for kind in (torch.double, case.dtype))
        for name, kernel in made.items():
            errors[name] = checked(f"{case.name} {name}", kernel[part], exact[name], plain[name])
    times = timed(calls, turns, rounds, case.device)
    return [
        {
            "kind": "expand",
            "implementation": name,
            "ms": times[name],
            "copy_ms": times[f"copy for {name}"],
            "gigabytes_per_second": planes[name] * case.plane_bytes / times[name] / 1e6,
            "percent_of_copy": 100 * times[f"copy for {name}"] / times[name],
            **errors[name],
        }
        for name in planes
    ]


def sparse_rows(case: Case, rounds: int) -> list[dict[str, Any]]:
    """The sparse seed convolution and the expansion, apart and together; channels_last."""
    from groupnl.nn.triton_expand import expand_forward
    from groupnl.nn.triton_sparse import sparse_expand_forward

    rest, inputs = case.arguments(), case.reduction
    turns = case.several(2 * case.channels)
    xs = [case.maps(case.channels, seed) for seed in range(turns)]
    generator = torch.Generator(case.device).manual_seed(turns)
    weight = torch.randn(case.seeds, inputs, 3, 3, generator=generator, device=case.device).to(case.dtype) / 3
    filters = weight.flatten(0, 1).unsqueeze(1)

    def depthwise(i: int) -> Tensor:
        terms = F.conv2d(xs[i], filters, padding=1, groups=case.channels)
        maps = terms[:, 0::inputs]
        for nth in range(1, inputs):
            maps = maps + terms[:, nth::inputs]
        return expand_forward(maps.contiguous(memory_format=torch.channels_last), *rest)

    def fused(i: int, keep: bool) -> Tensor:
        one = (1, 1)  # stride, padding and dilation
        return sparse_expand_forward(xs[i], weight, None, one, one, one, *rest, keep_seed_maps=keep)[0]

    calls: dict[str, Call] = {
        "grouped convolution, forward": lambda i: expand_forward(
            F.conv2d(xs[i], weight, padding=1, groups=case.seeds), *rest
        ),
        "depthwise convolution, sums, forward": depthwise,
        "fused": lambda i: fused(i, True),
        "fused, seed maps not kept": lambda i: fused(i, False),
    }
    errors = {}
    for part in (slice(0, 2), slice(-2, None)):
        given = xs[0][part]
        exact = _expanded(case, F.conv2d(given.double(), weight.double(), padding=1, groups=case.seeds))
        plain = _expanded(case, F.conv2d(given, weight, padding=1, groups=case.seeds))
        for name in ("fused", "fused, seed maps not kept"):
            errors[name] = checked(f"{case.name} {name}", calls[name](0)[part], exact, plain)
    times = timed(calls, turns, rounds, case.device)
    return [{"kind": "sparse", "implementation": name, "ms": times[name], **errors.get(name, {})} for name in calls]


def statistics_rows(case: Case, rounds: int) -> list[dict[str, Any]]:
    """The expansion and its batch statistics, one after the other and in one pass; channels_last."""
    from groupnl.nn.triton_expand import expand_forward
    from groupnl.nn.triton_statistics import expand_forward_with_statistics

    rest = case.arguments()
    turns = case.several(case.seeds + case.channels)
    seeds = [case.maps(case.seeds, seed) for seed in range(turns)]

    def apart(i: int) -> object:
        out = expand_forward(seeds[i], *rest)
        if case.device.type == "cuda":
            return torch.batch_norm_stats(out, 1e-5)  # what PyTorch's own batch norm computes first
        return torch.var_mean(out.float(), dim=(0, 2, 3))

    calls: dict[str, Call] = {
        "forward, then statistics": apart,
        "in one pass": lambda i: expand_forward_with_statistics(seeds[i], *rest),
    }
    out, *made = expand_forward_with_statistics(seeds[0], *rest)
    var, mean = torch.var_mean(out.double(), dim=(0, 2, 3), correction=0)
    plain_var, plain_mean = torch.var_mean(out.float(), dim=(0, 2, 3), correction=0)
    errors = [
        checked(f"{case.name} {what}", *numbers)
        for what, *numbers in (("mean", made[0], mean, plain_mean), ("variance", made[1], var, plain_var))
    ]
    checked(f"{case.name} maps", out, expand_forward(seeds[0], *rest).double(), out)
    times = timed(calls, turns, rounds, case.device)
    worst = {key: max(error[key] for error in errors) for key in errors[0]}
    return [
        {"kind": "statistics", "implementation": "forward, then statistics", "ms": times["forward, then statistics"]},
        {"kind": "statistics", "implementation": "in one pass", "ms": times["in one pass"], **worst},
    ]


def checked(what: str, made: Tensor, exact: Tensor, plain: Tensor) -> dict[str, float]:
    """The largest errors of a kernel and of plain PyTorch.

    Raises:
        SystemExit: The kernel's is more than twice as large.
    """
    error, plain_error = ((values.double() - exact).abs().max().item() for values in (made, plain))
    if not error <= 2 * plain_error + ROUNDINGS * (1 + exact.abs().max().item()):
        raise SystemExit(f"{what}: wrong by {error:.3g}, plain PyTorch in the same precision by {plain_error:.3g}")
    return {"error": error, "plain_error": plain_error}


def timed(calls: Mapping[str, Call], turns: int, rounds: int, device: torch.device) -> dict[str, float]:
    """Median time of one call, ms: each goes through all inputs in turn, on a GPU as one graph."""
    rows = {name: (lambda call=call: [call(i) for i in range(turns)]) for name, call in calls.items()}
    ready = {name: _graph(row) if device.type == "cuda" else row for name, row in rows.items()}
    return {name: ms / turns for name, ms in median_ms(ready, rounds=rounds, device=device).items()}


def _graph(call: Callable[[], object]) -> Callable[[], object]:
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # compile and choose algorithms before the capture
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call()

    def replay() -> object:
        graph.replay()
        return results  # kept, or the outputs would share one memory, and that the cache

    return replay


def _expanded(case: Case, seed_maps: Tensor) -> Tensor:
    period, shift, *_ = case.arguments()
    return expand_reference(seed_maps, period, shift, out_channels=case.channels)


def _autograd(case: Case, seed_maps: Tensor, grad: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    maps = seed_maps.to(dtype, copy=True).requires_grad_()
    out = _expanded(case, maps)
    (by_maps,) = torch.autograd.grad(out, maps, grad.to(dtype))
    return {"forward": out.detach(), "backward": by_maps}


def measure(case: Case, memory_format: str, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """All rows of a case."""
    makers = [expand_rows]
    if memory_format == "channels_last":
        makers += [sparse_rows, statistics_rows]
    facts = {"case": case.name, "dtype": dtype, "memory_format": memory_format}
    return [{**facts, **row} for maker in makers for row in maker(case, rounds)]


def cases(quick: bool, images: int, device: torch.device) -> Iterator[tuple[Case, str, str]]:
    """Case after case, with the names of its memory format and dtype."""
    for dtype in list(DTYPES)[: 1 if quick else None]:
        for memory_format in list(FORMATS)[: 1 if quick else None]:
            for channels, side in SIZES:
                for reduction in REDUCTIONS:
                    about = (DTYPES[dtype], FORMATS[memory_format], images, device)
                    yield Case(channels, side, reduction, *about), memory_format, dtype


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """In Markdown."""
    lines = ["| case | dtype | format | what | ms | GB/s | % of copy |", "|---|---|---|---|---:|---:|---:|"]
    for row in rows:
        rate = [f"{row[key]:.0f}" if key in row else "" for key in ("gigabytes_per_second", "percent_of_copy")]
        names = [row[key] for key in ("case", "dtype", "memory_format", "implementation")]
        lines.append(f"| {' | '.join((*names, format(row['ms'], '.4f'), *rate))} |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help="bfloat16 and channels_last only, fewer rounds")
    parser.add_argument("--batch", type=int, default=BATCH)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.kernels needs a GPU, and PyTorch finds none here", file=sys.stderr)
        return 2
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda")
    rows: list[dict[str, Any]] = []
    for case, memory_format, dtype in cases(options.quick, options.batch, device):
        rows += measure(case, memory_format, dtype, QUICK_ROUNDS if options.quick else ROUNDS)
        print(f"{case.name} {dtype} {memory_format} measured", file=sys.stderr)
        torch.cuda.empty_cache()
    command = "python -m " + " ".join(["benchmarks.kernels", *sys.argv[1:]])
    facts = {"gpu": torch.cuda.get_device_name(device), "batch": options.batch, "quick": options.quick}
    write_result(options.json, {**header(command, **facts), "rows": rows, "targets_percent": TARGETS}, table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
