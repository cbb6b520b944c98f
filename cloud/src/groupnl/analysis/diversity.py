"""How new the generated maps of a trained net are, measured on images: correlation and effective rank."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from groupnl.analysis.evaluation_mode import evaluation_mode
from groupnl.analysis.maps import generating_layers
from groupnl_device.nlf import channel_map

CONSTANT = 1e-12  # a map whose variance is less of its mean square than this varies by float32's rounding only
SINGULAR = 1e-12  # smallest eigenvalue of a correlation matrix that is more than the rounding of its entries


@dataclass(frozen=True, kw_only=True)
class LayerDiversity:
    """The maps of one layer, over all pixels of all images. Constant maps have no correlation and are left out."""

    layer: str  # qualified name
    seed_channels: int
    generated_channels: int
    constant_maps: int  # maps that do not vary over these images, seed and generated
    correlation_median: float | None  # |correlation| of a generated map with its seed map; None: all are constant
    correlation_mean: float | None
    effective_rank_seeds: float  # from 1 to seed_channels
    effective_rank: float  # of seed and generated maps together, from 1 to the number of maps
    log_determinant: float | None  # of the correlation matrix of all maps; None: singular up to rounding
    variance_ratio_median: float | None  # variance of a generated map relative to that of its seed map
    seed_mean: float  # root mean square over seed maps of their means
    seed_std: float  # root mean square over seed maps of their standard deviations: the scale of ``design_nlf``


def diversity(
    model: nn.Module, images: Tensor, *, layer: str | None = None, batch_size: int = 64
) -> tuple[LayerDiversity, ...]:
    """Measure how new a net's generated maps are.

    A layer's output [seed maps, generated maps] is read as C variables observed at every pixel of every image. The
    effective rank is ``exp(H)`` with ``H = -sum p_i log p_i`` over the eigenvalues of their correlation matrix, divided
    by their sum: Roy & Vetterli, The effective rank, EUSIPCO 2007, there for singular values. The correlation matrix
    is taken because a batch norm usually follows, which makes all variances equal. Copies of the seeds leave the rank
    where it is; C uncorrelated maps have rank C.

    Memory does not grow with the number of images: means and second moments are summed in float64.

    Args:
        model: In any mode, which it has again afterwards; runs in ``eval()``, without gradients.
        images: Normalised, as the net takes them, shape (N, 3, H, W); moved to the net's device batch by batch.
        layer: Qualified name of a GroupNL layer; None: all that generate maps.
        batch_size: Images at a time.

    Returns:
        One entry a layer, in the net's order.

    Raises:
        ValueError: No images, no such layer, or a layer that the images do not pass.
    """
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)}: expected one or more, (N, 3, H, W)")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r}: expected an integer of at least 1")
    layers = generating_layers(model, layer)
    moments = {name: _Moments() for name in layers}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: moments[name].add(output))
        for name, module in layers.items()
    ]
    home = next(iter(layers.values())).seed_conv.weight
    try:
        with evaluation_mode(model), torch.no_grad():
            for batch in torch.split(images, batch_size):
                model(batch.to(home.device, home.dtype))
    finally:
        for handle in handles:
            handle.remove()
    if unused := [name for name in layers if moments[name].count == 0]:
        raise ValueError(f"the images do not pass {', '.join(unused)}: nothing to measure there; name another layer")
    found = []
    for name, module in layers.items():
        source, _ = channel_map(
            seed_channels=module.seed_channels,
            out_channels=module.out_channels,
            nl_groups=module.nl_groups,
            copies=module.copies,
        )
        found.append(_summary(name, moments[name], module.seed_channels, torch.from_numpy(source)))
    return tuple(found)


class _Moments:
    """Mean and centred second moments of C variables, batch by batch in float64.

    Batches are joined as in Chan, Golub & LeVeque, Updating Formulae, 1979, so that a large mean costs no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0)
        self.scatter = torch.zeros(0)

    def add(self, maps: Tensor) -> None:
        """One more batch, shape (N, C, H, W)."""
        values = maps.detach().to("cpu", torch.float64).transpose(0, 1).flatten(1)  # not every device has float64
        count = values.shape[1]
        mean = values.mean(dim=1)
        centred = values - mean[:, None]
        scatter = centred @ centred.T
        if self.count == 0:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total = self.count + count
        step = mean - self.mean
        self.scatter = self.scatter + scatter + torch.outer(step, step) * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total


def _summary(name: str, moments: _Moments, seeds: int, source: Tensor) -> LayerDiversity:
    mean, covariance = moments.mean, moments.scatter / moments.count
    variance = covariance.diagonal()
    varies = variance > CONSTANT * (mean.square() + variance)
    std = torch.where(varies, variance, 1.0).sqrt()
    correlation = covariance / std / std[:, None]
    generated = torch.arange(seeds, len(variance))
    both = varies[generated] & varies[source]
    alike = correlation[generated, source][both].abs().clamp(max=1)
    all_maps, seed_maps = torch.nonzero(varies).flatten(), torch.nonzero(varies[:seeds]).flatten()
    eigenvalues = torch.linalg.eigvalsh(correlation[all_maps][:, all_maps])
    regular = len(eigenvalues) > 0 and float(eigenvalues.min()) > SINGULAR * len(eigenvalues)
    return LayerDiversity(
        layer=name,
        seed_channels=seeds,
        generated_channels=len(generated),
        constant_maps=int((~varies).sum()),
        correlation_median=float(alike.quantile(0.5)) if len(alike) else None,
        correlation_mean=float(alike.mean()) if len(alike) else None,
        effective_rank_seeds=_effective_rank(torch.linalg.eigvalsh(correlation[seed_maps][:, seed_maps])),
        effective_rank=_effective_rank(eigenvalues),
        log_determinant=float(eigenvalues.log().sum()) if regular else None,
        variance_ratio_median=float((variance[generated] / variance[source])[both].quantile(0.5))
        if both.any()
        else None,
        seed_mean=float(mean[:seeds].square().mean().sqrt()),
        seed_std=float(variance[:seeds].mean().sqrt()),
    )


def _effective_rank(eigenvalues: Tensor) -> float:
    """Exp of the entropy of the normalised eigenvalues; 0 where there are none."""
    if len(eigenvalues) == 0:
        return 0.0
    shares = eigenvalues.clamp(min=0) / eigenvalues.clamp(min=0).sum()
    return float(torch.special.entr(shares).sum().exp())
