"""The compute of a training step, measured once on a free core and replayed as waiting, with gradients on time.

On one machine the workers of a data-parallel run share its cores, which machines of their own would not do. A replayed
step keeps what matters for the network: each gradient appears when it appeared in the measured step, so that
DistributedDataParallel sends its buckets at the same times, while the cores are left to the network.
"""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A training step of one worker alone."""

    forward_seconds: float  # with the loss
    backward_seconds: float
    update_seconds: float  # the optimiser's step
    ready: dict[str, float]  # parameter: share of the backward pass after which its gradient is there, in that order

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    """The paper's and everybody's: SGD with momentum. The rate is small: these nets learn nothing."""
    return torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)


def measure(nets: Mapping[str, nn.Module], images: Tensor, labels: Tensor, *, rounds: int) -> dict[str, Compute]:
    """Medians of real training steps, the nets taking turns; the first round is not counted.

    Args:
        nets: They are trained.
        images: Shape (N, 3, H, W).
        labels: Shape (N,).
        rounds: How many are counted.
    """
    optimizers = {name: optimizer_of(net) for name, net in nets.items()}
    found: dict[str, list[Compute]] = {name: [] for name in nets}
    for _ in range(rounds + 1):
        for name, net in nets.items():
            found[name].append(_step(net, optimizers[name], images, labels))
    return {name: _median(steps[1:]) for name, steps in found.items()}


def _step(net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> Compute:
    optimizer.zero_grad()
    noted: dict[str, float] = {}

    def hook(name: str) -> Any:
        def note(_: Tensor) -> None:
            noted[name] = time.perf_counter()

        return note

    handles = [
        parameter.register_post_accumulate_grad_hook(hook(name))  # type: ignore[no-untyped-call]
        for name, parameter in net.named_parameters()
    ]
    begin = time.perf_counter()
    loss = nn.functional.cross_entropy(net(images), labels)
    forward = time.perf_counter()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    backward = time.perf_counter()
    optimizer.step()
    update = time.perf_counter()
    for handle in handles:
        handle.remove()
    return Compute(
        forward_seconds=forward - begin,
        backward_seconds=backward - forward,
        update_seconds=update - backward,
        ready={name: (at - forward) / (backward - forward) for name, at in noted.items()},
    )


def _median(steps: list[Compute]) -> Compute:
    ready = {name: statistics.median(step.ready[name] for step in steps) for name in steps[0].ready}
    return Compute(
        forward_seconds=statistics.median(step.forward_seconds for step in steps),
        backward_seconds=statistics.median(step.backward_seconds for step in steps),
        update_seconds=statistics.median(step.update_seconds for step in steps),
        ready=dict(sorted(ready.items(), key=lambda item: item[1])),
    )


class Replay(nn.Module):
    """Stands for a net in training: the same parameters and buffers, waiting in place of arithmetic.

    Args:
        net: Each of its parameters has a gradient, which every step gives it again.
        compute: What to wait for.
    """

    def __init__(self, net: nn.Module, compute: Compute) -> None:
        super().__init__()
        self.net = net
        self._compute = compute
        self._parameters_by_name = dict(net.named_parameters())
        self.gradients = {
            name: parameter.grad.clone()
            for name, parameter in self._parameters_by_name.items()
            if parameter.grad is not None
        }
        self._begin = 0.0

    def forward(self) -> Tensor:
        """A number on which every parameter has a part, those whose gradients come first last."""
        deadline = time.perf_counter() + self._compute.forward_seconds
        result = torch.zeros((), requires_grad=True)
        for name in reversed(self._compute.ready):
            result = _Ready.apply(result, self._parameters_by_name[name], self, name)
        _wait_until(deadline)
        return result

    def backward(self, result: Tensor) -> None:
        """The backward pass of what ``forward`` gave."""
        self._begin = time.perf_counter()
        result.backward()  # type: ignore[no-untyped-call]
        _wait_until(self._begin + self._compute.backward_seconds)

    def update(self) -> None:
        """The optimiser's step, and no gradients after it."""
        deadline = time.perf_counter() + self._compute.update_seconds
        self.zero_grad()
        _wait_until(deadline)

    def gradient(self, name: str) -> Tensor:
        """A parameter's gradient, as soon as it was ready in the measured step."""
        _wait_until(self._begin + self._compute.ready[name] * self._compute.backward_seconds)
        return self.gradients[name]


class _Ready(torch.autograd.Function):
    """Passes a number on; backward, waits and gives one parameter its gradient."""

    @staticmethod
    def forward(ctx: Any, carried: Tensor, _parameter: Tensor, replay: Replay, name: str) -> Tensor:
        ctx.replay, ctx.name = replay, name
        return carried.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return upstream, ctx.replay.gradient(ctx.name), None, None


def _wait_until(deadline: float) -> None:
    """Wait for a moment of ``time.perf_counter``; what was late before is not waited for again."""
    time.sleep(max(0.0, deadline - time.perf_counter()))
