"""Layers with fixed random constants: no parameters, no buffers, the same bits on every machine.

Data-parallel training would broadcast buffers and ``.half()`` would cast them; these constants follow from arguments
alone, so they are plain tensors that move with the layer, are never cast, and are drawn again where they have no
values.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_FINGERPRINT_BYTES = 16


class SeededLayer(nn.Module):
    """Keeps the constants of a layer and a fingerprint of them in the state dict.

    A subclass says what they are (:meth:`_draw_constants`), which of its tensors' device they follow (:meth:`_home`)
    and how it is configured (:meth:`configuration`); at the end of its ``__init__`` it calls
    :meth:`_attach_constants`.
    """

    seed: int
    key: str

    @abstractmethod
    def _draw_constants(self) -> dict[str, NDArray[Any]]:
        """Attribute name -> values, a pure function of the layer's arguments."""

    @abstractmethod
    def _home(self) -> Tensor:
        """A parameter whose device the constants follow."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """The arguments that the constants and their use follow from, for the fingerprint and for error messages."""

    def _attach_constants(self) -> None:
        self._constant_names = tuple(self._draw_constants())
        self._rebuild_constants(self._home().device)
        # weights assigned to a net made on meta bring a device; torch leaves the method untyped
        self.register_load_state_dict_post_hook(_place_constants)  # type: ignore[no-untyped-call]

    def _rebuild_constants(self, device: torch.device) -> None:
        for name, values in self._draw_constants().items():
            setattr(self, name, torch.from_numpy(values).to(device))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SeededLayer":
        # .to(), .cuda(), .half(), to_empty() all come through here. The constants follow the weights' device and
        # nothing else: fn itself may cast them or leave them uninitialised.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        _place_constants(self)
        return self

    def fingerprint(self) -> bytes:
        """16 bytes that differ when anything differs that the weights do not show: configuration or constants."""
        digest = hashlib.sha256(repr(sorted(self._fixed_configuration().items())).encode())
        held = [getattr(self, name) for name in self._constant_names]
        on_meta = any(tensor.is_meta for tensor in held)  # no values there: what the seed will give
        constants = self._draw_constants().values() if on_meta else (tensor.cpu().numpy() for tensor in held)
        for values in constants:
            digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.digest()[:_FINGERPRINT_BYTES]

    def _fixed_configuration(self) -> dict[str, Any]:
        # The seed, the key and the ranges show in the constants; two ways to the same constants are the same layer.
        drawn_from = {"seed", "key", "period_range", "shift_range", "exponent_range", "explicit"}
        return {name: value for name, value in self.configuration().items() if name not in drawn_from}

    def get_extra_state(self) -> Tensor:
        """The fingerprint as a uint8 tensor of shape (16,), for the state dict."""
        return torch.from_numpy(np.frombuffer(self.fingerprint(), dtype=np.uint8).copy())

    def set_extra_state(self, state: Any) -> None:
        """Compare a stored fingerprint with this layer's.

        Raises:
            ValueError: They differ.
        """
        if isinstance(state, Tensor) and state.is_meta:
            return  # shapes only: nothing to compare
        stored = bytes(state.detach().cpu().numpy().tobytes()) if isinstance(state, Tensor) else b""
        if stored != self.fingerprint():
            configuration = ", ".join(f"{name}={value!r}" for name, value in self.configuration().items())
            raise ValueError(
                f"layer {self.key!r}: the weights were made with other hyperparameters than this layer has "
                f"({configuration}); build the net with those of the weights, or load the checkpoint with "
                "groupnl.load()"
            )

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # Mismatches are collected like torch's own, so that load_state_dict reports every layer, with strict=False too.
        try:
            super()._load_from_state_dict(
                state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
            )
        except ValueError as error:
            error_msgs.append(str(error))


def _place_constants(layer: SeededLayer, *_: object) -> None:
    device = layer._home().device
    held = {name: getattr(layer, name) for name in layer._constant_names}
    if any(tensor.is_meta for tensor in held.values()) and device.type != "meta":
        layer._rebuild_constants(device)
        return
    for name, tensor in held.items():
        if tensor.device != device:
            setattr(layer, name, tensor.to(device))
