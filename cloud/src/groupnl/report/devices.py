"""The page that puts devices side by side, from their benchmarks: one self-contained file that opens offline."""

import base64
from collections.abc import Callable, Sequence

from jinja2 import Environment, PackageLoader

from groupnl.report.device_bars import draw_device_bars, row_label
from groupnl.report.device_figures import DeviceFigures, DeviceRow
from groupnl.report.numbers import three_digits
from groupnl.report.tables import Cell, Row, Table
from groupnl_device.latency import NOISY

MAX_DEVICES = 12
_NONE = "\N{EN DASH}"


def render_devices(devices: Sequence[DeviceFigures], *, title: str | None = None) -> str:
    """The devices as HTML.

    Args:
        devices: 1 to 12, with names of their own.
        title: Of the page; by default the net and the devices.

    Raises:
        ValueError: There are none or too many, or two have one name.
    """
    if not 1 <= len(devices) <= MAX_DEVICES:
        raise ValueError(f"{len(devices)} devices: expected 1 to {MAX_DEVICES}")
    names = [device.name for device in devices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two devices are called {twice!r}: give each a name of its own (--name)")
    environment = Environment(loader=PackageLoader("groupnl.report", "."), autoescape=True)
    compared = any(device.settings.get("compare") for device in devices)
    return environment.get_template("devices.html").render(
        title=title or _title(devices),
        warnings=device_warnings(devices),
        figures=device_table(devices),
        compared=compared,
        bars=base64.b64encode(draw_device_bars(devices)).decode(),
        has_energy=any(row.energy_mj is not None for device in devices for row in device.rows),
        without_energy=[(device.name, reason) for device in devices for reason in device.energy_reasons],
        left_out=[(device.name, form, reason) for device in devices for form, reason in device.left_out.items()],
        facts=facts_table(devices),
    )


def device_table(devices: Sequence[DeviceFigures]) -> Table:
    """A heading for each device, under it one row for each form and number of threads."""
    columns: list[tuple[str, Callable[[DeviceRow], Cell]]] = [
        ("median, ms", lambda row: Cell(three_digits(row.latency_ms_median))),
        ("p90, ms", lambda row: Cell(three_digits(row.latency_ms_p90))),
        ("p99, ms", lambda row: Cell(three_digits(row.latency_ms_p99))),
        ("images/s", lambda row: Cell(three_digits(row.images_per_second))),
        ("noise", lambda row: Cell(f"{row.latency_spread:.0%}", "noisy" if row.latency_spread > NOISY else "")),
        ("energy, mJ", lambda row: Cell(_NONE if row.energy_mj is None else three_digits(row.energy_mj))),
        ("peak memory, MiB", lambda row: Cell(_mebibytes(row.peak_memory_bytes))),
        ("cold start, ms", lambda row: Cell(three_digits(row.cold_start_ms))),
    ]
    if any(device.settings.get("compare") for device in devices):
        columns.insert(1, ("ratio", lambda row: Cell(f"{row.ratio_to_first:.2f}")))
    rows = []
    for device in devices:
        rows.append(Row(device.name, [], heading=True))
        rows += [Row(row_label(row, device), [cell(row) for _, cell in columns]) for row in device.rows]
    return Table([head for head, _ in columns], rows)


def facts_table(devices: Sequence[DeviceFigures]) -> Table:
    """On what and how each device was measured: one column a device, the facts that any of them tells."""
    facts: list[tuple[str, Callable[[DeviceFigures], object]]] = [
        ("net", lambda d: d.model),
        ("bundle", lambda d: f"{d.model_bytes:,} bytes, {d.manifest_sha256[:8]}"),
        ("form", lambda d: _breakable(", ".join(dict.fromkeys(row.form for row in d.rows)))),
        ("board or processor", lambda d: d.hardware.get("processor")),
        ("kind", lambda d: d.hardware.get("machine")),
        ("usable cores", lambda d: d.hardware.get("usable_cores")),
        ("memory of the device, MiB", lambda d: _mebibytes(d.hardware.get("memory_bytes"))),
        ("frequency governor", lambda d: d.hardware.get("governor")),
        ("runtime", lambda d: d.versions.get("runtime")),
        ("groupnl-device", lambda d: d.versions.get("groupnl-device")),
        ("Python", lambda d: d.versions.get("python")),
        ("runs, warm-up", lambda d: f"{d.settings.get('runs')}, {d.settings.get('warmup')}"),
        ("energy of", lambda d: d.energy_covers),
        ("power at rest, W", lambda d: None if d.idle_w is None else three_digits(d.idle_w)),
        ("date", lambda d: d.date),
    ]
    rows = []
    for label, fact in facts:
        told = [fact(device) for device in devices]
        if any(value not in (None, _NONE) for value in told):
            rows.append(Row(label, [Cell(_NONE if value is None else str(value)) for value in told]))
    return Table([device.name for device in devices], rows)


def device_warnings(devices: Sequence[DeviceFigures]) -> list[str]:
    """What makes the devices less comparable than the table looks, and what each device's measurement noted."""
    found = []
    if len({device.manifest_sha256 for device in devices}) > 1:
        found.append(
            "Not all ran the same bundle. "
            + _grouped(devices, lambda d: f"{d.model}, {d.model_bytes:,} bytes, {d.manifest_sha256[:8]}")
        )
    if len({_how(device) for device in devices}) > 1:
        found.append(f"Not all were measured alike. {_grouped(devices, _how)}")
    measured = [device for device in devices if device.energy_covers]
    if len({device.energy_covers for device in measured}) > 1:
        found.append(
            f"Energy is not that of the same parts. {_grouped(measured, lambda d: d.energy_covers or '')} Compare it "
            "within a device only."
        )
    return found + [f"{device.name}: {note}." for device in devices for note in device.notes]


def _how(device: DeviceFigures) -> str:
    return f"{device.settings.get('runs')} runs after {device.settings.get('warmup')} untimed ones"


def _grouped(devices: Sequence[DeviceFigures], text: Callable[[DeviceFigures], str]) -> str:
    """Devices: the text that is true of them; ... as one sentence."""
    groups: dict[str, list[str]] = {}
    for device in devices:
        groups.setdefault(text(device), []).append(device.name)
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in groups.items()) + "."


def _title(devices: Sequence[DeviceFigures]) -> str:
    models = list(dict.fromkeys(device.model for device in devices))
    if len(models) > 1:
        return f"{len(models)} nets, measured on devices"
    return f"{models[0]} on {devices[0].name if len(devices) == 1 else f'{len(devices)} devices'}"


def _breakable(forms: str) -> str:
    """May be broken behind each slash."""
    return forms.replace("/", "/\N{ZERO WIDTH SPACE}")


def _mebibytes(size: int | None) -> str:
    return _NONE if size is None else three_digits(size / 2**20)
