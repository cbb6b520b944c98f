"""The page is self-contained, shows the figures and refuses incomplete ones."""

import base64
import copy
import re
from html.parser import HTMLParser

import pytest

from groupnl.report import render_page

NET = {
    "params": 78_186,
    "macs": 12_501_632,
    "clean_accuracy": 0.75,
    "mean_error": 0.4,
    "corruptions": {"fog": {"error": 0.4, "severities": {"1": 0.3, "2": 0.5}}},
    "train_seconds": 100.0,
    "bundle_bytes": 328_701,
    "latency_ms_median": 0.5,
    "agreement": 1.0,
}
RESULTS = {
    "nets": {"resnet8": NET, "<b>light</b>": {**NET, "params": 52_778, "clean_accuracy": 0.7}},
    "baseline": "resnet8",
    "test_images": 831,
    "seed": 0,
}
PICTURES = {"a picture": b"\x89PNG fake"}


class Tags(HTMLParser):
    """Fails on a tag that is closed without having been opened, and collects what the page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched = [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing():
    page = render_page(RESULTS, PICTURES, title="Title & more")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(value.startswith("data:") for value in tags.fetched)
    assert base64.b64encode(PICTURES["a picture"]).decode() in page
    assert not re.search(r"https?://", page)


def test_figures_are_shown_the_better_one_marked_and_names_escaped():
    page = render_page(RESULTS, {}, title="Title & more")
    assert "Title &amp; more" in page
    assert "&lt;b&gt;light&lt;/b&gt;" in page
    assert "<b>light</b>" not in page
    assert '<td>78,186</td><td class="best">52,778</td>' in page
    assert '<td class="best">75.0%</td><td>70.0%</td>' in page
    assert "<td>40.0%</td><td>40.0%</td>" in page  # equal figures: neither is better


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("nets",), {}, "expected 'nets'"),
        (("baseline",), "other", "baseline='other': expected one of the nets"),
        (("test_images",), 0, "test_images=0"),
        (("nets", "resnet8", "macs"), None, "macs=None"),
        (("nets", "resnet8", "clean_accuracy"), 75, "expected a share between 0 and 1"),
        (("nets", "resnet8", "mean_error"), float("nan"), "mean_error=nan"),
        (("nets", "resnet8", "corruptions"), {}, "at least one corruption"),
        (("nets", "resnet8", "corruptions", "fog", "severities"), {"1": 3}, "fog: expected 'error' and 'severities'"),
    ],
)
def test_incomplete_results_are_refused(path, value, message):
    results = copy.deepcopy(RESULTS)
    *parents, last = path
    target = results
    for key in parents:
        target = target[key]
    target[last] = value
    with pytest.raises(ValueError, match=message):
        render_page(results, {}, title="t")
