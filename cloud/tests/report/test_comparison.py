"""The page that compares nets is self-contained, honest about its figures, and escapes names."""

import re
from html.parser import HTMLParser

import pytest

from groupnl.report import read_net, render_comparison


class Tags(HTMLParser):
    """Collects what the page would fetch, its words, and fails on a tag that is closed without having been opened."""

    def __init__(self, page):
        super().__init__()
        self.open, self.fetched, self.words = [], [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words += data


@pytest.fixture
def page(evaluation, monkeypatch):
    """Make a page of evaluations: its tags and words, and itself. Pictures are real where ``draw`` is given."""

    def make(*records, draw=False, **options):
        if not draw:
            for name in ("draw_radar", "draw_severity_panel", "draw_swatch"):
                monkeypatch.setattr(f"groupnl.report.comparison.{name}", lambda *_, **__: b"<svg/>")
        html = render_comparison([read_net(record) for record in records or (evaluation(),)], **options)
        return Tags(html), html

    return make


def test_it_is_well_formed_and_fetches_nothing(page, evaluation, comparison):
    run = {"net": "light", "epochs": 2, "train_seconds": 3.0, "train_set_accuracy": 0.9, "train_minus_test": 0.04}
    records = evaluation(), evaluation("light", less=0.03)
    tags, html = page(*records, comparisons={"light": comparison()}, training=[run], draw=True)
    assert all(value.startswith("data:image/svg+xml;base64,") for value in tags.fetched)
    panels, radar, swatches = 4, 1, 4 * 2 + 3 * 1  # of two nets in three tables and a legend, of the second alone
    assert len(tags.fetched) == panels + radar + swatches
    assert not re.search(r"https?://", html)
    assert "<script" not in html
    assert "+4.0" in tags.words


def test_what_was_measured_is_said(page):
    words = page()[0].words
    assert (
        "10,000 images of cifar10, test split, clean and under 4 corruptions (neither the 15 of mCE nor all 19)"
        in words
    )
    assert "at severities 1, 3" in words
    assert "generated on the fly (groupnl 0.1.0, seed 0); photographs of frost: stand-in" in words
    assert "those of CIFAR-10-C" in words
    assert "it is no mCE" in words
    assert "from a bootstrap over the images" in words
    assert "another training seed gives other figures" in words


@pytest.mark.parametrize(("kind", "said"), [("mce15", "the 15 corruptions of mCE"), ("all", "all 19 corruptions")])
def test_which_set_it_was_is_said(page, evaluation, kind, said):
    assert f"clean and under {said} at" in page(evaluation(corruption_set=kind))[0].words


def test_a_published_set_is_called_so(page, evaluation):
    record = evaluation(corrupted_by="published", corrupted_source="CIFAR-10-C", frost_source=None, variant=None)
    words = page(record)[0].words
    assert "read as published (CIFAR-10-C); photographs of frost: not recorded" in words
    assert "those of the set that was read" in words


def test_unlike_runs_are_flagged_at_the_top(page, evaluation):
    tags, _ = page(evaluation(), evaluation("light", corrupted_source="groupnl 0.1.0, seed 7"))
    assert tags.words.index("Read this first") < tags.words.index("The nets")
    assert "Read this first" not in page()[0].words


def test_baseline_and_ce(page, evaluation):
    records = [evaluation(name, baseline="AlexNet", mce=0.7, relative_mce=0.8) for name in ("a", "b")]
    for record in records:
        record["corruptions"]["fog"]["ce"] = 0.5
    words = page(*records)[0].words
    assert "CE, % of AlexNet" in words
    assert "the error of AlexNet" in words
    other = {**records[1], "baseline": "ours"}
    words = page(records[0], other)[0].words  # CE of different baselines do not stand side by side
    assert "\nCE, % of" not in words
    assert "the error of AlexNet or ours" in words


def test_names_are_escaped_and_may_be_broken(page, evaluation):
    tags, html = page(evaluation("<b>a_b+c</b>"), evaluation("light"))
    assert "<b>a_" not in html
    assert "&lt;b&gt;a_<wbr>b<wbr>+c&lt;/<wbr>b&gt;" in html
    assert "<b>a_b+c</b>" in tags.words


def test_titles(page, evaluation):
    assert "<title>vanilla, light on cifar10</title>" in page(evaluation(), evaluation("light"))[1]
    long = [evaluation(f"a_net_of_quite_a_long_name_{n}") for n in range(3)]
    assert "<title>3 nets on cifar10</title>" in page(*long)[1]
    assert "<h1>A &amp; B</h1>" in page(title="A & B")[1]


def test_clean_runs_have_a_page(page, evaluation):
    clean = {"corruptions": {}, "families": {}, "mean_error": None, "mean_ece": None}
    tags, _ = page(evaluation(**clean), evaluation("light", **clean))
    assert "no corruptions were run" in tags.words
    assert "mean error" not in tags.words
    assert len(tags.fetched) == 3  # swatches only


def test_p_values_of_several_comparisons_are_said_to_be_uncorrected(page, evaluation, comparison):
    records = [evaluation(), *(evaluation(name, less=0.03) for name in ("light", "other"))]
    one = page(*records, comparisons={"light": comparison()})[0].words
    two = page(*records, comparisons={"light": comparison(), "other": comparison()})[0].words
    assert "not corrected" not in one
    assert "not corrected for the number of comparisons, 2" in two


def test_refusals(page, evaluation, comparison):
    with pytest.raises(ValueError, match="cannot be compared"):
        page(evaluation(), evaluation("light", data="gtsrb"))
    with pytest.raises(ValueError, match="do not belong to their figures"):
        page(evaluation(), evaluation("light"), comparisons={"light": comparison()})
