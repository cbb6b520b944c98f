"""How long a data-parallel training step takes on a given network: computing, sending, and how far they overlap."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from groupnl.analysis.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """The parts of one step, in seconds, one after another."""

    broadcast_seconds: float  # of buffers, before the forward pass
    compute_seconds: float  # forward and backward
    waiting_seconds: float  # for gradients that are still on their way when the backward pass has ended

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.broadcast_seconds + self.compute_seconds + self.waiting_seconds

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with the whole."""
        return {"seconds": self.seconds, **asdict(self)}


def step_time(
    traffic: Traffic,
    *,
    workers: int,
    bits_per_second: float,
    latency_seconds: float,
    forward_seconds: float,
    backward_seconds: float,
) -> StepTime:
    """Predict the time of one step of ``DistributedDataParallel`` over N workers, each with a link of its own.

    A bucket is sent when its last gradient is there and the one before has been sent, while the backward pass goes on
    (Li et al., PyTorch Distributed, VLDB 2020). A ring all-reduce of b bytes takes ``2 (N - 1) / N * 8 b / bandwidth +
    2 (N - 1) * latency`` (Patarasuk & Yuan, JPDC 69, 2009). Buffers go through a binomial tree, as in gloo, before the
    forward pass: ``ceil(log2 N) * (8 b / bandwidth + latency)`` a message.

    Left out: the processor's time for copying and adding, and all but one message on a link at a time.

    Args:
        traffic: What a worker has to send.
        workers: N.
        bits_per_second: Of each worker's link, in each direction.
        latency_seconds: From one worker to the next.
        forward_seconds: Of one worker alone, with all else that cannot overlap with sending, such as the optimiser's
            step.
        backward_seconds: Of one worker alone.

    Raises:
        ValueError: An argument is out of its range.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers={workers!r}: expected an integer of at least 1")
    if not (bits_per_second > 0 and math.isfinite(bits_per_second)):
        raise ValueError(f"bits_per_second={bits_per_second}: expected a positive number, such as 1e9 for 1 Gbit/s")
    for name, value in (
        ("latency_seconds", latency_seconds),
        ("forward_seconds", forward_seconds),
        ("backward_seconds", backward_seconds),
    ):
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name}={value}: expected a number of at least 0")
    rounds, per_byte = 2 * (workers - 1), 8 / bits_per_second
    sent = 0.0  # when the link is free again, after the beginning of the backward pass
    for bucket in traffic.buckets:
        begin = max(sent, bucket.ready * backward_seconds)
        sent = begin + rounds * (bucket.size_bytes / workers * per_byte + latency_seconds)
    levels = math.ceil(math.log2(workers))
    return StepTime(
        broadcast_seconds=levels * sum(size * per_byte + latency_seconds for size in traffic.broadcast_bytes),
        compute_seconds=forward_seconds + backward_seconds,
        waiting_seconds=max(0.0, sent - backward_seconds),
    )
