"""Pictures for calibration, as ONNX Runtime's quantiser reads them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader

from groupnl.export.errors import ExportError
from groupnl.export.graph import INPUT
from groupnl_device.preprocessing import Preprocessing

_BATCH = 32  # pictures: every map of the net is held for a batch


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Normalised batches of pictures.

    Args:
        images: uint8, shape (N, 3, H, W).
        preprocessing: How they become the net's input.

    Raises:
        ExportError: There are no pictures, or they are of another kind.
    """

    def __init__(self, images: NDArray[np.uint8] | None, preprocessing: Preprocessing) -> None:
        size = preprocessing.input_size
        if images is None or images.dtype != np.uint8 or images.shape[1:] != size or len(images) == 0:
            given = "none" if images is None else f"{images.dtype} of shape {images.shape}"
            raise ExportError(
                f"calibration pictures: {given}; int8 takes its ranges from pictures such as the net was trained on, "
                f"a few hundred, uint8 of shape (N, {', '.join(map(str, size))})"
            )
        self._images, self._preprocessing = images, preprocessing
        self._batches: Iterator[dict[str, NDArray[np.float32]]] = iter(())
        self.rewind()

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch by the input's name; None at the end."""
        return next(self._batches, None)

    def rewind(self) -> None:
        """Begin anew."""
        starts = range(0, len(self._images), _BATCH)
        self._batches = (
            {INPUT: self._preprocessing.normalize(self._images[start : start + _BATCH])} for start in starts
        )
