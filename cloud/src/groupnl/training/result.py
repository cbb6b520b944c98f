"""What a finished run gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groupnl.training.log import EpochRecord


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished run.

    Attributes:
        run_dir: Its folder.
        checkpoint: The saved net, or None when nothing was given to save it with.
        history: One record an epoch.
        resumed_from_step: Steps that were already taken when this call began; 0 for a new run.
        already_finished: The run was complete: nothing was computed, the net got the run's weights.
    """

    run_dir: Path
    checkpoint: Path | None
    history: tuple[EpochRecord, ...]
    resumed_from_step: int = 0
    already_finished: bool = False

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.history[-1].step

    @property
    def train_loss(self) -> float:
        """Mean training loss of the last epoch."""
        return self.history[-1].train_loss

    @property
    def train_accuracy(self) -> float:
        """Training accuracy of the last epoch, in [0, 1]."""
        return self.history[-1].train_accuracy

    @property
    def test_accuracy(self) -> float | None:
        """Accuracy of the saved weights on the test set, in [0, 1]; None without a test set."""
        return self.history[-1].test_accuracy

    @property
    def train_set_accuracy(self) -> float | None:
        """Accuracy of the saved weights on the training set, nothing augmented, in [0, 1]; None without a test set."""
        return self.history[-1].train_set_accuracy

    @property
    def train_minus_test(self) -> float | None:
        """How much better the saved weights do on the training set than on the test set, in [-1, 1]."""
        if self.train_set_accuracy is None or self.test_accuracy is None:
            return None
        return self.train_set_accuracy - self.test_accuracy

    @property
    def seconds(self) -> float:
        """Wall time of all training steps, over all the times that the run was resumed."""
        return sum(record.seconds for record in self.history)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "epochs": len(self.history),
            "steps": self.steps,
            "train_loss": self.train_loss,
            "train_accuracy": self.train_accuracy,
            "train_set_accuracy": self.train_set_accuracy,
            "test_accuracy": self.test_accuracy,
            "train_minus_test": self.train_minus_test,
            "train_seconds": self.seconds,
            "checkpoint": None if self.checkpoint is None else self.checkpoint.name,
            "history": [record.to_dict() for record in self.history],
        }
