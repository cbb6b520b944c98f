"""The choice of filters from weights alone, against numpy and hand-made clusters."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groupnl.models.seed_filters import choose_order, dense_filters, principal_filters, seen_inputs


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_dense_filters_compute_what_the_grouped_ones_compute(groups):
    conv = nn.Conv2d(6, 12, (3, 1), groups=groups, bias=False)
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(nn.functional.conv2d(x, dense_filters(conv)), conv(x))


def test_seen_inputs_are_those_that_change_a_seed_map():
    conv = nn.Conv2d(8, 4, 1, groups=2, bias=False)
    for seed, inputs in enumerate(seen_inputs(conv)):
        changed = [i for i in range(8) if conv(torch.eye(8)[i].reshape(1, 8, 1, 1))[0, seed].item() != 0]
        assert changed == inputs.tolist()


def test_parallel_filters_share_a_seed():
    directions = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(0))).Q[:4]
    factors = torch.tensor([2.0, -1.0, 0.5, 3.0])  # of the second of each pair; negative: the norm turns signs
    rows = torch.cat([directions, directions * factors[:, None]])
    shuffled = torch.tensor([5, 0, 7, 2, 1, 6, 4, 3])
    source = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    order = choose_order(rows[shuffled].reshape(8, 1, 3, 3), torch.zeros(4, 1, dtype=torch.int64), source)
    pairs = {frozenset((shuffled[order[p]] % 4).item() for p in (seed, seed + 4)) for seed in range(4)}
    assert pairs == {frozenset([0]), frozenset([1]), frozenset([2]), frozenset([3])}
    # the stronger of the two is the seed map itself
    strength = rows[shuffled][order].norm(dim=1)
    assert bool((strength[:4] >= strength[4:]).all())


def test_sparse_seeds_get_the_outputs_of_their_own_inputs():
    depthwise = dense_filters(nn.Conv2d(8, 8, 3, groups=8))
    seen = torch.arange(8).reshape(4, 2)
    order = choose_order(depthwise, seen, torch.arange(8) % 4)
    assert [sorted(order[[seed, seed + 4]].tolist()) for seed in range(4)] == seen.tolist()


@settings(deadline=None, max_examples=25)
@given(seeds=st.integers(1, 6), extra=st.integers(0, 13), grouped=st.booleans(), seed=st.integers(0, 99))
def test_an_order_is_a_permutation(seeds, extra, grouped, seed):
    source = torch.cat([torch.arange(seeds), torch.arange(extra) % seeds])
    inputs = 2 * seeds if grouped else 3
    seen = torch.arange(2 * seeds).reshape(seeds, 2) if grouped else torch.arange(3).expand(seeds, 3)
    filters = torch.randn(len(source), inputs, 1, 2, generator=torch.Generator().manual_seed(seed))
    order = choose_order(filters, seen, source)
    assert sorted(order.tolist()) == list(range(len(source)))


def test_principal_filters_are_least_squares():
    filters = torch.randn(6, 2, 3, 1, generator=torch.Generator().manual_seed(1))
    source = torch.tensor([0, 1, 0, 1, 0, 0])
    chosen, mixture = principal_filters(filters, torch.tensor([[0, 1], [0, 1]]), source)
    rows = filters.flatten(1).double().numpy()
    for seed in range(2):
        members = rows[source.numpy() == seed]
        values, vectors = np.linalg.eigh(members.T @ members)
        best = vectors[:, -1] * np.sqrt(values[-1])
        found = chosen[seed].flatten().double().numpy()
        np.testing.assert_allclose(found * np.sign(found @ best), best, atol=1e-5)
    torch.testing.assert_close((mixture @ filters.flatten(1)).reshape(chosen.shape), chosen)


def test_filters_without_any_energy_are_no_error():
    chosen, _ = principal_filters(torch.zeros(4, 2, 1, 1), torch.tensor([[0, 1]] * 2), torch.tensor([0, 1, 0, 1]))
    assert not chosen.any()
    order = choose_order(torch.zeros(4, 2, 1, 1), torch.tensor([[0, 1]] * 2), torch.tensor([0, 1, 0, 1]))
    assert sorted(order.tolist()) == [0, 1, 2, 3]
