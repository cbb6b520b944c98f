"""Training flags come back one by one, whatever happened."""

import pytest
import torch
from torch import nn

from groupnl.analysis.evaluation_mode import evaluation_mode


def test_flags_are_restored_after_an_error():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model[0].eval()
    seen = []
    model[0].register_forward_pre_hook(lambda *_: seen.extend(module.training for module in model.modules()))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), evaluation_mode(model):
        model(torch.zeros(1, 3))
    assert seen == [False, False, False]
    assert [module.training for module in model.modules()] == [True, False, True]
