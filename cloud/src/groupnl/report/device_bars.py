"""The picture of what devices need for a picture: one bar for each form and number of threads, device by device."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from groupnl.report.canvas import COLOURS, Form, in_lines, new_figure, to_bytes
from groupnl.report.device_figures import DeviceFigures, DeviceRow
from groupnl.report.numbers import three_digits

_NAME_WIDTH = 56  # letters of a device's name in a line
_BAR, _HEAD = 0.24, 0.3  # inches a bar, and a device's name above its bars


def draw_device_bars(devices: Sequence[DeviceFigures], *, form: Form = "svg") -> bytes:
    """Median latency, and energy where a device tells it; a black line spans the medians of repeated blocks.

    Args:
        devices: At least one.
        form: png, svg or pdf.
    """
    panels = [("median latency, ms", "latency_ms_median")]
    if any(row.energy_mj is not None for device in devices for row in device.rows):
        panels.append(("energy of one inference, mJ", "energy_mj"))
    bars, heads = _places(devices)
    labels = [row_label(row, device) for device in devices for row in device.rows]
    bottom = max(bars) + _BAR
    width = 0.075 * max(map(len, labels)) + 3.6 * len(panels) + 0.3
    figure = new_figure(width, bottom + 0.3)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, key) in zip(axes, panels, strict=True):
        _draw(axis, devices, bars, key)
        axis.set_ylim(bottom - _BAR / 3, 0)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_yticks(bars, labels if axis is axes[0] else [""] * len(bars), fontsize=8)
    for device, head in zip(devices, heads, strict=True):
        name = in_lines(device.name, _NAME_WIDTH).partition("\n")[0]
        axes[0].text(0, head, f" {name}", va="center", fontsize=8.5, fontweight="bold")
    return to_bytes(figure, form)


def row_label(row: DeviceRow, device: DeviceFigures) -> str:
    """Threads, and of several forms what sets this one apart: ``native, 2 threads`` for onnxruntime/native/float32."""
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    parts = [part.split("/") for part in dict.fromkeys(other.form for other in device.rows)]
    if len(parts) == 1:
        return threads
    own = row.form.split("/")
    alike = len({len(part) for part in parts}) == 1
    told = [own[k] for k in range(len(own)) if len({part[k] for part in parts}) > 1] if alike else own
    return f"{'/'.join(told)}, {threads}"


def _places(devices: Sequence[DeviceFigures]) -> tuple[list[float], list[float]]:
    """Inches from the top: of all bars, and of the devices' names."""
    bars, heads, place = [], [], 0.0
    for device in devices:
        heads.append(place + _HEAD / 2)
        bars += [place + _HEAD + _BAR * (k + 0.5) for k in range(len(device.rows))]
        place += _HEAD + _BAR * len(device.rows)
    return bars, heads


def _draw(axis: Axes, devices: Sequence[DeviceFigures], bars: Sequence[float], key: str) -> None:
    pairs = [(number, row) for number, device in enumerate(devices) for row in device.rows]
    values = [getattr(row, key) for _, row in pairs]
    known = [value for value in values if value is not None]
    longest = max((*known, *(max(row.block_medians_ms) for _, row in pairs if key == "latency_ms_median"), 1e-9))
    axis.set_xlim(min(0.0, *known), 1.25 * longest)
    for place, value, (number, row) in zip(bars, values, pairs, strict=True):
        end = 0.0 if value is None else value
        axis.barh(place, end, height=0.72 * _BAR, color=COLOURS[number % len(COLOURS)])
        if key == "latency_ms_median":
            low, high = min(row.block_medians_ms), max(row.block_medians_ms)
            axis.plot([low, high], [place, place], color="black", linewidth=1)
            end = max(end, high)
        words = "not measured" if value is None else three_digits(value)
        axis.text(max(end, 0.0) + 0.015 * longest, place, words, va="center", fontsize=8)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
