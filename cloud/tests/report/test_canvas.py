"""Lines can be told apart without colour, names fit, and equal figures give equal files."""

import pytest

from groupnl.report.canvas import FORMS, MAX_NETS, NetLine, in_lines, legend_height, new_figure, to_bytes

BEGINNINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def test_every_net_has_a_marker_of_its_own():
    styles = [NetLine(place).style for place in range(MAX_NETS)]
    assert len({style["marker"] for style in styles}) == MAX_NETS
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == MAX_NETS


def test_a_net_too_many_is_refused():
    with pytest.raises(ValueError, match="13 nets: a picture shows at most 12"):
        NetLine(MAX_NETS)


@pytest.mark.parametrize("form", FORMS)
def test_equal_figures_are_equal_files(form):
    def drawn():
        figure = new_figure(2, 1)
        figure.subplots().plot([0, 1], [1, 0], label="a & b", **NetLine(7).style)
        return to_bytes(figure, form)

    assert drawn().startswith(BEGINNINGS[form])
    assert drawn() == drawn()


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="form='gif': expected one of png, svg, pdf"):
        to_bytes(new_figure(1, 1), "gif")


def test_long_names_are_broken_where_they_may_be():
    assert in_lines("groupnl_resnet18+augmix", 16) == "groupnl_resnet18\n+augmix"
    assert in_lines("resnet18", 4) == "resnet18"  # nowhere to break


def test_the_legend_gets_room_for_its_rows():
    assert legend_height(["a", "b", "c", "d"], 10) == legend_height(["a"], 10)
    assert legend_height(["a" * 60] * 4, 6) == 4 * legend_height(["a"], 6)
    assert legend_height([], 6) == 0
