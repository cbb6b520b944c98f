"""GroupNL layers as plain graph nodes: constants as named buffers, no tile, no expand, no slicing that does nothing."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.export.errors import ExportError
from groupnl.nn import GroupNLConv2d
from groupnl.nn.composite import L2_EPS
from groupnl.nn.fuse import fold_seed_norm_
from groupnl_device.constants import layer_constants, rebuild
from groupnl_device.manifest import ExplicitPairs, Layer, SeededPairs
from groupnl_device.nlf import NLF

_CONSTANTS: dict[NLF, tuple[str, ...]] = {  # what each function reads
    "sine": ("period", "shift"),
    "gaussian": ("period", "shift"),
    "monomial": ("period",),
    "legendre": (),
    "identity": (),
}


class PlainGroupNL(nn.Module):
    """The arithmetic of one ``GroupNLConv2d`` in evaluation, in float32, in nodes that every runtime has.

    Buffers, where the function needs them: ``period`` and ``shift``, float32 of shape (G, 1, 1), and ``source``, int64
    of shape (G,), when there are several copies; all as ``groupnl_device.constants`` rebuilds them.

    Args:
        layer: The layer; its seed convolution is shared, not copied.
        description: What the manifest says of it.
    """

    def __init__(self, layer: GroupNLConv2d, description: Layer) -> None:
        super().__init__()
        self.seed_conv = layer.seed_conv
        self.nlf = description.nlf
        self.normalize = description.normalize
        self.seed_channels = description.seed_channels
        self.generated = description.out_channels - description.seed_channels
        self.nl_groups, self.copies = description.nl_groups, description.copies
        constants = layer_constants(description, explicit_pairs(layer, description))
        for role in roles(description):
            self.register_buffer(role, torch.from_numpy(constants[role]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        y: Tensor = self.seed_conv(x)
        if self.generated == 0:
            return y
        if self.normalize == "clamp":
            y = y.clamp(-1, 1)
        if self.normalize in ("l2", "rms"):
            y = y / torch.linalg.vector_norm(y, dim=1, keepdim=True).clamp_min(L2_EPS)
        if self.normalize == "rms":
            y = y * self.seed_channels**0.5
        return torch.cat([y, *(self._legendre(y) if self.nlf == "legendre" else [self._generate(y)])], dim=1)

    def _generate(self, y: Tensor) -> Tensor:
        if self.copies > 1:
            y = y.index_select(1, self.get_buffer("source"))
        elif self.generated < self.seed_channels:
            y = y[:, : self.generated]
        if self.nlf == "identity":
            return y
        period = self.get_buffer("period")
        if self.nlf == "monomial":
            return y.sign() * y.abs().pow(period)
        argument = period * (y - self.get_buffer("shift"))
        return torch.sin(argument) if self.nlf == "sine" else torch.exp(-(argument * argument))

    def _legendre(self, y: Tensor) -> list[Tensor]:
        """Every degree once over all seed maps, then the groups' share of each: no mask, no gather."""
        clamped = y.clamp(-1, 1)
        before: Tensor | float = 1.0
        polynomial = clamped
        degrees = []
        for n in range(1, self.copies + 1):  # Bonnet's recursion, Abramowitz & Stegun 22.7.10
            before, polynomial = polynomial, ((2 * n + 1) * clamped * polynomial - n * before) / (n + 1)
            degrees.append(polynomial)
        if self.copies == 1:
            return [degrees[0][:, : self.generated] if self.generated < self.seed_channels else degrees[0]]
        pieces = []
        wanted = self.generated
        for group in np.array_split(np.arange(self.seed_channels), self.nl_groups):
            for polynomial in degrees:
                start, size = int(group[0]), min(len(group), wanted)
                if size > 0:
                    pieces.append(polynomial[:, start : start + size])
                    wanted -= size
        return pieces


@dataclass(frozen=True, kw_only=True)
class PlainNet:
    """A net made ready for export.

    Attributes:
        module: A copy in evaluation mode, float32, on the CPU, its GroupNL layers in plain form.
        layers: What the manifest says of each, with the names that its constants have in the state dict.
        explicit: By name, the pairs that no seed gives and that must be shipped.
    """

    module: nn.Module
    layers: tuple[Layer, ...]
    explicit: dict[str, NDArray[np.float32]]

    @property
    def constants(self) -> dict[str, NDArray[Any]]:
        """By the name in the state dict, the values that a device rebuilds."""
        return rebuild(self.layers, self.explicit)


def plain_form(model: nn.Module) -> PlainNet:
    """Copy a net and put every GroupNL layer into plain form; the net itself stays as it is.

    Raises:
        ExportError: A layer's pairs are not those that its seed and key give, or its batch norm cannot be folded.
    """
    module = frozen_copy(model)
    done: dict[int, PlainGroupNL] = {}
    layers = []
    explicit: dict[str, NDArray[np.float32]] = {}
    # With every name of a shared layer: each of them must lead to the same plain layer.
    for name, child in list(module.named_modules(remove_duplicate=False)):
        if not isinstance(child, GroupNLConv2d):
            continue
        if id(child) not in done:
            description = describe(name, child)
            layers.append(description)
            explicit |= explicit_pairs(child, description)
            _fold_seed_norm(name, child)
            done[id(child)] = PlainGroupNL(child, description)
        if name == "":
            module = done[id(child)]
        else:
            module.set_submodule(name, done[id(child)])
    return PlainNet(module=module.eval(), layers=tuple(layers), explicit=explicit)


def frozen_copy(model: nn.Module) -> nn.Module:
    """A deep copy in evaluation mode, float32, on the CPU, without gradients.

    Its weights lie in the usual order: after training in channels_last a trace would write down strides.
    """
    copied = copy.deepcopy(model).cpu().float().to(memory_format=torch.contiguous_format)
    return copied.eval().requires_grad_(False)


def describe(name: str, layer: GroupNLConv2d) -> Layer:
    """What the manifest says of a layer.

    Raises:
        ExportError: Its pairs are not those that its seed and key give.
    """
    prefix = f"{name}." if name else ""
    if layer.explicit:
        pairs: SeededPairs | ExplicitPairs = ExplicitPairs(
            period=f"{prefix}explicit_period", shift=f"{prefix}explicit_shift"
        )
    else:
        _check_drawn(name, layer)
        pairs = SeededPairs(
            seed=layer.seed, key=layer.key, period_range=layer.period_range, shift_range=layer.shift_range
        )
    description = Layer(
        name=name or "net",
        nlf=layer.nlf,
        normalize=layer.normalize,
        seed_channels=layer.seed_channels,
        out_channels=layer.out_channels,
        nl_groups=layer.nl_groups,
        pairs=pairs,
        initializers={},
    )
    names = {role: prefix + role for role in roles(description)}
    return Layer(**(vars(description) | {"initializers": names}))


def explicit_pairs(layer: GroupNLConv2d, description: Layer) -> dict[str, NDArray[np.float32]]:
    """By the names in the description, the pairs that must be shipped; empty where a seed gives them."""
    if not isinstance(description.pairs, ExplicitPairs):
        return {}
    return {
        description.pairs.period: layer.period.cpu().numpy(),
        description.pairs.shift: layer.shift.cpu().numpy(),
    }


def _fold_seed_norm(name: str, layer: GroupNLConv2d) -> None:
    try:
        fold_seed_norm_(layer)
    except ValueError as error:
        raise ExportError(
            f"layer {name!r}: its seed_norm cannot be folded into its seed convolution: {error}"
        ) from error


def _check_drawn(name: str, layer: GroupNLConv2d) -> None:
    held_pairs = (layer.period, layer.shift)
    for what, held, expected in zip(("period", "shift"), held_pairs, layer.seeded_pairs(), strict=True):
        if not np.array_equal(held.cpu().numpy(), expected):
            raise ExportError(
                f"layer {name!r}: its {what} values are not those that seed={layer.seed} and key={layer.key!r} give, "
                "so a device could not rebuild them; give pairs of your own with set_pairs_"
            )


def roles(layer: Layer) -> tuple[str, ...]:
    """Which constants the plain form of a layer reads."""
    if layer.copies == 0:
        return ()
    gathers = layer.copies > 1 and layer.nlf != "legendre"
    return _CONSTANTS[layer.nlf] + (("source",) if gathers else ())
