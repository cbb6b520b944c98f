"""The tables of the int8 study, from figures worked by hand."""

from benchmarks import int8_bounds, int8_latency


def row(bound: str, seed: int, clean: float, clean_int8: float, **more: float) -> dict:
    return {
        "bound": bound,
        "seed": seed,
        "float32": {"clean_accuracy": clean, "mean_error": 0.4},
        "int8": {"clean_accuracy": clean_int8, "mean_error": 0.42},
        **more,
    }


def test_accuracies_are_means_over_seeds_and_changes_are_int8_minus_float() -> None:
    rows = [
        row("l2", 0, 0.80, 0.79),
        row("l2", 1, 0.82, 0.83),
        row("clamp", 0, 0.70, 0.5, share_at_bounds=0.9),
        row("clamp", 1, 0.72, 0.5, share_at_bounds=0.8),
    ]
    table = int8_bounds.table(rows)
    assert "| l2 | 2 | 81.0 ± 1.0 |" in table
    assert "| clamp | 2 | 71.0 ± 1.0 | **-10.0 ± 0.0** |" in table
    assert "| l2 | 81.0 ± 2.0 | +0.0 ± 1.0 | -1.0 | 42.0 ± 0.0 | +2.0 ± 0.0 | +2.0 |" in table
    assert "| clamp | 50.0 ± 0.0 | -21.0 ± 1.0 | -22.0 |" in table
    assert table.endswith("With `clamp`, 85.0 ± 5.0 % of the seed maps' values are -1 or 1.")


def test_torchao_stands_beside_onnx_runtime_for_one_seed() -> None:
    rows = [row("l2", 0, 0.8, 0.79, pt2e_clean_accuracy=0.785), row("none", 0, 0.7, 0.69, pt2e_clean_accuracy=0.7)]
    rows.append(row("none", 1, 0.7, 0.69, pt2e_clean_accuracy=0.5))
    assert int8_bounds.table(rows).endswith("one net each, %: l2 78.5 (79.0), none 70.0 (69.0).")


def test_latencies_are_ratios_to_vanilla_in_the_same_column() -> None:
    rows = [
        {"net": net, "bound": bound, "form": form, "threads": threads, "median_ms": ms, "ratio_to_vanilla": ratio}
        for net, bound, form, threads, ms, ratio in (
            ("resnet8@32", "vanilla", "plain", 1, 2.0, 1.0),
            ("resnet8@32", "l2", "native", 1, 1.5, 0.75),
            ("resnet50", "vanilla", "plain", 2, 30.0, 1.0),
        )
    ]
    assert int8_latency.table(rows).splitlines() == [
        "| bound | form | resnet8@32, 1 thread | resnet50, 2 threads |",
        "|---|---|---:|---:|",
        "| vanilla | plain | 2.00 ms | 30.00 ms |",
        "| l2 | native | 0.75 |  |",
    ]


def test_rows_are_in_the_order_of_the_bounds() -> None:
    rows = [row("none", 0, 0.5, 0.5), row("vanilla", 1, 0.5, 0.5), row("vanilla", 0, 0.5, 0.5)]
    assert [(r["bound"], r["seed"]) for r in sorted(rows, key=int8_bounds._place)] == [
        ("vanilla", 0),
        ("vanilla", 1),
        ("none", 0),
    ]
