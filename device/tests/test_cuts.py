"""Parts of weights: what a manifest says is what numpy gives, and nothing beyond the tensors can be asked for."""

import numpy as np
import pytest

from groupnl_device.cuts import Cut, add_cuts
from groupnl_device.errors import InvalidManifestError

WHOLE = np.arange(6 * 4 * 3, dtype=np.float32).reshape(6, 4, 3)


def test_parts_are_dense_and_as_python_indexes_them() -> None:
    cuts = {
        "odd": Cut.of_part("w", "1:6:2"),
        "corner": Cut.of_part("w", "0:2:1,3:4:1"),
        "none": Cut.of_part("w", "2:2:1"),
    }
    found = add_cuts({"w": WHOLE}, cuts)
    np.testing.assert_array_equal(found["odd"], WHOLE[1::2])
    np.testing.assert_array_equal(found["corner"], WHOLE[:2, 3:])
    assert found["none"].shape == (0, 4, 3)
    assert found["w"] is WHOLE
    assert all(part.flags.c_contiguous for part in found.values())


def test_the_text_is_read_back() -> None:
    for part in ("1:6:2", "0:2:1,3:4:1"):
        assert Cut.of_part("w", part).part == part


@pytest.mark.parametrize(
    ("name", "cut", "match"),
    [
        ("w", Cut.of_part("w", "0:1:1"), "there is a tensor of this name"),
        ("a", Cut.of_part("v", "0:1:1"), "of the tensor 'v', which is absent"),
        ("a", Cut.of_part("w", "0:7:1"), r"0:7:1 of 'w', whose shape is \(6, 4, 3\)"),
        ("a", Cut.of_part("w", "0:1:1,0:1:1,0:1:1,0:1:1"), "whose shape is"),
    ],
)
def test_what_is_not_there_is_refused(name: str, cut: Cut, match: str) -> None:
    with pytest.raises(InvalidManifestError, match=match):
        add_cuts({"w": WHOLE}, {name: cut})


def test_a_small_bundle_cannot_ask_for_much_memory() -> None:
    cuts = {f"part{k}": Cut.of_part("w", "0:6:1") for k in range(5)}
    add_cuts({"w": WHOLE}, {name: cut for name, cut in cuts.items() if name != "part4"})
    with pytest.raises(InvalidManifestError, match="more than 4 times"):
        add_cuts({"w": WHOLE}, cuts)
