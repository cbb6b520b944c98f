"""The page of the zoo's costs: it follows from its figures, and nothing is missing."""

import json

import pytest
from benchmarks.zoo import BEYOND_THE_PAPER, PAGE, RESULTS, TODAYS_NETS, conversion, page, row

from groupnl import convert_, create_model
from groupnl.models import ZOO

COMMITTED = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_follows_from_the_figures():
    assert page(COMMITTED) == PAGE.read_text(encoding="utf-8")


def test_every_net_has_its_row_below_its_base():
    names = [net["name"] for net in COMMITTED["nets"]]
    pairs = [(zoo_row.base, name) for name, zoo_row in ZOO.items()]
    pairs += [(base, f"{base}+{policy}") for base, policy in BEYOND_THE_PAPER]
    for base, name in pairs:
        below = names[names.index(base) + 1 : names.index(name)]
        assert all(COMMITTED["nets"][names.index(other)]["replaced"] for other in below), name


def test_todays_nets_say_what_was_replaced():
    for net in COMMITTED["nets"]:
        if net["name"].partition("+")[0] in TODAYS_NETS and net["replaced"]:
            assert sum(net["conversion"]["replaced"].values()) == net["replaced"]
            assert f"- `{net['name']}`: " in page(COMMITTED)


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet8", "sinefm_resnet8"])
def test_figures_are_those_of_today(name):
    (committed,) = (net for net in COMMITTED["nets"] if net["name"] == name)
    measured = row(name, create_model(name, num_classes=10), (3, 32, 32))
    assert {**measured, "input_size": [3, 32, 32]} == committed


def test_conversions_are_told_in_short():
    found = conversion(convert_(create_model("resnet8"), "standard"))
    assert found["replaced"] == {"layer*.conv1": 1, "layer*.conv2": 3}
    assert found["left"] == {"the net's first convolution (stem)": 1, "stride 2x2, not 1": 2, "kernel 1x1, not 3x3": 2}
