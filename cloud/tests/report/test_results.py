"""check_results accepts what the demo writes."""

from groupnl.report import check_results


def test_complete_results_pass():
    net = {
        "params": 1,
        "macs": 1,
        "clean_accuracy": 1.0,
        "mean_error": 0,
        "corruptions": {"fog": {"error": 0.0, "severities": {"1": 0}}},
        "train_seconds": 0.1,
        "bundle_bytes": 1,
        "latency_ms_median": 0.1,
        "agreement": 1,
    }
    check_results({"nets": {"a": net}, "baseline": "a", "test_images": 1, "anything": "else"})
