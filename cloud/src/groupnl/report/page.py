"""The HTML page: one self-contained file that opens offline."""

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader

from groupnl.report.results import check_results
from groupnl.report.verdict import verdicts

# (label, key, how to write it, which way is better)
_ROWS = (
    ("parameters", "params", "{:,}", "low"),
    ("multiply-adds", "macs", "{:,}", "low"),
    ("elementwise operations", "elementwise", "{:,}", "low"),
    ("clean accuracy", "clean_accuracy", "{:.1%}", "high"),
    ("mean error, corrupted", "mean_error", "{:.1%}", "low"),
    ("training, seconds", "train_seconds", "{:.0f}", "low"),
    ("bundle, bytes", "bundle_bytes", "{:,}", "low"),
    ("latency on the device, ms", "latency_ms_median", "{:.3f}", "low"),
    ("device and PyTorch agree", "agreement", "{:.1%}", "high"),
)


def render_page(results: Mapping[str, Any], pictures: Mapping[str, bytes], *, title: str) -> str:
    """The report as HTML.

    Args:
        results: See :func:`groupnl.report.check_results`; ``command``, ``date``, ``seed``, ``hardware`` and
            ``versions`` are shown where they are given.
        pictures: Caption -> PNG, in order.
        title: Of the page.

    Raises:
        ValueError: The results are incomplete.
    """
    check_results(results)
    environment = Environment(loader=PackageLoader("groupnl.report", "."), autoescape=True)
    return environment.get_template("page.html").render(
        title=title,
        results=results,
        names=list(results["nets"]),
        rows=[_row(results["nets"], *row) for row in _ROWS if all(row[1] in net for net in results["nets"].values())],
        corruptions=_corruptions(results["nets"]),
        verdicts=verdicts(results),
        pictures=[(caption, base64.b64encode(png).decode()) for caption, png in pictures.items()],
    )


def _row(nets: Mapping[str, Any], label: str, key: str, form: str, better: str) -> dict[str, Any]:
    values = [net[key] for net in nets.values()]
    best = min(values) if better == "low" else max(values)
    return {"label": label, "cells": [(form.format(v), v == best and len(set(values)) > 1) for v in values]}


def _corruptions(nets: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(name for net in nets.values() for name in net["corruptions"]))
    shared = [name for name in names if all(name in net["corruptions"] for net in nets.values())]
    return [
        _row({net: rows["corruptions"][name] for net, rows in nets.items()}, name, "error", "{:.1%}", "low")
        for name in shared
    ]
