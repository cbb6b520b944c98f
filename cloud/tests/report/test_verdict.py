"""The words of a report follow from its figures."""

from groupnl.report import verdicts


def net(**changes):
    figures = {
        "params": 1000,
        "macs": 10_000,
        "clean_accuracy": 0.80,
        "mean_error": 0.40,
        "corruptions": {
            "fog": {"error": 0.4, "severities": {"1": 0.4}},
            "snow": {"error": 0.4, "severities": {"1": 0.4}},
        },
        "train_seconds": 100.0,
        "bundle_bytes": 4000,
        "latency_ms_median": 1.0,
        "agreement": 1.0,
    }
    return {**figures, **changes}


def results(**changes):
    return {"nets": {"base": net(), "light": net(**changes)}, "baseline": "base", "test_images": 1000}


def test_a_difference_within_the_margin_is_called_level():
    # 1.96 * sqrt(2 * 0.8 * 0.2 / 1000) = 3.5 points
    text = verdicts(results(clean_accuracy=0.83))
    assert text[0] == "light and base are level on clean pictures (83.0% against 80.0%, +3.0 points; 95 % margin 3.4)."


def test_a_difference_beyond_it_is_called_better_on_either_side():
    assert verdicts(results(clean_accuracy=0.90))[0].startswith("light is better than base on clean pictures")
    assert verdicts(results(clean_accuracy=0.70))[0].startswith("base is better than light on clean pictures")


def test_corruptions_are_named():
    rows = {"fog": {"error": 0.3, "severities": {"1": 0.3}}, "snow": {"error": 0.6, "severities": {"1": 0.6}}}
    text = verdicts(results(corruptions=rows, mean_error=0.45))[1]
    assert "light makes fewer errors under fog, more under snow." in text


def test_cost_latency_and_training_are_compared():
    text = "\n".join(
        verdicts(results(params=500, macs=10_000, bundle_bytes=6000, latency_ms_median=1.5, train_seconds=80))
    )
    assert "light has 50.0% fewer parameters and as many multiply-adds; its bundle has 50.0% more bytes." in text
    assert "On the device light is slower than base (median 1.500 ms against 1.000 ms a picture, ratio 1.50)." in text
    assert "Training light took 80 s against 100 s, ratio 0.80." in text
    assert "is as fast as base" in "\n".join(verdicts(results(latency_ms_median=0.96)))


def test_one_run_is_said_to_prove_nothing():
    assert "one training run per net" in verdicts(results())[-1]
