"""One pass of a dataset through a net: batched, without gradients, in evaluation mode, on the net's own device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from groupnl.data import ImageSet
from groupnl_device.preprocessing import Preprocessing

Net = Callable[[Tensor], Tensor]  # normalised images (N, 3, H, W) -> logits (N, K)


def logits(
    model: Net,
    data: ImageSet,
    *,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> Tensor:
    """The net's answers to the clean images.

    Args:
        model: As in :func:`groupnl.evaluation.evaluate`.
        data: N images of K classes.
        preprocessing: As in :func:`groupnl.evaluation.evaluate`.
        batch_size: Images at a time.
        device: As in :func:`groupnl.evaluation.evaluate`.

    Returns:
        float32 on the CPU, shape (N, K).

    Raises:
        ValueError: As in :func:`groupnl.evaluation.evaluate`.
    """
    with open_pass(model, data, preprocessing=preprocessing, batch_size=batch_size, device=device) as run:
        answers = [run.logits(run.images(batch), batch) for batch in run.batches()]
    return torch.cat([answer.to(device="cpu", dtype=torch.float32) for answer in answers])


def predictions(
    model: Net,
    data: ImageSet,
    *,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> Tensor:
    """The class that the net gives each clean image (top-1).

    Args and errors as in :func:`logits`.

    Returns:
        int64 on the CPU, shape (N,).
    """
    with open_pass(model, data, preprocessing=preprocessing, batch_size=batch_size, device=device) as run:
        return torch.cat([run.logits(run.images(batch), batch).argmax(1).cpu() for batch in run.batches()])


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A net, its data and how they meet; made by :func:`open_pass`, valid inside it."""

    model: Net
    data: ImageSet
    batch_size: int
    device: torch.device
    dtype: torch.dtype  # of the net's input
    mean: Tensor  # (3, 1, 1), float32
    std: Tensor  # (3, 1, 1), float32

    def batches(self) -> Iterator[range]:
        """Index ranges that cover the data."""
        for start in range(0, len(self.data), self.batch_size):
            yield range(start, min(start + self.batch_size, len(self.data)))

    def images(self, batch: range) -> Tensor:
        """The images of a batch, uint8, on the net's device."""
        return self.data.images[batch.start : batch.stop].to(self.device)

    def labels(self, batch: range) -> Tensor:
        """The labels of a batch, on the net's device."""
        return self.data.labels[batch.start : batch.stop].to(self.device)

    def logits(self, images: Tensor, batch: range) -> Tensor:
        """The net's checked answers, shape (n, K).

        Args:
            images: uint8, shape (n, 3, H, W): those of the batch, clean or corrupted.
            batch: Which images they are, for the error message.
        """
        answers = self.model(self._normalize(images))
        if not isinstance(answers, Tensor):
            raise ValueError(f"the net returned a {type(answers).__name__}: expected a tensor of logits (N, K)")
        expected = (len(images), len(self.data.class_names))
        if answers.shape != expected or not answers.is_floating_point():
            raise ValueError(
                f"the net returned {answers.dtype} of shape {tuple(answers.shape)}: expected floating-point logits of "
                f"shape {expected}, since {self.data.name} has {expected[1]} classes; was the net made with "
                f"num_classes={expected[1]}?"
            )
        broken = answers.isnan().any(1)
        if broken.any():
            first = batch.start + int(broken.nonzero()[0])
            raise ValueError(
                f"the net returned NaN for {int(broken.sum())} of the images {batch.start} to {batch.stop - 1} of "
                f"{self.data.name} (first: {first}), so there is no class to choose: its weights are broken, or its "
                f"numbers overflow in {self.dtype}"
            )
        return answers

    def _normalize(self, images: Tensor) -> Tensor:
        """The bits of ``Preprocessing.normalize``; by a tensor, since a GPU would multiply by a number's reciprocal."""
        top_level = torch.full((), 255.0, device=self.device)
        return images.to(torch.float32).div_(top_level).sub_(self.mean).div_(self.std).to(self.dtype)


@contextmanager
def open_pass(
    model: Net,
    data: ImageSet,
    *,
    preprocessing: Preprocessing,
    batch_size: int,
    device: torch.device | str | None,
) -> Iterator[Pass]:
    """Check that net, data and preprocessing fit, and hold the net in evaluation mode without gradients.

    Every submodule's training flag is put back at the end, whatever happens. Gradients are off by ``no_grad``:
    tensors that a net caches under ``inference_mode`` could not be trained with afterwards.

    Raises:
        ValueError: As in :func:`groupnl.evaluation.evaluate`.
    """
    if not callable(model):
        raise ValueError(f"model is a {type(model).__name__}: expected an nn.Module or a callable, images to logits")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r}: expected an integer of at least 1")
    if preprocessing.input_size != tuple(data.images.shape[1:]):
        raise ValueError(
            f"{data.name} has images of size {tuple(data.images.shape[1:])}, the net's preprocessing says "
            f"{preprocessing.input_size}: load the data with image_size={preprocessing.input_size[-1]}, or give the "
            "preprocessing that the net was trained with"
        )
    own_device, dtype = _home(model)
    where = torch.device(device) if device is not None else own_device or data.images.device
    if own_device is not None and not _is_same_device(where, own_device):
        raise ValueError(
            f"device={str(where)!r}, but the net is on {own_device}: move it first, model.to({str(where)!r})"
        )
    run = Pass(
        model=model,
        data=data,
        batch_size=batch_size,
        device=own_device or where,
        dtype=dtype,
        mean=torch.tensor(preprocessing.mean, device=own_device or where).reshape(-1, 1, 1),
        std=torch.tensor(preprocessing.std, device=own_device or where).reshape(-1, 1, 1),
    )
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    flags = [module.training for module in modules]
    try:
        if isinstance(model, nn.Module):
            model.eval()
        with torch.no_grad():
            yield run
    finally:
        for module, training in zip(modules, flags, strict=True):
            module.training = training


def _home(model: Net) -> tuple[torch.device | None, torch.dtype]:
    """Where a module's weights are and in which dtype; a plain callable, or a module without any, takes float32."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                return tensor.device, tensor.dtype
    return None, torch.float32


def _is_same_device(wanted: torch.device, actual: torch.device) -> bool:
    """``cuda`` without a number is any GPU."""
    return wanted.type == actual.type and (wanted.index is None or wanted.index == (actual.index or 0))
