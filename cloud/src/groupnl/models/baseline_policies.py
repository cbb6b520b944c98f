"""The baselines' policies: the convolutions of ``standard`` become Ghost, SineFM or Mono layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from groupnl.models.edit import Edit
from groupnl.models.planning import arguments_of, follow, plan_convolutions, why_not_standard
from groupnl.nn import GhostConv2d, MonoConv2d, SineFMConv2d
from groupnl.nn.channel_norm import is_channel_norm
from groupnl.nn.following import following
from groupnl_device.nlf import Range

_RELUS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU)
_NOTHING_AT_INFERENCE = (nn.Identity, nn.Dropout, nn.Dropout2d)


@dataclass(frozen=True, kw_only=True)
class GhostPolicy:
    """3x3 stride-1 convolutions but the first become :class:`groupnl.nn.GhostConv2d`.

    ``activation=None`` gives the inner ReLUs to the layers in conv-bn-relu slots alone, as :func:`following` reads them
    from the net's code: a batch norm and then a ReLU or one of its kin as modules, with at most dropout in between. A
    convolution whose norm goes into an addition (the second one of a basic block), one followed by another activation,
    and one of which nothing is known gets none. ``F.relu`` is no module and not seen: say ``activation=True`` there.
    """

    reduction: int = 2  # out_channels / maps of the primary convolution, at least 2
    cheap_kernel_size: int = 3  # of the depthwise convolution, odd
    activation: bool | None = None  # a ReLU after each inner batch norm; None: where the net has one in that place

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        chains = following(model) if self.activation is None else {}
        modules = dict(model.named_modules())

        def layer(conv: nn.Conv2d, name: str) -> GhostConv2d:
            after = [modules[link] for link in chains.get(name, ())]
            return self._layer(conv, _is_relu_slot(after) if self.activation is None else self.activation)

        return plan_convolutions(model, why_not_standard, layer)

    def _layer(self, conv: nn.Conv2d, activation: bool) -> GhostConv2d:
        layer = GhostConv2d(
            **arguments_of(conv),
            reduction=self.reduction,
            cheap_kernel_size=self.cheap_kernel_size,
            activation=activation,
        )
        primary = layer.primary_conv[0]
        if not isinstance(primary, nn.Conv2d):
            raise TypeError(f"primary_conv begins with a {type(primary).__name__}")
        layer, layer.primary_conv[0] = follow(conv, layer, primary)
        return layer


def _is_relu_slot(after: Sequence[nn.Module]) -> bool:
    """Whether what follows a convolution is a batch norm and a ReLU; timm's norms may hold theirs inside."""
    parts = [part for module in after for part in (module, *module.children())]
    parts = [part for part in parts if not isinstance(part, _NOTHING_AT_INFERENCE)]
    return len(parts) > 1 and is_channel_norm(parts[0]) and isinstance(parts[1], _RELUS)


@dataclass(frozen=True, kw_only=True)
class SineFMPolicy:
    """3x3 stride-1 convolutions but the first become :class:`groupnl.nn.SineFMConv2d`."""

    reduction: int = 2  # out_channels / maps of the seed convolution, at least 2
    sinusoids: int = 2  # t
    period_range: Range | None = None  # None: (1, 2)
    shift_range: Range | None = None  # None: (1, 5)
    seed: int = 0  # of the pairs; each layer's key is its qualified name

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        return plan_convolutions(model, why_not_standard, self._layer)

    def _layer(self, conv: nn.Conv2d, name: str) -> SineFMConv2d:
        layer = SineFMConv2d(
            **arguments_of(conv),
            reduction=self.reduction,
            sinusoids=self.sinusoids,
            period_range=self.period_range,
            shift_range=self.shift_range,
            seed=self.seed,
            key=name,
        )
        layer, layer.seed_conv = follow(conv, layer, layer.seed_conv)
        return layer


@dataclass(frozen=True, kw_only=True)
class MonoPolicy:
    """3x3 stride-1 convolutions but the first become :class:`groupnl.nn.MonoConv2d`."""

    reduction: int = 2  # one of so many filters is learned, at least 2
    exponent_range: Range = (1.0, 7.0)
    seed: int = 0  # of the exponents; each layer's key is its qualified name

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        return plan_convolutions(model, why_not_standard, self._layer)

    def _layer(self, conv: nn.Conv2d, name: str) -> MonoConv2d:
        if isinstance(conv, Conv2dSame):
            raise ValueError("timm's Conv2dSame pads as it runs, which a generated filter bank does not do")
        layer = MonoConv2d(
            **arguments_of(conv),
            reduction=self.reduction,
            exponent_range=self.exponent_range,
            seed=self.seed,
            key=name,
        )
        bias = layer.bias
        layer, layer.conv = follow(conv, layer, layer.conv)
        if bias is not None and conv.bias is not None:
            bias.data.copy_(conv.bias.data)
        return layer
