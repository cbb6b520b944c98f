"""A trained net as a bundle that runs on a device without torch, checked against the net before it is written.

The plain form of each layer, the graph and its weights, the comparison, the file: one module each.
"""

from groupnl.export.agreement import Agreement
from groupnl.export.bundle_writer import write_bundle
from groupnl.export.errors import DisagreementError, ExportError
from groupnl.export.exporter import ExportReport, export_bundle
from groupnl.export.targets import RUNTIMES

__all__ = ["RUNTIMES", "Agreement", "DisagreementError", "ExportError", "ExportReport", "export_bundle", "write_bundle"]
