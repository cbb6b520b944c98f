"""The published nets as rows (base net, policy), registered with timm."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
from timm.models import register_model
from timm.models.resnet import ResNet
from torch import nn

from groupnl.models import resnet8 as _resnet8  # noqa: F401  # registers resnet8
from groupnl.models.architecture import Architecture, note_architecture
from groupnl.models.convert import apply_, plan
from groupnl.models.named_policies import POLICIES


@dataclass(frozen=True, kw_only=True)
class ZooRow:
    """One net of the zoo: a timm net and the policy that converts it."""

    name: str
    base: str  # timm name
    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)  # of the policy; each can be overridden


ZOO: dict[str, ZooRow] = {
    row.name: row
    for row in (
        ZooRow(name="groupnl_resnet8", base="resnet8", policy="standard"),
        ZooRow(name="groupnl_resnet18", base="resnet18", policy="standard"),
        ZooRow(name="groupnl_resnet34", base="resnet34", policy="standard"),
        ZooRow(name="groupnl_resnet50", base="resnet50", policy="sparse_bottleneck"),
        ZooRow(name="groupnl_resnet101", base="resnet101", policy="sparse_bottleneck"),
        ZooRow(name="groupnl_std_r2_resnet50", base="resnet50", policy="standard", options={"reduction": 2}),
        ZooRow(name="groupnl_std_r2_resnet101", base="resnet101", policy="standard", options={"reduction": 2}),
        ZooRow(name="groupnl_std_r4_resnet50", base="resnet50", policy="standard", options={"reduction": 4}),
        ZooRow(name="groupnl_std_r4_resnet101", base="resnet101", policy="standard", options={"reduction": 4}),
        ZooRow(name="groupnl_mobilenetv2_100", base="mobilenetv2_100", policy="sparse_depthwise"),
        ZooRow(name="groupnl_mobilenetv3_large_100", base="mobilenetv3_large_100", policy="sparse_depthwise"),
        ZooRow(name="groupnl_efficientnet_lite0", base="efficientnet_lite0", policy="sparse_depthwise"),
        ZooRow(name="groupnl_efficientnetv2_s", base="efficientnetv2_s", policy="sparse_depthwise"),
        ZooRow(name="groupnl_efficientnet_es", base="efficientnet_es", policy="sparse_depthwise"),
        *(
            ZooRow(name=f"{policy}_{base}", base=base, policy=policy)
            for policy in ("ghost", "sinefm", "mono")
            for base in ("resnet8", "resnet18", "resnet34", "resnet50", "resnet101")
        ),
    )
}


def zoo_names() -> tuple[str, ...]:
    """Names of the zoo's nets, bases that timm does not have included."""
    return ("resnet8", *ZOO)


def create_model(name: str, **kwargs: Any) -> nn.Module:
    """Make a zoo net or any timm net.

    Args:
        name: Zoo or timm name.
        **kwargs: For ``timm.create_model`` (``num_classes``, ``in_chans``, ...); ``cifar_stem=True`` gives a ResNet
            the stem for 32x32 images (3x3, stride 1, no pooling); for a zoo net also the policy's options
            (``reduction``, ``seed``, ...).

    Returns:
        The net, which remembers how it was made: see :func:`groupnl.models.save_checkpoint`.

    Raises:
        ValueError: The name is unknown to timm and the zoo, or ``cifar_stem`` is set for a net that is no ResNet.
    """
    if not timm.is_model(name):
        raise ValueError(
            f"no net {name!r}: expected one of the zoo ({', '.join(zoo_names())}) or of timm.list_models()"
        )
    if name in ZOO:
        model: nn.Module = timm.create_model(name, **kwargs)
        return model
    return _create_base(name, **kwargs)


def _create_base(name: str, cifar_stem: bool = False, **kwargs: Any) -> nn.Module:
    model: nn.Module = timm.create_model(name, **kwargs)
    if cifar_stem:
        _give_cifar_stem_(model, name)
        kwargs["cifar_stem"] = True
    note_architecture(model, Architecture(name=name, arguments=kwargs))
    return model


def _give_cifar_stem_(model: nn.Module, name: str) -> None:
    """The stem of He et al. for CIFAR (arXiv 1512.03385, section 4.2): a 3x3 convolution of stride 1, no pooling."""
    stem: Any = getattr(model, "conv1", None)
    if not isinstance(model, ResNet) or not isinstance(stem, nn.Conv2d):
        raise ValueError(f"cifar_stem=True: {name!r} has no ResNet stem of one convolution; leave it out")
    conv = nn.Conv2d(stem.in_channels, stem.out_channels, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as timm's ResNet does
    config: Any = model.pretrained_cfg
    for attribute, value in (
        ("conv1", conv.to(stem.weight.device, stem.weight.dtype)),
        ("maxpool", nn.Identity()),
        ("pretrained_cfg", {**config, "input_size": (stem.in_channels, 32, 32)}),
    ):
        setattr(model, attribute, value)


def _register(row: ZooRow) -> None:
    def entrypoint(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        if pretrained:
            raise ValueError(
                f"pretrained=True: there are no published weights of {row.name}; train it or load a checkpoint"
            )
        for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):  # timm hands these to every net
            kwargs.pop(name, None)
        allowed = POLICIES[row.policy].__dataclass_fields__  # type: ignore[attr-defined]  # the policies are dataclasses
        options = {**row.options, **{name: kwargs[name] for name in kwargs if name in allowed}}
        model = _create_base(row.base, **{name: value for name, value in kwargs.items() if name not in allowed})
        apply_(model, plan(model, POLICIES[row.policy](**options)))
        note_architecture(model, Architecture(name=row.name, arguments=kwargs))
        return model

    entrypoint.__name__ = entrypoint.__qualname__ = row.name
    entrypoint.__doc__ = f"{row.base}, converted by the policy {row.policy!r}."
    setattr(sys.modules[__name__], row.name, register_model(entrypoint))


for _row in ZOO.values():
    _register(_row)
