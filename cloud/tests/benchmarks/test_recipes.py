"""The recipes of the robustness tables: as the generator writes them, and as their nets and comparisons must be."""

import pytest
import yaml
from benchmarks.recipes import CLASSES, PROTOCOLS, Row, rows, stages

import groupnl
from benchmarks import recipes
from groupnl.cli.nets import parse_options


def made(row: Row) -> "groupnl.GroupNLConv2d":
    content = yaml.safe_load(row.path.read_text(encoding="utf-8"))
    options = parse_options(content.get("model-option"))
    return groupnl.create_model(content["net"], num_classes=CLASSES[row.data], **options)


def test_committed_recipes_are_what_the_generator_writes() -> None:
    wanted = recipes.written()
    assert set(recipes.FOLDER.glob("*/*.yaml")) == set(wanted)
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_net_and_augment_differ_within_a_protocol_and_data_set(protocol: str) -> None:
    by_data: dict[str, list[dict[str, object]]] = {}
    for row in rows(protocol):
        content = yaml.safe_load(row.path.read_text(encoding="utf-8"))
        assert content["data"] == row.data
        assert content.get("augment", "plain") == row.augment
        training = {
            k: v for k, v in content.items() if k not in ("net", "model-option", "out", "augment", "jsd-weight", "data")
        }
        by_data.setdefault(row.data, []).append(training)
    for found in by_data.values():
        assert all(training == found[0] for training in found)


def test_no_recipe_twice_and_the_headline_first() -> None:
    for protocol in PROTOCOLS:
        names = [row.name for row in rows(protocol)]
        assert len(names) == len(set(names))
        first = [row.method for row in stages(protocol)[0]]
        assert first == ["vanilla", "groupnl-r2"]
        assert stages(protocol)[0][0].data == "icons50"


@pytest.mark.parametrize("protocol", ["resnet8", "resnet18_quarter"])
def test_every_net_can_be_made_and_the_equal_one_has_as_many_parameters(protocol: str) -> None:
    params = {}
    for row in rows(protocol):
        if row.data == "icons50" and row.augment == "plain":
            params[row.method] = sum(p.numel() for p in made(row).parameters())
    assert abs(params["vanilla-equal"] / params["groupnl-r2"] - 1) < 0.01
    assert params["groupnl-identity"] == params["groupnl-r2"] < params["vanilla"]
    assert params["groupnl-r8"] < params["groupnl-r4"] < params["groupnl-r2"]


def test_the_variants_of_the_layer_are_what_their_names_say() -> None:
    def layer(method: str) -> groupnl.GroupNLConv2d:
        model = made(Row(protocol="resnet8", data="icons50", method=method))
        return next(module for module in model.modules() if isinstance(module, groupnl.GroupNLConv2d))

    default = layer("groupnl-r2")
    assert (default.nlf, default.normalize, default.nl_groups) == ("sine", "l2", 4)
    assert layer("groupnl-identity").nlf == "identity"
    assert layer("groupnl-rms").normalize == "rms"
    assert layer("groupnl-g8").nl_groups == 8
    assert float(layer("groupnl-fast").period.min()) >= 2
    assert float(layer("groupnl-slow").period.max()) <= 1
    assert not default.period.equal(layer("groupnl-pairs1").period)
