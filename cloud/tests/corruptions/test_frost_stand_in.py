import torch

from groupnl.corruptions.frost_stand_in import draw_panes


def test_the_panes_are_like_frost_and_always_the_same() -> None:
    panes, again = draw_panes(), draw_panes()
    assert all(torch.equal(first, second) for first, second in zip(panes, again, strict=True))
    assert len(panes) == 5
    for pane in panes:
        assert pane.dtype == torch.uint8
        assert pane.shape == (3, 420, 640)  # a fifth of it still holds a crop of 32 x 32, the whole one of 224 x 224
        light = pane.double()
        assert 70 < light.mean() < 215
        assert 15 < light.mean(0).std() < 50
        assert light[2].mean() > light[0].mean()  # bluish
        # crystals: neighbours differ more than clouds would, less than noise
        roughness = (light[:, 1:] - light[:, :-1]).abs().mean() / light.std()
        assert 0.1 < roughness < 0.8
    assert not torch.equal(panes[1], panes[2])
