"""What every seeded layer promises of its constants."""

import copy
import pickle

import pytest
import torch

from groupnl.nn import GroupNLConv2d, MonoConv2d, SeededLayer, SineFMConv2d

LAYERS = {
    "groupnl": lambda **options: GroupNLConv2d(4, 8, 3, **options),
    "sinefm": lambda **options: SineFMConv2d(4, 8, 3, **options),
    "mono": lambda **options: MonoConv2d(4, 8, 3, **options),
}


def constants_of(layer: SeededLayer) -> list[torch.Tensor]:
    return [getattr(layer, name).clone() for name in layer._constant_names]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.half(),
        lambda layer: layer.to("meta").to_empty(device="cpu"),
        lambda layer: layer.to_empty(device="cpu"),
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
    ],
    ids=["half", "meta", "to_empty", "deepcopy", "pickle"],
)
def test_constants_keep_their_bits(make, change):
    layer = make(seed=7, key="layer")
    before = constants_of(layer)
    for old, new in zip(before, constants_of(change(layer)), strict=True):
        assert old.dtype == new.dtype
        assert torch.equal(old, new)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_fingerprint_tells_layers_apart_and_is_the_same_on_meta(make):
    layer = make(seed=7, key="layer")
    assert layer.fingerprint() == make(seed=7, key="layer").fingerprint()
    assert layer.fingerprint() != make(seed=8, key="layer").fingerprint()
    assert layer.fingerprint() != make(seed=7, key="other").fingerprint()
    assert layer.fingerprint() == make(seed=7, key="layer", device="meta").fingerprint()
    assert len({build(seed=7, key="layer").fingerprint() for build in LAYERS.values()}) == len(LAYERS)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_constant_that_was_changed_by_hand_is_noticed(make):
    layer, changed = make(seed=7), make(seed=7)
    name = layer._constant_names[0]
    setattr(changed, name, getattr(changed, name) + 1e-3)
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        layer.load_state_dict(changed.state_dict())
