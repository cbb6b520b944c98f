"""What a run reports: one record an epoch, as JSON lines and as TensorBoard events."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from groupnl.training.folder import RunFolder
from groupnl.training.run_file import write_run_file


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: From 1.
        step: Steps taken since the run began.
        train_loss: Mean over the images of the epoch, as they were trained on (augmented, mixed, smoothed,
            taught).
        train_accuracy: On the same images, in [0, 1]; for mixed images the label with the larger share counts, of
            several views of an image only the plain one.
        test_accuracy: In [0, 1]; None where it was not measured.
        lr: Learning rate of the last step.
        train_set_accuracy: Of the weights as tested, on the training set as it is (nothing augmented), in [0, 1]; None
            but for the last epoch of a run with a test set.
        seconds: Wall time of the epoch's training steps; tests and saving not included.
        images_per_second: Of the training steps, all processes together.
    """

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float | None
    lr: float
    seconds: float
    images_per_second: float
    train_set_accuracy: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)


class RunLog:
    """Writes ``log.jsonl`` and the TensorBoard events of a run.

    The saved state is what counts: what a killed run wrote after its last state is taken back here, so that every epoch
    comes exactly once.
    """

    def __init__(self, folder: RunFolder, history: list[EpochRecord]):
        """Begin, or go on after the epochs of ``history``."""
        from torch.utils.tensorboard import SummaryWriter  # heavy: only where a run is made

        lines = "".join(_line(record) for record in history)
        write_run_file(folder.log, lambda file: file.write(lines.encode()))
        self._file = folder.log.open("a", encoding="utf-8")
        last_step = history[-1].step if history else 0
        self._events = SummaryWriter(str(folder.tensorboard), purge_step=last_step + 1)

    def write(self, record: EpochRecord) -> None:
        """Add an epoch; it is in the files when this returns."""
        self._file.write(_line(record))
        self._file.flush()
        scalars = {
            "train/loss": record.train_loss,
            "train/accuracy": record.train_accuracy,
            "train_set/accuracy": record.train_set_accuracy,
            "test/accuracy": record.test_accuracy,
            "learning_rate": record.lr,
            "images_per_second": record.images_per_second,
        }
        for name, value in scalars.items():
            if value is not None and math.isfinite(value):
                self._events.add_scalar(name, value, record.step)
        self._events.flush()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._events.close()


def _line(record: EpochRecord) -> str:
    return json.dumps(record.to_dict(), allow_nan=False) + "\n"
