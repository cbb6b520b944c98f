"""``groupnl report``."""

import json

from groupnl.cli import main

NET = {
    "params": 1,
    "macs": 1,
    "clean_accuracy": 1.0,
    "mean_error": 0.5,
    "corruptions": {"fog": {"error": 0.5, "severities": {"1": 0.5}}},
    "train_seconds": 1,
    "bundle_bytes": 1,
    "latency_ms_median": 0.1,
    "agreement": 1.0,
}
RESULTS = {"nets": {"a": NET, "b": NET}, "baseline": "a", "test_images": 10}


def test_a_page_from_figures(run_json, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    page = tmp_path / "page.html"
    assert run_json("report", tmp_path / "results.json", "--out", page, "--title", "A & B") == {"page": str(page)}
    assert "<h1>A &amp; B</h1>" in page.read_text()


def test_refusals(tmp_path, capsys):
    page = tmp_path / "page.html"
    for content, message in (
        ("{", "is no JSON"),
        ("[]", "expected an object"),
        ('{"nets": {}}', "expected 'nets'"),
        (json.dumps({**RESULTS, "pictures": {"x": "../secret.png"}}), "expected the name of a file beside the results"),
        (json.dumps({**RESULTS, "pictures": {"x": "absent.png"}}), "absent.png"),
    ):
        (tmp_path / "results.json").write_text(content)
        assert main(["report", str(tmp_path / "results.json"), "--out", str(page)]) == 2
        assert message in capsys.readouterr().err
        assert not page.exists()
