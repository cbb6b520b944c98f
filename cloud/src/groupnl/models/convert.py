"""convert_(): exchange convolutions of any net for GroupNL layers, in place, and say what was done and what was not."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from groupnl.analysis import multiply_adds
from groupnl.models.architecture import Conversion, note_conversion
from groupnl.models.edit import Edit, Policy
from groupnl.models.named_policies import POLICIES
from groupnl.models.warm_start import warm_start
from groupnl.nn import GhostConv2d, GroupNLConv2d, SeededLayer, get_backend

Selector = Callable[[str, nn.Module], bool]
Init = Literal["keep", "random", "pretrained"]


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """One exchanged convolution."""

    name: str
    before: str
    after: str
    params_before: int
    params_after: int


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One convolution that stays."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What a conversion did. ``print(report)`` shows it as a table."""

    policy: str
    replaced: tuple[Replaced, ...]
    skipped: tuple[Skipped, ...]
    params_before: int  # trainable
    params_after: int
    macs_before: int | None  # for one image of ``input_size``; None where the size is unknown
    macs_after: int | None
    input_size: tuple[int, int, int] | None
    not_counted: str = ""  # why the multiply-adds are None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.policy}: replaced {len(self.replaced)} convolutions, left {len(self.skipped)}"]
        width = max((len(row.name) for row in self.replaced), default=0)
        lines += [
            f"  {row.name:<{width}}  {row.before} -> {row.after}, {_change(row.params_before, row.params_after)}"
            for row in self.replaced
        ]
        reasons = Counter(row.reason for row in self.skipped)
        lines += [f"  left {count} x {reason}" for reason, count in reasons.most_common()]
        lines.append(f"  parameters     {_change(self.params_before, self.params_after)}")
        if self.macs_before is None or self.macs_after is None:
            lines.append(f"  multiply-adds  not counted: {self.not_counted}")
        else:
            lines.append(f"  multiply-adds  {_change(self.macs_before, self.macs_after)} at {self.input_size}")
        return "\n".join(lines)


def convert_(
    model: nn.Module,
    policy: str | Policy = "standard",
    *,
    select: Selector | None = None,
    input_size: Sequence[int] | None = None,
    init: Init = "keep",
    calibration: Tensor | Iterable[Tensor] | None = None,
    **options: Any,
) -> ConversionReport:
    """Exchange convolutions for GroupNL layers, in place.

    Each layer keeps its convolution's dtype, device, mode, bias and padding; its key is its qualified name. Where an
    error is raised, the net is as it was.

    What the new layers know at the start:

    - ``init="keep"``: their seed filters are the convolution's first ones. Keeps the scale of a net that is trained
      from its first weights; of a trained net it keeps half of what the layers knew, and the norms fit no longer.
    - ``init="random"``: torch's own initialisation, drawn anew from its global generator (``torch.manual_seed``).
    - ``init="pretrained"``: what the convolutions knew, as nearly as the layers can; the batch norms behind the layers,
      and the order of channels inside blocks, change with them. GroupNL layers only. With ``calibration`` far better
      than without. See ``docs/conversion.md``.

    Args:
        model: Any net.
        policy: ``standard``, ``sparse_bottleneck``, ``sparse_depthwise``, ``sparse_basic``, ``pointwise``, ``lean``,
            ``ghost``, ``sinefm``, ``mono``, or an object with ``plan(model) -> list[Edit]``.
        select: ``(qualified name, module) -> bool``: narrows the policy to the convolutions for which it is true.
            Leave out 3x3 convolutions whose outputs are predictions (heads of SSD, RetinaNet): no policy can tell them.
        input_size: (C, H, W), to count multiply-adds; None: what the net's timm configuration says, if anything. A net
            that takes something else than a batch of images, as detection nets do, is converted without a count.
        init: ``keep``, ``random`` or ``pretrained``, see above.
        calibration: For ``pretrained``: normalised images (N, C, H, W), or batches of them, about 128 in random order,
            without labels; None: from the weights alone.
        **options: Of a named policy: ``reduction``, ``nl_groups``, ``nlf``, ``normalize``, ``seed``, ...

    Returns:
        What was replaced, what was not and why, and the cost before and after.

    Raises:
        ValueError: Unknown policy, option or ``init``, options with a policy object, a net that is converted already,
            or one in which nothing can be replaced; ``init="pretrained"`` for layers that are no GroupNL layers, or
            ``calibration`` that holds no images or goes with another ``init``.
    """
    if init not in get_args(Init):
        raise ValueError(f"init={init!r}: expected one of {', '.join(get_args(Init))}")
    if calibration is not None and init != "pretrained":
        raise ValueError(f"calibration with init={init!r}: images are used by init='pretrained' only")
    get_backend()  # what the environment asks for is refused here, not as the reason why no convolution can be replaced
    named, planner = _resolve(policy, options)
    edits = plan(model, planner, select)
    size = _input_size(model, input_size)
    params_before = _trainable(model)
    macs_before, not_counted = _count(model, size)
    changed: dict[str, Tensor] = {}
    if init == "pretrained":
        changed = warm_start(model, edits, calibration)
    elif init == "random":
        _draw_weights_anew(edits)
    replaced = apply_(model, edits)
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, values in changed.items():
            state[name].copy_(values)
    note_conversion(model, Conversion(policy=named, options=options) if named and select is None else None)
    return ConversionReport(
        policy=named or type(policy).__name__,
        replaced=replaced,
        skipped=tuple(Skipped(name=edit.target, reason=edit.reason) for edit in edits if not edit.modules),
        params_before=params_before,
        params_after=_trainable(model),
        macs_before=macs_before,
        macs_after=None if size is None or macs_before is None else multiply_adds(model, size),
        input_size=size,
        not_counted=not_counted,
    )


def plan(model: nn.Module, policy: Policy, select: Selector | None = None) -> list[Edit]:
    """What :func:`convert_` would do, without doing it. Raises as it does."""
    ours = (SeededLayer, GhostConv2d)
    converted = [(name, type(module).__name__) for name, module in model.named_modules() if isinstance(module, ours)]
    if converted:
        name, kind = converted[0]
        raise ValueError(
            f"the net is converted already: it has {len(converted)} layers like {name!r}, a {kind}; convert a fresh net"
        )
    modules = dict(model.named_modules(remove_duplicate=False))
    edits = policy.plan(model)
    if select is not None:
        edits = [
            edit
            if not edit.modules or select(edit.target, modules[edit.target])
            else Edit(target=edit.target, reason="not selected")
            for edit in edits
        ]
    for edit in edits:
        unknown = [name for name in edit.modules if name not in modules or name == ""]
        if unknown:
            raise ValueError(f"the policy's edit of {edit.target!r} names {unknown[0]!r}, no module inside the net")
    if not any(edit.modules for edit in edits):
        reasons = Counter(edit.reason for edit in edits).most_common()
        why = "; ".join(f"{count} x {reason}" for reason, count in reasons) or "it has no convolution"
        raise ValueError(f"nothing in {type(model).__name__} can be replaced by this policy: {why}")
    return edits


def apply_(model: nn.Module, edits: Sequence[Edit]) -> tuple[Replaced, ...]:
    """Put the edits' modules into the net."""
    replaced = []
    for edit in edits:
        if not edit.modules:
            continue
        before = {name: model.get_submodule(name) for name in edit.modules}
        for name, module in edit.modules.items():
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module)
        replaced.append(
            Replaced(
                name=edit.target,
                before=_describe(before.get(edit.target)),
                after=_describe(edit.modules.get(edit.target)),
                params_before=_trainable(nn.ModuleList(before.values())),
                params_after=_trainable(nn.ModuleList(edit.modules.values())),
            )
        )
    return tuple(replaced)


def _draw_weights_anew(edits: Sequence[Edit]) -> None:
    parts = [part for edit in edits for new in edit.modules.values() for part in new.modules()]
    for module in dict.fromkeys(parts):  # each once: a shared convolution has several names
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()


def _resolve(policy: str | Policy, options: dict[str, Any]) -> tuple[str | None, Policy]:
    if not isinstance(policy, str):
        if options:
            raise ValueError(f"options {sorted(options)} with a policy object: set them on the object")
        return None, policy
    if policy not in POLICIES:
        raise ValueError(f"policy={policy!r}: expected one of {', '.join(POLICIES)}, or an object with plan(model)")
    allowed = inspect.signature(POLICIES[policy]).parameters
    for name in options:
        if name not in allowed:
            raise ValueError(f"option {name!r}: policy {policy!r} takes {', '.join(allowed)}")
    return policy, POLICIES[policy](**options)


def _input_size(model: nn.Module, given: Sequence[int] | None) -> tuple[int, int, int] | None:
    config = getattr(model, "pretrained_cfg", None)
    size = given if given is not None else dict(config or {}).get("input_size")
    if size is None:
        return None
    sizes = tuple(size)
    if len(sizes) != 3 or not all(isinstance(length, int) and length > 0 for length in sizes):
        raise ValueError(f"input_size={size!r}: expected (channels, height, width), positive integers")
    channels, height, width = sizes
    return channels, height, width


def _count(model: nn.Module, size: tuple[int, int, int] | None) -> tuple[int | None, str]:
    """Multiply-adds for one image, or None and why they cannot be counted: no reason to refuse the conversion."""
    if size is None:
        return None, "give input_size=(C, H, W)"
    try:
        return multiply_adds(model, size), ""
    except Exception as error:  # the net's own code, on an input that it may not be made for
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        return None, f"{type(model).__name__} does not run on a batch of images of {size} without values ({why})"


def _trainable(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _describe(module: nn.Module | None) -> str:
    if isinstance(module, GroupNLConv2d):
        sparse = f", {module.seed_conv.groups} groups" if module.sparse else ""
        generated = module.out_channels - module.seed_channels
        return f"GroupNL({module.in_channels}, {module.seed_channels} + {generated}{sparse})"
    if isinstance(module, nn.Conv2d):
        groups = f", {module.groups} groups" if module.groups > 1 else ""
        return f"Conv({module.in_channels}, {module.out_channels}{groups})"
    if isinstance(module, nn.Sequential):
        return ", ".join(_describe(part) for part in module)
    return type(module).__name__


def _change(before: int, after: int) -> str:
    relative = f" ({(after - before) / before:+.1%})" if before else ""  # frozen layers have nothing to train
    return f"{before:,} -> {after:,}{relative}"
