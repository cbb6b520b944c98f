"""This process's place among the others, its device and its number format, through Hugging Face Accelerate."""

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import Tensor, nn

from groupnl.training.config import Precision, TrainConfig

_PLAIN_DATA_PARALLEL = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
_MIXED_PRECISION: dict[Precision, str] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def create_accelerator(config: TrainConfig) -> Accelerator:
    """Find the device and the other processes (from the variables that torchrun and ``accelerate launch`` set).

    ``ACCELERATE_USE_CPU=true`` keeps the run on the CPU where there is a GPU.

    Raises:
        ValueError: The batch cannot be shared evenly, the device cannot do ``precision``, or the processes that were
            launched cannot be joined by plain data parallelism.
    """
    # Accelerate keeps one precision per process for ever and refuses a second run with another; device and process
    # group stay.
    AcceleratorState._reset_state()
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        # Without a GPU, Accelerate joins the processes that torchrun started only when it is told to use the CPU.
        cpu = launched > 1 and not torch.accelerator.is_available()
        accelerator = Accelerator(mixed_precision=_MIXED_PRECISION[config.precision], cpu=cpu)
        reason = "Accelerate does not mix precisions here"
    except ValueError as error:
        if config.precision == "fp32":
            raise
        accelerator, reason = None, str(error)
    # Asked for fp16 on a CPU, Accelerate goes on in float32 without a word.
    if accelerator is None or (config.precision != "fp32" and not accelerator.native_amp):
        raise ValueError(
            f"precision={config.precision!r} does not work on this device ({reason}): use 'fp32', or 'bf16' on a CPU"
        )
    if accelerator.distributed_type not in _PLAIN_DATA_PARALLEL:
        raise ValueError(
            f"launched for {accelerator.distributed_type}: expected one process or plain data parallelism; "
            "start with torchrun, or without DeepSpeed and FSDP in Accelerate's settings"
        )
    processes = accelerator.num_processes
    if processes != launched:
        raise ValueError(
            f"WORLD_SIZE says {launched} processes, but Accelerate was set up for {processes}: call train() before "
            "anything else that uses Accelerate, set ACCELERATE_USE_CPU=true to train on CPUs, or unset WORLD_SIZE"
        )
    check_shares(config, processes)
    return accelerator


def check_shares(config: TrainConfig, processes: int) -> None:
    """Check that each of ``processes`` processes can have an equal share of every batch.

    Raises:
        ValueError: It cannot.
    """
    share, rest = divmod(config.batch_size, processes)
    if rest:
        raise ValueError(f"batch_size={config.batch_size}: expected a multiple of the {processes} processes")
    if (config.mixup_alpha > 0 or config.cutmix_alpha > 0) and share % 2:
        raise ValueError(
            f"batch_size={config.batch_size} over {processes} processes is {share} images each: mixup and CutMix mix "
            "pairs within a process, so an even number is expected"
        )


def share_buffers(model: nn.Module, accelerator: Accelerator) -> None:
    """Give all processes the main one's buffers (batch norm statistics): training leaves them different in each."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)


def summed(values: Tensor, accelerator: Accelerator) -> Tensor:
    """The sum of a tensor over the processes, in a new tensor."""
    total = values.clone()
    if accelerator.num_processes > 1:
        torch.distributed.all_reduce(total)
    return total


def largest(values: Tensor, accelerator: Accelerator) -> Tensor:
    """The elementwise maximum of a tensor over the processes, in a new tensor."""
    total = values.clone()
    if accelerator.num_processes > 1:
        torch.distributed.all_reduce(total, op=torch.distributed.ReduceOp.MAX)
    return total
