"""The page follows from the figures; variants are what they say."""

import json

import numpy as np
import pytest
import torch
from benchmarks.diversity import PAGE, RESULTS, VARIANTS, main, new_net, theory
from benchmarks.diversity_page import page, summary

from groupnl.analysis import diversity


def made_up():
    """Two seeds of every variant: each seed adds a point, each variant two."""
    layer = {
        **{"layer": "layer1.conv1", "seed_channels": 8, "generated_channels": 8, "effective_rank_seeds": 5.0},
        **{"effective_rank": 7.0, "correlation_median": 0.9, "seed_mean": 0.1, "seed_std": 0.35},
    }
    nets = [
        {
            **{"variant": variant, "seed": seed, "clean_accuracy": 0.5 + 0.02 * index + 0.01 * seed},
            **{"mean_error": 0.4 + 0.01 * seed * (index % 2), "layers": [] if variant == "vanilla" else [layer]},
        }
        for seed in (0, 1)
        for index, variant in enumerate(VARIANTS)
    ]
    return {
        **{"command": "python -m benchmarks.diversity", "date": "2026-01-01", "versions": {"torch": "2"}},
        **{"hardware": {"processor": "a processor"}, "data": "OpenIcons", "train_images": 3320, "test_images": 831},
        **{"epochs": 20, "severities": [1, 3, 5], "theory": theory(), "pictures": {}, "nets": nets},
    }


def test_the_page_follows_from_the_figures():
    text = page(made_up())
    assert "| l2 designed | 52.50 ± 0.50 | 40.50 ± 0.50 |" in text
    # always 2 points, so no spread; the error differs by 0 and 1 point: 0.5 +- 12.7 x 0.5
    assert "| l2 designed - l2 random | **+2.00 ± 0.00** | +0.50 ± 6.35 |" in text
    assert "| layer1.conv1 | rms random | 0.900 ± 0.000 | 5.0 ± 0.0 | 7.0 ± 0.0 | 16 |" in text
    assert "l2 designed - l2 random: clean **+2.00 ± 0.00**" in summary(made_up())


def test_one_seed_shows_no_interval():
    result = made_up()
    result["nets"] = [net for net in result["nets"] if net["seed"] == 0]
    assert "two seeds are needed" in page(result)


def test_theory_has_the_known_correlations():
    rows = {row["seed_channels"]: row for row in theory() if row["normalize"] == "l2"}
    assert [round(rows[s]["random_correlation_median"], 2) for s in (8, 64)] == [0.92, 0.99]
    random = np.random.default_rng(0)
    y = random.normal(size=20_000) / 64**0.5
    drawn = [np.corrcoef(y, np.sin(random.uniform(1, 2) * (y - random.uniform(1, 5))))[0, 1] for _ in range(400)]
    assert np.median(np.abs(drawn)) == pytest.approx(rows[64]["random_correlation_median"], abs=0.004)
    assert all(row["designed_correlation"] < 1e-4 for row in rows.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant):
    model, other = new_net(variant, 3, 5), new_net("l2 random", 3, 5)
    if variant == "vanilla":
        with pytest.raises(ValueError, match="no GroupNL layer"):
            diversity(model, torch.zeros(1, 3, 32, 32))
        return
    conv = model.layer3.conv2
    assert conv.normalize == variant.split()[0]
    assert conv.nlf == ("identity" if variant.endswith("identity") else "sine")
    assert conv.explicit == variant.endswith("designed")
    assert torch.equal(conv.seed_conv.weight, other.layer3.conv2.seed_conv.weight)


@pytest.mark.skipif(not RESULTS.exists(), reason="not measured yet")
def test_the_committed_page_follows_from_the_committed_figures():
    assert page(json.loads(RESULTS.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")


def test_check_sees_a_page_that_differs(monkeypatch, tmp_path, capsys):
    results, written = tmp_path / "diversity.json", tmp_path / "diversity.md"
    results.write_text(json.dumps(made_up()))
    monkeypatch.setattr("benchmarks.diversity.RESULTS", results)
    monkeypatch.setattr("benchmarks.diversity.PAGE", written)
    monkeypatch.setattr("sys.argv", ["diversity", "--check"])
    assert main() == 1
    monkeypatch.setattr("sys.argv", ["diversity", "--write"])
    assert main() == 0
    monkeypatch.setattr("sys.argv", ["diversity", "--check"])
    assert main() == 0
    written.write_text("other")
    assert main() == 1
    assert "differs" in capsys.readouterr().out
