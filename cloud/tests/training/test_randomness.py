"""Draws are a function of the seed and the purpose, and leave no trace in the caller's generators."""

import torch

from groupnl.training.randomness import caller_generators_kept, derived_seed, generator_for, seed_global_generators

CPU = torch.device("cpu")


def test_seeds_are_the_same_everywhere_and_for_ever() -> None:
    assert derived_seed(0, "order", 0) == 6759659632403048684
    assert derived_seed(2**63 - 1, "augment", 12, 345) == 3404945132145670099


def test_purposes_and_places_do_not_share_seeds() -> None:
    paths = [("order", epoch) for epoch in range(30)]
    paths += [("augment", epoch, index) for epoch in range(30) for index in range(30)]  # 1, 11 is not 11, 1
    assert len({derived_seed(seed, *path) for seed in (0, 1, 11) for path in paths}) == 3 * len(paths)


def test_generators_repeat() -> None:
    first, second = (torch.rand(5, generator=generator_for(3, "order", 1)) for _ in range(2))
    assert torch.equal(first, second)


def test_the_callers_generator_goes_on_as_if_nothing_had_been() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with caller_generators_kept(CPU):
        seed_global_generators(99, CPU)
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)


def test_dropout_follows_the_given_seed() -> None:
    def drop() -> torch.Tensor:
        seed_global_generators(7, CPU)
        return torch.nn.functional.dropout(torch.ones(50))

    with caller_generators_kept(CPU):
        assert torch.equal(drop(), drop())
