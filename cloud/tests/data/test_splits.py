import pytest

from groupnl.data.splits import held_out, style_of

GOLDEN = {"class/3.png", "class/4.png", "class/5.png"}  # the three smallest by the command sha256sum


def test_held_out_is_the_same_everywhere() -> None:
    assert held_out((f"class/{number}.png" for number in range(10)), 0.3) == GOLDEN


def test_held_out_does_not_depend_on_order_and_counts_repeats_once() -> None:
    names = [f"class/{number}.png" for number in range(10)]
    assert held_out(reversed(names + names), 0.3) == GOLDEN


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.24, 2), (0.26, 3), (1, 10)])
def test_share_is_rounded(share: float, count: int) -> None:
    assert len(held_out(map(str, range(10)), share)) == count


def test_style_of() -> None:
    assert style_of("style", ["a", "b"], "b") == "b"
    assert style_of("style:a", ["a", "b"], "b") == "a"
    assert style_of("random", ["a", "b"], "b") is None
    with pytest.raises(ValueError, match=r"style:c.*one of a, b"):
        style_of("style:c", ["a", "b"], "b")
