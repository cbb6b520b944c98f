"""The page of ``groupnl report`` that puts devices side by side, from what ``groupnl-device bench`` wrote on each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from groupnl.cli.output import Output
from groupnl.cli.told_apart import told_apart

if TYPE_CHECKING:
    from groupnl.report import DeviceFigures


def report_devices(
    records: Sequence[tuple[Path, Mapping[str, Any]]],
    names: Sequence[str],
    out: Path,
    title: str | None,
    output: Output,
) -> None:
    """Write the page, show its table, and finish.

    Raises:
        ValueError: A file is no whole benchmark, or the names do not fit.
        OSError: The page cannot be written.
    """
    from groupnl.report import device_warnings, render_devices
    from groupnl_device.atomic import write_atomically

    devices = _named([(path, _device(path, record)) for path, record in records], names)
    page = render_devices(devices, title=title).encode()
    output.say(_table(devices))
    for warning in device_warnings(devices):
        output.say(f"note: {warning}")
    write_atomically(out, lambda file: file.write(page))
    output.say(f"wrote {out}")
    output.finish({"page": str(out), "devices": [device.name for device in devices], "notes": device_warnings(devices)})


def _device(path: Path, record: Mapping[str, Any]) -> "DeviceFigures":
    from groupnl.report import read_device

    try:
        return read_device(record)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _named(devices: Sequence[tuple[Path, "DeviceFigures"]], names: Sequence[str]) -> list["DeviceFigures"]:
    """Devices by the names given; without any, by their processors and what tells them apart."""
    if not names:
        several = len({device.model for _, device in devices}) > 1
        named = [(path, f"{device.name}, {device.model}" if several else device.name) for path, device in devices]
        names = told_apart(named)
    elif len(names) != len(devices):
        raise ValueError(
            f"{len(names)} --name for {len(devices)} devices: give one for each, in the order of the files"
        )
    return [replace(device, name=name) for name, (_, device) in zip(names, devices, strict=True)]


def _table(devices: Sequence["DeviceFigures"]) -> Table:
    """The first table of the page, for people at a terminal."""
    from groupnl.report import device_table

    found = device_table(devices)
    table = Table("device", *found.heads)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found.rows:
        if row.heading:
            table.add_section()
            table.add_row(row.label)
        else:
            table.add_row(f"  {row.label}", *(cell.text for cell in row.cells))
    return table
