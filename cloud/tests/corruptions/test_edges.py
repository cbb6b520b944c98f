import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.corruptions.edges import mirror_about_pixels, repeat_edges


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 7), before=st.integers(0, 20), after=st.integers(0, 20), axis=st.sampled_from([1, 2]))
@pytest.mark.parametrize(("extend", "mode"), [(repeat_edges, "edge"), (mirror_about_pixels, "reflect")])
def test_edges_are_those_of_numpy(extend, mode: str, size: int, before: int, after: int, axis: int) -> None:  # type: ignore[no-untyped-def]
    shape = (2, size, 3) if axis == 1 else (2, 3, size)
    images = torch.arange(6 * size, dtype=torch.int16).reshape(shape)
    width = [(before, after) if each == axis else (0, 0) for each in range(3)]
    expected = np.pad(images.numpy(), width, mode=mode)
    assert np.array_equal(extend(images, axis, before, after).numpy(), expected)
