"""The tables of bytes and the sentence on float16, from figures worked by hand."""

from benchmarks import bundle_bytes


def row(method: str, seed: int, clean: float, corrupted: float, off: float = 1e-4, net: str = "resnet8") -> dict:
    def of(size: int, **more: float) -> dict:
        return {"bytes": size, "published_bytes": size - 20, **more}

    return {
        "net": net,
        "method": method,
        "seed": seed,
        "state_dict_bytes": 400,
        "bundles": {
            "float32": of(360, max_relative_difference=1e-7, clean_accuracy=0.8, accuracy_under_corruption=0.6),
            "float16": of(200, max_relative_difference=off, clean_accuracy=clean, accuracy_under_corruption=corrupted),
            "int8": of(120, max_relative_difference=0.04),
        },
    }


def test_bytes_are_beside_the_vanilla_state_dict_and_of_one_seed() -> None:
    rows = [row("vanilla", 0, 0.8, 0.6), row("groupnl-r2", 0, 0.8, 0.6), row("groupnl-r2", 1, 0.8, 0.6)]
    rows[1]["bundles"]["int8"]["bytes"] = 1100
    assert bundle_bytes.bytes_table(rows).splitlines()[2:] == [
        "| ResNet-8, vanilla | state dict | 400 | 100 % | | |",
        "| ResNet-8, vanilla | float32 | 360 | 90 % | 340 | 85 % |",
        "| ResNet-8, vanilla | float16 | 200 | 50 % | 180 | 45 % |",
        "| ResNet-8, vanilla | int8 | 120 | 30 % | 100 | 25 % |",
        "| ResNet-8, GroupNL | float32 | 360 | 90 % | 340 | 85 % |",
        "| ResNet-8, GroupNL | float16 | 200 | 50 % | 180 | 45 % |",
        "| ResNet-8, GroupNL | int8 | 1,100 | 275 % | 100 | 25 % |",
    ]


def test_what_float16_changes_is_told_with_its_extremes() -> None:
    rows = [
        row("vanilla", 0, 0.801, 0.6),
        row("vanilla", 1, 0.799, 0.6002, off=3e-3),
        row("groupnl-r2", 0, 0.8, 0.5999),
    ]
    assert bundle_bytes.accuracy_sentence(rows) == (
        "Float16 against float32, 3 trained nets: clean accuracy changes by -0.10 to +0.10 points, the mean accuracy "
        "under corruption by -0.01 to +0.02; logits by at most 3.0e-03 of their scale."
    )
