"""Pictures and the self-contained HTML page that show what was measured.

Everything is made from a results.json (see :func:`check_results`), so that a page can be made again from the figures
alone.
"""

from groupnl.analysis import GroupMaps
from groupnl.report.page import render_page
from groupnl.report.pictures import draw_costs, draw_maps, draw_severity_curves
from groupnl.report.results import check_results
from groupnl.report.verdict import verdicts

__all__ = ["GroupMaps", "check_results", "draw_costs", "draw_maps", "draw_severity_curves", "render_page", "verdicts"]
