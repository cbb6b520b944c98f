"""Evaluations as JSON has them, made by hand from a few round numbers."""

import pytest

FAMILIES = {"gaussian_noise": "noise", "shot_noise": "noise", "frost": "weather", "fog": "weather"}
ERRORS = {"gaussian_noise": 0.4, "shot_noise": 0.3, "frost": 0.25, "fog": 0.21}  # at severity 1; 0.1 more at 3


@pytest.fixture
def evaluation():
    """Make an evaluation of severities 1 and 3: ``less`` is taken from every error, other keys are replaced."""

    def make(name="vanilla", less=0.0, **changes):
        corruptions = {
            corruption: {
                "family": FAMILIES[corruption],
                "error": first + 0.05 - less,
                "ece": 0.1,
                "severities": {"1": first - less, "3": first + 0.1 - less},
            }
            for corruption, first in ERRORS.items()
        }
        mean = sum(row["error"] for row in corruptions.values()) / 4
        return {
            "name": name,
            "data": "cifar10",
            "split": "test",
            "images": 10_000,
            "clean_accuracy": 0.9,
            "clean_ece": 0.02,
            "mean_error": mean,
            "mean_ece": 0.1,
            "corruptions": corruptions,
            "families": {"noise": 0.4 - less, "weather": 0.28 - less},
            "variant": "cifar",
            "severities": [1, 3],
            "seed": 0,
            "baseline": None,
            "mce": None,
            "relative_mce": None,
            "corruption_set": "custom",
            "corrupted_by": "generated",
            "corrupted_source": "groupnl 0.1.0, seed 0",
            "frost_source": "stand-in",
            "intervals": {"clean_accuracy": [0.89, 0.91], "mean_error": [mean - 0.01, mean + 0.01]},
            **changes,
        }

    return make


@pytest.fixture
def comparison():
    """Make a paired comparison: 3 points less error, level on clean images."""

    def make(**corrupted):
        return {
            "first": "light",
            "second": "vanilla",
            "images": 10_000,
            "clean": {
                "difference": 0.0,
                "interval": [-0.004, 0.004],
                "only_first_right": 120,
                "only_second_right": 120,
                "p_value": 1.0,
            },
            "corrupted": {"difference": -0.03, "interval": [-0.035, -0.025], "p_value": 0.00001, **corrupted},
        }

    return make


@pytest.fixture
def bench():
    """Make what groupnl-device bench writes: a row for each of ``threads`` and ``forms``; other keys are replaced."""

    def make(processor="Board 4", threads=(1, 2), forms=("plain",), energy_mj=None, **changes):
        rows = [
            {
                "artifact": f"onnxruntime/{form}/float32",
                "runtime": "onnxruntime 1.22.0",
                "threads": count,
                "latency_ms_median": 12.0 / count / (place + 1),
                "latency_ms_p90": 13.0 / count / (place + 1),
                "latency_ms_p99": 14.5 / count / (place + 1),
                "images_per_second": 80.0 * count * (place + 1),
                "latency_spread": 0.04 * count,
                "block_medians_ms": [11.9 / count / (place + 1), 12.1 / count / (place + 1)],
                "ratio_to_first": 1 / (place + 1),
                "cold_start_ms": 345.6,
                "peak_memory_bytes": 64 * 2**20,
                "energy_mj": energy_mj,
                "energy_reason": None if energy_mj else "no counters",
            }
            for place, form in enumerate(forms)
            for count in threads
        ]
        return {
            "kind": "bench",
            "model": "resnet8",
            "model_bytes": 238_269,
            "manifest_sha256": "5e1a7c4f" + "0" * 56,
            **rows[0],
            "rows": rows,
            "energy_covers": "the whole board" if energy_mj else None,
            "idle_w": 2.5 if energy_mj else None,
            "left_out": {},
            "notes": [],
            "settings": {"runs": 200, "warmup": 20, "compare": len(forms) > 1},
            "hardware": {"processor": processor, "machine": "arm", "usable_cores": 4, "system": "Linux"},
            "versions": {"python": "3.11.2", "runtime": "onnxruntime 1.22.0", "groupnl-device": "0.1.0"},
            "date": "2026-11-23",
            **changes,
        }

    return make
