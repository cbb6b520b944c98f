"""The tables of docs/traffic.md, which ``python -m benchmarks.pages`` makes from results/traffic.json."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BUSY = 0.9  # of the machine's cores: beyond, the machine itself may be what is slow

Row = Mapping[str, Any]


def speed_name(bits_per_second: float | None) -> str:
    """100 Mbit/s, 2.5 Gbit/s; None is a link that was not shaped."""
    if bits_per_second is None:
        return "unshaped"
    for unit, size in (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6)):
        if bits_per_second >= size:
            return f"{bits_per_second / size:g} {unit}"
    return f"{bits_per_second:g} bit/s"


def base_of(net: str) -> str:
    """The vanilla net that a net is compared with."""
    return f"resnet{net.rpartition('resnet')[2]}"


def link_line(link: Row) -> str:
    """A link, for the terminal."""
    return (
        f"{link['workers']} workers, {speed_name(link['speed'])}: {link['bits_per_second'] / 1e6:,.0f} Mbit/s on the "
        f"slowest link, {1e3 * link['latency_seconds']:.2f} ms; "
        f"an all-reduce sends {link['all_reduce_sent']:.3f} of its bytes"
    )


def step_line(row: Row) -> str:
    """A measured step, for the terminal."""
    speed = speed_name(row["speed"]) if row["workers"] > 1 else "alone"
    small = f", {row['bucket_cap_mb']:g} MiB buckets" if row["bucket_cap_mb"] else ""
    return (
        f"{row['net']:24} {row['workers']} x {row['compute']:6} {speed:10}{small} {1e3 * row['seconds']:8.0f} ms "
        f"(predicted {1e3 * row['predicted_seconds']:8.0f}), {row['sent_bytes'] / 1e6:6.1f} MB sent "
        f"({row['predicted_sent_bytes'] / 1e6:6.1f}), {row['busy_cores']:.1f} cores busy"
    )


def block(results: Row) -> str:
    """All tables."""
    cores = results["hardware"]["usable_cores"]
    replayed = [row for row in results["steps"] if row["compute"] == "replay"]
    usual = [row for row in replayed if row["bucket_cap_mb"] is None]
    small = [row for row in replayed if row["bucket_cap_mb"] is not None]
    parts = [
        agreement(replayed, cores),
        "### What a worker sends, and its computing",
        sent_table(results["nets"]),
        "### The links",
        link_table(results["links"]),
        "### Steps, each worker as on a machine of its own",
        step_table(usual, cores),
        "### Steps, workers sharing the cores",
        step_table([row for row in results["steps"] if row["compute"] == "real"], cores),
    ]
    if small:
        parts += [f"### The same with buckets of {small[0]['bucket_cap_mb']:g} MiB", step_table(small, cores)]
    if results["left_out"]:
        parts.append(f"Not measured, to keep the run short: {'; '.join(results['left_out'])}.")
    parts += ["### ResNet-101 on 8 workers, predicted", claim_table(results["claim"])]
    return "\n\n".join(parts)


def agreement(rows: Sequence[Row], cores: int) -> str:
    """How far measured and predicted are apart where each worker is as on a machine of its own, in a sentence."""
    if not rows:
        return "No step was measured with each worker as on a machine of its own."
    parts = []
    for busy, where in ((False, "with cores to spare"), (True, "with busy cores (*)")):
        chosen = [row for row in rows if _is_busy(row, cores) == busy]
        if chosen:
            times = _spread([row["seconds"] / row["predicted_seconds"] for row in chosen])
            parts.append(f"{times} the predicted time {where}, {len(chosen)} of {len(rows)} cases")
    sent = _spread([row["sent_bytes"] / row["predicted_sent_bytes"] for row in rows])
    return (
        f"Each worker as on a machine of its own: steps took {'; '.join(parts)}. A worker sent {sent} the predicted "
        "bytes; the interface counts the protocols' headers too."
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f} times (median {statistics.median(ratios):.2f})"


def _is_busy(row: Row, cores: int) -> bool:
    return bool(row["busy_cores"] > BUSY * cores)


def sent_table(nets: Sequence[Row]) -> str:
    """Gradients, buffers and buckets of each net; a step's time of one worker alone."""
    heads = (
        "net",
        "gradients, MB",
        "buffers, KB",
        "DDP's buckets, MB",
        "forward, ms",
        "backward, ms",
        "update, ms",
    )
    return _table(
        heads,
        (
            (
                net["net"],
                f"{net['gradient_bytes'] / 1e6:.1f}",
                f"{net['buffer_bytes'] / 1e3:.0f}",
                " + ".join(f"{bucket['size_bytes'] / 1e6:.1f}" for bucket in net["buckets"]),
                *(f"{1e3 * net[f'{part}_seconds']:.0f}" for part in ("forward", "backward", "update")),
            )
            for net in nets
        ),
    )


def link_table(links: Sequence[Row]) -> str:
    """What the links do without a net."""
    heads = (
        "workers",
        "shaped to",
        "plain TCP on the slowest link, all in use",
        "a byte to the next worker, ms",
        "an all-reduce of b bytes sends",
        "a ring's 2 (N - 1) / N",
    )
    return _table(
        heads,
        (
            (
                str(link["workers"]),
                speed_name(link["speed"]),
                f"{link['bits_per_second'] / 1e6:,.0f} Mbit/s"
                + (f" ({link['bits_per_second'] / link['speed']:.0%})" if link["speed"] else ""),
                f"{1e3 * link['latency_seconds']:.2f}",
                f"{link['all_reduce_sent']:.3f} b",
                f"{2 * (link['workers'] - 1) / link['workers']:.3f}",
            )
            for link in links
        ),
    )


def step_table(rows: Sequence[Row], cores: int) -> str:
    """Steps of one way of computing: measured, predicted, and how much faster than the vanilla net."""
    heads = (
        "net",
        "workers",
        "link",
        "step, ms",
        "predicted",
        "sent a worker, MB",
        "predicted",
        "vanilla's time / its time",
        "predicted",
    )
    at = {(row["workers"], row["speed"], row["net"]): row for row in rows}
    cells = []
    for (workers, speed, net), row in sorted(at.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        vanilla = at.get((workers, speed, base_of(net)))
        both = ("seconds", "predicted_seconds")
        gains = ["", ""] if vanilla in (None, row) else [f"{vanilla[key] / row[key]:.2f}" for key in both]
        sent = [f"{row[key] / 1e6:.1f}" if workers > 1 else "" for key in ("sent_bytes", "predicted_sent_bytes")]
        seconds = [f"{1e3 * row[key]:,.0f}" for key in both]
        if _is_busy(row, cores):
            seconds[0] += " *"
        cells.append((net, str(workers), speed_name(speed) if workers > 1 else "none", *seconds, *sent, *gains))
    return _table(heads, cells)


def claim_table(claim: Row) -> str:
    """Predicted gain of the GroupNL forms of ResNet-101 at each compute time and speed."""
    at = {(row["net"], row["compute_seconds"], row["speed"]): row["predicted_seconds"] for row in claim["rows"]}
    vanilla, *others = dict.fromkeys(net for net, _, _ in at)
    computes, speeds = (list(dict.fromkeys(key[place] for key in at)) for place in (1, 2))
    megabytes = {net: f"{size / 1e6:.0f} MB" for net, size in claim["gradient_bytes"].items()}
    return _table(
        (f"net (gradients; {vanilla}: {megabytes[vanilla]})", "compute, ms", *map(speed_name, speeds)),
        (
            (
                f"{net} ({megabytes[net]})",
                f"{1e3 * compute:.0f}",
                *(_gain(at[vanilla, compute, speed] / at[net, compute, speed]) for speed in speeds),
            )
            for net in others
            for compute in computes
        ),
    )


def _gain(ratio: float) -> str:
    return f"{round(100 * (ratio - 1)) + 0:+d} %"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown, all columns but the first to the right."""
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
