"""Pictures that are decoded when they are asked for: for sets that do not fit in memory."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from groupnl.data.decode import decode_pictures, fits_memory
from groupnl_device.preprocessing import Preprocessing


def open_pictures(paths: Sequence[Path], fit: Preprocessing, *, in_memory: bool | None) -> Tensor:
    """Pictures as one tensor, decoded now or when asked for.

    Args:
        paths: At least one file.
        fit: How each is resized and cropped.
        in_memory: True decodes all now, False none; None decodes them now where they take at most half of the memory
            that is available.

    Returns:
        uint8, shape (N, 3, H, W): a plain tensor, or :class:`LazyImages`.

    Raises:
        ValueError: A picture decoded now is damaged (it is named), or memory would not suffice.
    """
    now = fits_memory(len(paths), *fit.input_size[1:]) if in_memory is None else in_memory
    return decode_pictures(paths, fit) if now else LazyImages(paths, fit)


class LazyImages(Tensor):
    """A uint8 tensor of shape (N, 3, H, W) on the CPU that holds paths instead of values.

    ``images[start:stop]``, or any other index, decodes what it names and gives a plain tensor. Any other operation
    decodes all N pictures first, and is refused where they would take more than half of the memory available.

    Attributes:
        paths: The N picture files.
        fit: How each is resized and cropped to (H, W).
    """

    paths: tuple[Path, ...]
    fit: Preprocessing

    @staticmethod
    def __new__(cls: type[Self], paths: Sequence[Path], fit: Preprocessing) -> Self:
        """Args: at least one path; nothing is read yet."""
        lazy: Self = torch.Tensor._make_wrapper_subclass(cls, (len(paths), *fit.input_size), dtype=torch.uint8)
        lazy.paths, lazy.fit = tuple(paths), fit
        return lazy

    def __getitem__(self, key: Any) -> Tensor:
        """Decode the pictures at ``key``, which is any index that a tensor of shape (N, 3, H, W) takes.

        Raises:
            ValueError: A file is no readable picture (it is named).
            IndexError: There is no such picture.
        """
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        if first is None or first is Ellipsis:
            return self.whole()[key]
        chosen = torch.arange(len(self))[first.cpu() if isinstance(first, Tensor) else first]
        paths = [self.paths[index] for index in chosen.flatten().tolist()]
        decoded = decode_pictures(paths, self.fit).reshape(*chosen.shape, *self.fit.input_size)
        return decoded[(slice(None),) * chosen.ndim + tuple(rest)]

    def whole(self) -> Tensor:
        """Decode all pictures to a plain tensor.

        Raises:
            ValueError: They would take more than half of the memory that is available.
        """
        return decode_pictures(self.paths, self.fit)

    def numpy(self, *, force: bool = False) -> Any:
        """All pictures as an array."""
        return self.whole().numpy(force=force)

    def __repr__(self) -> str:  # type: ignore[override]  # torch's has an argument
        return f"LazyImages({len(self)} pictures of {self.shape[2]} x {self.shape[3]} pixels)"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub has a static method here
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do any other operation on the decoded pictures."""
        args, kwargs = tree_map_only(LazyImages, LazyImages.whole, (args, kwargs or {}))
        return func(*args, **kwargs)
