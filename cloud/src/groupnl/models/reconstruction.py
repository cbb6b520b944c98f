"""Fitting one layer to the maps of the convolution whose place it took, with no labels: least squares by gradient."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

_STEPS = 100  # of Adam for each layer; 200 lowered a layer's error by a tenth or less (ResNet-8, OpenIcons)
_LR = 0.1  # of the filters' root mean square, falling to 0 by half a cosine; 0.05 and 0.2 do about as well
_BETAS = (0.9, 0.99)

Samples = Sequence[tuple[Tensor, Tensor]]  # (input of the layer, maps that it should make), batch by batch


def fit_(unit: nn.Module, conv: nn.Conv2d, samples: Samples) -> None:
    """Change a convolution's weights so that the maps of the layer come nearest to the given ones.

    Each map may be scaled and shifted, as the batch norm behind it can: what is minimised is the share of the given
    maps' variance that the best scales and shifts leave unexplained. Weights that do no better than the first ones are
    not taken.

    Args:
        unit: The layer, in eval mode.
        conv: The convolution inside it.
        samples: At least one batch; inputs (N, C_in, H, W), maps (N, C_out, H', W').
    """
    names = {id(tensor): name for name, tensor in unit.named_parameters()}
    first = {names[id(tensor)]: tensor.detach().float() for tensor in conv.parameters()}
    size = float(conv.weight.detach().float().square().mean().sqrt())
    if not size > 0:
        return
    with torch.enable_grad():
        weights = {name: tensor.clone().requires_grad_() for name, tensor in first.items()}
        optimizer = torch.optim.Adam(list(weights.values()), betas=_BETAS)
        for step in range(_STEPS):
            x, maps = samples[step % len(samples)]
            optimizer.param_groups[0]["lr"] = _LR * size * (1 + math.cos(math.pi * step / _STEPS)) / 2
            loss = _unexplained(functional_call(unit, weights, (x.float(),)), maps)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
    with torch.no_grad():
        errors = [
            sum(float(_unexplained(functional_call(unit, state, (x.float(),)), maps)) for x, maps in samples)
            for state in (first, weights)
        ]
        if errors[1] < errors[0]:
            for name, tensor in unit.named_parameters():
                if name in weights:
                    tensor.copy_(weights[name])


def refit_norm_(norm: nn.modules.batchnorm._BatchNorm, samples: Samples) -> None:
    """Set a batch norm so that it turns given maps into others as nearly as scales and shifts can.

    Its running statistics become those of its input, so that training mode starts alike.

    Args:
        norm: With weights and running statistics.
        samples: (input of the norm, maps that it should make), both (N, C, H, W), at least one batch.
    """
    sums = torch.zeros(5, samples[0][0].shape[1], dtype=torch.float64, device=samples[0][0].device)
    count = 0
    for given, wanted in samples:
        x, t = given.double(), wanted.double()
        sums += torch.stack([v.sum(dim=(0, 2, 3)) for v in (x, t, x * x, x * t, t * t)])
        count += x.numel() // x.shape[1]
    x_mean, t_mean, xx, xt, _ = sums / count
    variance = (xx - x_mean.square()).clamp_min(0)
    slope = (xt - x_mean * t_mean) / variance.clamp_min(1e-24)
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch norm without running statistics cannot be refitted")
    with torch.no_grad():
        norm.running_mean.copy_(x_mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(slope * (variance + norm.eps).sqrt())
        norm.bias.copy_(t_mean)


def settle_norm_(norm: nn.Module | None, maps: Sequence[Tensor]) -> None:
    """Give a batch norm the statistics of maps (N, C, H, W), batch by batch; nothing where there is none."""
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch norm without running statistics cannot be settled")
    moments = [(x.double().mean(dim=(0, 2, 3)), x.double().square().mean(dim=(0, 2, 3)), x.numel()) for x in maps]
    total = sum(count for _, _, count in moments)
    mean = torch.stack([first * (count / total) for first, _, count in moments]).sum(0)
    square = torch.stack([second * (count / total) for _, second, count in moments]).sum(0)
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((square - mean.square()).clamp_min(0))


def _unexplained(maps: Tensor, wanted: Tensor) -> Tensor:
    """Share of the variance of ``wanted`` that no scaling and shifting of each channel of ``maps`` explains."""
    x = maps.float() - maps.float().mean(dim=(0, 2, 3), keepdim=True)
    t = wanted.float() - wanted.float().mean(dim=(0, 2, 3), keepdim=True)
    xx, xt, tt = ((a * b).mean(dim=(0, 2, 3)) for a, b in ((x, x), (x, t), (t, t)))
    return 1 - (xt.square() / xx.clamp_min(1e-20)).sum() / tt.sum().clamp_min(1e-20)
