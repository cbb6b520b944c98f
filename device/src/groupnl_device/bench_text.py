"""A measurement as lines for people."""

from collections.abc import Sequence

from groupnl_device.measurement import Measurement, Row

_HEADS = ("threads", "median ms", "p90", "p99", "images/s", "noise", "cold start ms", "peak MiB", "energy mJ")


def lines_of(found: Measurement) -> list[str]:
    """What was measured, how and where, then a table, then what to know about it."""
    first, machine, settings = found.rows[0], found.hardware, found.settings
    cores = f"{machine['usable_cores']} core{'s' if machine['usable_cores'] != 1 else ''}"
    lines = [
        f"model   {found.model}, {found.model_bytes:,} bytes, "
        + ("its forms compared" if settings.compare else first.artifact),
        f"device  {machine['processor']} ({machine['machine']}), {cores}; {first.runtime}",
        "",
        *_table(found.rows, compare=settings.compare),
        "",
        f"latency   of the net alone, one picture at a time, {settings.runs} runs a row; pre- and post-processing not "
        "timed",
        "noise     how far apart the medians of repeated blocks lie: smaller differences mean nothing",
        "memory    of a process of its own, which also gives the cold start: from its start to the first answer",
        *_energy_lines(found),
    ]
    lines += [f"left out  {artifact}: {reason}" for artifact, reason in found.left_out.items()]
    return lines + [f"note      {note}" for note in found.notes]


def _table(rows: Sequence[Row], *, compare: bool) -> list[str]:
    """Columns as wide as their longest cell; the form left, figures right."""
    table = [list(_HEADS), *(_cells(row) for row in rows)]
    if compare:
        for cells, (form, ratio) in zip(
            table, [("form", "ratio"), *((row.artifact, f"{row.ratio_to_first:.2f}") for row in rows)], strict=True
        ):
            cells.insert(2, ratio)
            cells.insert(0, form)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if compare and place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in table
    ]


def _cells(row: Row) -> list[str]:
    found, memory = row.latency, row.start["peak_memory_bytes"]
    return [
        str(row.threads),
        f"{found.latency_ms_median:.3f}",
        f"{found.latency_ms_p90:.3f}",
        f"{found.latency_ms_p99:.3f}",
        f"{found.images_per_second:,.1f}",
        f"{found.latency_spread:.0%}",
        f"{row.start['cold_start_ms']:.0f}",
        "-" if memory is None else f"{memory / 2**20:.1f}",
        "-" if row.energy is None else _millijoules(row.energy.energy_mj),
    ]


def _millijoules(value: float) -> str:
    """Three digits and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def _energy_lines(found: Measurement) -> list[str]:
    if not found.settings.energy_seconds:
        return ["energy    not measured, as asked (0 seconds)"]
    reasons = dict.fromkeys(row.energy_reason for row in found.rows if row.energy_reason)
    lines = [f"energy    not available on this machine: {reason}" for reason in reasons]
    if found.at_rest is not None:
        lines.insert(
            0,
            f"energy    of {found.at_rest.meter.covers}; idle power, {found.at_rest.idle_w:.2f} W before the net was "
            "loaded, is subtracted",
        )
    return lines
