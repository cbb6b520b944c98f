"""One data-parallel worker of ``benchmarks.traffic``: started by torchrun, told what to do by the benchmark.

The first worker takes orders, one JSON object a line, from a Unix socket, which exists outside all network namespaces;
the others hear of them over the network. It answers each order with one line.
"""

import json
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psutil
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import groupnl
from benchmarks.link_check import Ring
from benchmarks.replay import Compute, Replay, measure, optimizer_of

CLASSES, SIDE = 10, 32
ALL_REDUCED = 16 * 2**20  # bytes, of which it is measured what is sent
TRANSFERS, ROUND_TRIPS = 3, 50


def make_net(name: str) -> nn.Module:
    """The net that all workers train, with the same weights in each."""
    torch.manual_seed(0)
    return groupnl.create_model(name, num_classes=CLASSES, cifar_stem=True).train()


def make_batch(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise and classes of noise: (count, 3, 32, 32) and (count,)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, SIDE, SIDE, generator=generator), torch.randint(
        0, CLASSES, (count,), generator=generator
    )


class Worker:
    """Follows orders together with the others; every answer is the same in all.

    Args:
        interface: Whose counters tell what went over the wire.
    """

    def __init__(self, interface: str) -> None:
        self._rank, self._workers = distributed.get_rank(), distributed.get_world_size()
        self._interface = interface
        self._counters = Path("/sys/class/net") / interface / "statistics"
        self._step: Callable[[], None] = lambda: None

    def compute(self, nets: list[str], batch: int, rounds: int) -> dict[str, Any]:
        """Time the steps of nets, this process alone."""
        found = measure({name: make_net(name) for name in nets}, *make_batch(batch, 0), rounds=rounds)
        return {name: compute.to_dict() for name, compute in found.items()}

    def link(self, size_bytes: int) -> dict[str, Any]:
        """What the network does without a net to train: a transfer, a byte, an all-reduce.

        Returns:
            The slowest link's speed while all are in use; the time of a byte from a worker to the next; bytes that a
            worker sends for each byte of an all-reduce, mean over the workers.
        """
        ring = Ring(self._interface)
        transfers = [self._largest(ring.transfer_seconds(size_bytes)) for _ in range(TRANSFERS + 1)]
        seconds = statistics.median(transfers[1:])  # in the first one the connections find their speed
        trip = self._first(statistics.median(ring.round_trip_seconds() for _ in range(ROUND_TRIPS)))
        ring.close()
        reduced = torch.zeros(ALL_REDUCED // 4)
        distributed.all_reduce(reduced)
        before = self._sent()
        distributed.all_reduce(reduced)
        sent = self._mean(self._sent() - before)
        return {
            "bits_per_second": 8 * size_bytes / seconds,
            "latency_seconds": trip / self._workers,
            "all_reduce_sent": sent / ALL_REDUCED,
        }

    def prepare(
        self, net: str, batch: int, compute: dict[str, Any] | None, bucket_cap_mb: float | None
    ) -> dict[str, Any]:
        """Make a net and wrap it; one real step, and with ``compute`` replayed ones from then on."""
        model, (images, labels) = make_net(net), make_batch(batch, self._rank)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        if missing:
            raise RuntimeError(f"{net}: no finite gradient for {', '.join(missing)}")
        if compute is None:
            optimizer = optimizer_of(model)
            parallel = DistributedDataParallel(model, init_sync=False, bucket_cap_mb=bucket_cap_mb)

            def step() -> None:
                optimizer.zero_grad()
                nn.functional.cross_entropy(parallel(images), labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()

            self._step = step
        else:
            replay = Replay(model, Compute(**compute))
            replay.zero_grad()
            parallel = DistributedDataParallel(replay, init_sync=False, bucket_cap_mb=bucket_cap_mb)

            def step() -> None:
                replay.backward(parallel())
                replay.update()

            self._check_averages(replay, parallel)
            self._step = step
        for _ in range(3):  # DDP makes its buckets after the first and reports them after the second
            self._step()
        logged = parallel._get_ddp_logging_data()  # type: ignore[no-untyped-call]
        sizes = logged.get("rebuilt_bucket_sizes") or logged["bucket_sizes"]
        return {"buckets": [int(size) for size in sizes.split(",")]}

    def steps(self, warmup: int, count: int) -> dict[str, Any]:
        """Take steps. Seconds of each, bytes sent a step, and how many of the machine's cores were busy meanwhile."""
        for _ in range(warmup):
            self._step()
        distributed.barrier()
        before, idle, begin = self._sent(), _idle_seconds(), time.perf_counter()
        seconds = [self._timed(self._step) for _ in range(count)]
        wall, idle = time.perf_counter() - begin, _idle_seconds() - idle
        sent = self._sent() - before
        return {
            "step_seconds": [self._largest(value) for value in seconds],
            "sent_bytes": self._mean(sent) / count,
            "busy_cores": self._first((psutil.cpu_count() or 1) - idle / wall),
        }

    def _check_averages(self, replay: Replay, parallel: nn.Module) -> None:
        """That a replayed step leaves the mean of the workers' gradients, parameter by parameter (their sums)."""
        replay.backward(parallel())
        own = torch.stack([gradient.double().sum() for gradient in replay.gradients.values()])
        scale = torch.stack([gradient.double().abs().sum() for gradient in replay.gradients.values()])
        for sums in (own, scale):
            distributed.all_reduce(sums)
        gradients = {name: p.grad for name, p in replay.net.named_parameters() if p.grad is not None}
        averaged = torch.stack([gradients[name].double().sum() for name in replay.gradients])
        if not bool(((averaged - own / self._workers).abs() <= 1e-5 * scale / self._workers).all()):
            raise RuntimeError("DDP did not leave the mean of the workers' gradients")
        replay.update()

    def _timed(self, act: Callable[[], None]) -> float:
        begin = time.perf_counter()
        act()
        return time.perf_counter() - begin

    def _sent(self) -> int:
        return int((self._counters / "tx_bytes").read_text())

    def _largest(self, value: float) -> float:
        return self._over_all(value, distributed.ReduceOp.MAX)

    def _mean(self, value: float) -> float:
        return self._over_all(value, distributed.ReduceOp.SUM) / self._workers

    def _first(self, value: float) -> float:
        return self._over_all(value if self._rank == 0 else 0.0, distributed.ReduceOp.SUM)

    def _over_all(self, value: float, operation: Any) -> float:
        tensor = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(tensor, operation)
        return float(tensor)


def _idle_seconds() -> float:
    """CPU seconds in which the machine's cores had nothing to do, since it was started."""
    times = psutil.cpu_times()
    return float(times.idle + getattr(times, "iowait", 0.0))


def orders(path: str) -> tuple[TextIO, TextIO] | None:
    """Where orders come from and answers go, in the first worker."""
    if distributed.get_rank() != 0:
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection.makefile("r"), connection.makefile("w")


def main() -> None:
    """Follow orders until there are no more."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    worker, line = Worker(sys.argv[2]), orders(sys.argv[1])
    while True:
        heard = [line[0].readline() if line else ""]
        distributed.broadcast_object_list(heard)
        if not heard[0]:
            break
        order = json.loads(heard[0])
        answer = getattr(worker, order.pop("do"))(**order)
        if line:
            line[1].write(json.dumps(answer) + "\n")
            line[1].flush()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
