"""Arguments that layers refuse alike."""

import pytest

from groupnl.nn.arguments import require_groups, require_integer, require_seed


def test_good_arguments_pass():
    require_integer("reduction", 2, least=2)
    require_seed(-(2**80))
    require_groups(4, 8, 12)


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "2", None])
def test_what_is_no_positive_integer(value):
    with pytest.raises(ValueError, match="expected an integer of at least 1"):
        require_integer("reduction", value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_what_is_no_seed(value):
    with pytest.raises(ValueError, match="expected an integer"):
        require_seed(value)


def test_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="groups=3: must divide in_channels=8 and the 12 seed maps; allowed: 1, 2, 4"):
        require_groups(3, 8, 12)
