"""The work of one evaluation over the processes of ``torch.distributed``.

Whole batches go to the processes in turn, so each batch is the same as with one process, and so is every figure.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process's place among those that share the work."""

    rank: int = 0
    count: int = 1

    @classmethod
    def find(cls, distributed_: bool) -> "Processes":
        """All processes of the default group, or this one alone.

        Raises:
            ValueError: They are asked for and there is no process group.
        """
        if not distributed_:
            return cls()
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ValueError("distributed=True: expected torch.distributed.init_process_group() to be called before")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def has(self, number: int) -> bool:
        """Whether a batch, counted from 0, is this process's."""
        return number % self.count == self.rank

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes, on the CPU."""
        if self.count > 1:
            where = _collective_device()
            values = values.to(where)
            distributed.all_reduce(values)
        return values.cpu()

    def smallest(self, value: int) -> int:
        """The smallest of the processes' integers."""
        if self.count == 1:
            return value
        found = torch.tensor([value], device=_collective_device())
        distributed.all_reduce(found, op=distributed.ReduceOp.MIN)
        return int(found)

    def from_first(self, value: T) -> T:
        """What the first process has; others give anything."""
        if self.count == 1:
            return value
        carried = [value]
        distributed.broadcast_object_list(carried, src=0, device=_collective_device())
        return carried[0]

    def check_same(self, what: str, value: str) -> None:
        """Refuse to share the work where the processes do not have the same.

        Raises:
            ValueError: This process's value is not the first one's.
        """
        if self.from_first(value) != value:
            raise ValueError(
                f"process {self.rank} has another {what} than process 0: load the same in all, such as a checkpoint"
            )


def _collective_device() -> torch.device:
    """Where the process group moves tensors."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if distributed.get_backend() == "nccl"
        else torch.device("cpu")
    )
