"""Pictures and self-contained HTML pages that show what was measured.

Everything is made from JSON, a demo's results.json (see :func:`check_results`), evaluations (see :func:`read_net`) or
benchmarks of devices (see :func:`read_device`), so that a page can be made again from the figures alone.
"""

from groupnl.analysis import GroupMaps
from groupnl.report.canvas import FORMS
from groupnl.report.comparison import render_comparison
from groupnl.report.costs import draw_costs
from groupnl.report.curves import draw_severity_curves
from groupnl.report.device_bars import draw_device_bars
from groupnl.report.device_figures import DeviceFigures, is_bench, read_device
from groupnl.report.devices import device_table, device_warnings, render_devices
from groupnl.report.likeness import unlike
from groupnl.report.maps import draw_maps
from groupnl.report.net_figures import NetFigures, read_net
from groupnl.report.page import render_page
from groupnl.report.radar import draw_radar
from groupnl.report.results import check_results
from groupnl.report.tables import overview
from groupnl.report.verdict import verdicts

__all__ = [
    "FORMS",
    "DeviceFigures",
    "GroupMaps",
    "NetFigures",
    "check_results",
    "device_table",
    "device_warnings",
    "draw_costs",
    "draw_device_bars",
    "draw_maps",
    "draw_radar",
    "draw_severity_curves",
    "is_bench",
    "overview",
    "read_device",
    "read_net",
    "render_comparison",
    "render_devices",
    "render_page",
    "unlike",
    "verdicts",
]
