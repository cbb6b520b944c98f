"""What data-parallel training sends in one step: gradients, bucket by bucket, and the buffers before them."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from groupnl.analysis.input_size import require_input_size

MIB = 2**20
BUCKET_CAP, FIRST_BUCKET_CAP = 25 * MIB, MIB  # of DistributedDataParallel; the small first one starts the link early


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Gradients that are all-reduced together."""

    size_bytes: int  # as sent
    parameters: int  # tensors in it
    ready: float  # share of the backward pass's multiply-adds after which its last gradient is there, in [0, 1]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What one worker has to share in each step. GroupNL's (period, shift) pairs are not among it."""

    buckets: tuple[Bucket, ...]  # gradients, averaged over the workers: in the order in which they are sent
    broadcast_bytes: tuple[int, ...]  # buffers, from the first worker to all: one message a dtype, before the forward

    @property
    def gradient_bytes(self) -> int:
        """All gradients, as sent."""
        return sum(bucket.size_bytes for bucket in self.buckets)

    @property
    def buffer_bytes(self) -> int:
        """All buffers."""
        return sum(self.broadcast_bytes)

    def sent_bytes(self, workers: int) -> float:
        """What a worker sends in a step, mean over the workers, without the headers of the network's protocols.

        A ring all-reduce of b bytes has each of N workers send 2 (N - 1) / N b: Patarasuk & Yuan, Bandwidth optimal
        all-reduce algorithms for clusters of workstations, JPDC 69, 2009. A broadcast has N - 1 receivers.

        Raises:
            ValueError: ``workers`` is less than 1.
        """
        if workers < 1:
            raise ValueError(f"workers={workers}: expected at least 1")
        return (workers - 1) / workers * (2 * self.gradient_bytes + self.buffer_bytes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with the totals."""
        return {"gradient_bytes": self.gradient_bytes, "buffer_bytes": self.buffer_bytes, **asdict(self)}


def traffic(
    model: nn.Module,
    input_size: Sequence[int],
    *,
    wire_dtype: torch.dtype | None = None,
    bucket_cap_mb: float | None = None,
    broadcast_buffers: bool = True,
) -> Traffic:
    """Find what ``torch.nn.parallel.DistributedDataParallel`` sends in a step, without a second process.

    A copy of the net runs forward and backward over shapes alone, and the order in which its gradients become ready is
    noted, as DDP notes it in its first step. From the second step on DDP fills a bucket with gradients in that order
    and closes it when it has reached its size, each dtype by itself. (The first step sends all in one piece.) Source:
    Li et al., PyTorch Distributed, VLDB 2020, section 3.2; the sizes are those that DDP itself reports.

    Args:
        model: Takes one tensor (N, C, H, W), gives one; left as it is. Every parameter with ``requires_grad`` has a
            gradient; one that the backward pass does not reach comes last.
        input_size: (C, H, W) of one image. The bytes do not depend on it; when a bucket is ready does.
        wire_dtype: What a communication hook such as ``bf16_compress_hook`` sends instead of the gradients' own dtype.
            The buckets' limits stay those of the gradients.
        bucket_cap_mb: Size at which a bucket is closed, MiB, as DDP's argument: None is 25, after a first one of 1; a
            number holds for all.
        broadcast_buffers: As DDP's argument: whether the first worker's buffers (batch norm's statistics) go to all
            before each forward pass.

    Raises:
        ValueError: ``input_size`` is not three positive integers, ``bucket_cap_mb`` is not positive, or ``wire_dtype``
            is no floating-point type.
    """
    size = require_input_size(input_size)
    if bucket_cap_mb is not None and not bucket_cap_mb > 0:
        raise ValueError(f"bucket_cap_mb={bucket_cap_mb}: expected a positive number of MiB, or None for DDP's own")
    if wire_dtype is not None and not wire_dtype.is_floating_point:
        raise ValueError(f"wire_dtype={wire_dtype}: expected a floating-point type such as torch.bfloat16, or None")
    caps = (FIRST_BUCKET_CAP, BUCKET_CAP) if bucket_cap_mb is None else (int(bucket_cap_mb * MIB),) * 2
    buffers: dict[torch.dtype, int] = {}
    if broadcast_buffers:
        for buffer in model.buffers():
            buffers[buffer.dtype] = buffers.get(buffer.dtype, 0) + buffer.numel() * buffer.element_size()
    return Traffic(
        buckets=_buckets(_gradients_as_ready(model, size), caps, wire_dtype),
        broadcast_bytes=tuple(buffers.values()),
    )


def _gradients_as_ready(model: nn.Module, size: tuple[int, int, int]) -> dict[nn.Parameter, float]:
    """Trainable parameters in the order of their gradients: the share of the backward pass that is done by then."""
    twin = copy.deepcopy(model).to("meta").train()
    trainable = [parameter for parameter in twin.parameters() if parameter.requires_grad]
    if not trainable:
        return {}
    found: dict[nn.Parameter, int] = {}
    counter = FlopCounterMode(display=False)

    def note(parameter: nn.Parameter) -> None:
        found[parameter] = counter.get_total_flops()

    for parameter in trainable:
        parameter.register_post_accumulate_grad_hook(note)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    output = twin(torch.empty(2, *size, device="meta", dtype=trainable[0].dtype))
    with counter:
        output.sum().backward()
    whole = counter.get_total_flops()
    shares = {parameter: done / whole if whole else 1.0 for parameter, done in found.items()}
    return shares | {parameter: 1.0 for parameter in reversed(trainable) if parameter not in found}


def _buckets(
    ready: Mapping[nn.Parameter, float], caps: tuple[int, int], wire_dtype: torch.dtype | None
) -> tuple[Bucket, ...]:
    """Fill buckets in order; one is closed once it has reached its cap, which is the first cap for a dtype's first."""
    closed: list[Bucket] = []
    filling: dict[torch.dtype, list[nn.Parameter]] = {}
    cap: dict[torch.dtype, int] = {}

    def close(dtype: torch.dtype) -> None:
        held = filling.pop(dtype)
        size = sum(parameter.numel() for parameter in held) * (wire_dtype or dtype).itemsize
        closed.append(Bucket(size_bytes=size, parameters=len(held), ready=ready[held[-1]]))

    for parameter in ready:
        dtype = parameter.dtype
        filling.setdefault(dtype, []).append(parameter)
        if sum(held.nbytes for held in filling[dtype]) >= cap.get(dtype, caps[0]):
            close(dtype)
            cap[dtype] = caps[1]
    for dtype in list(filling):
        close(dtype)
    return tuple(closed)
