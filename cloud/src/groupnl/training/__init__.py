"""One training engine for every net: device-resident data, timm's parts, Accelerate's devices and processes.

A run lives in a folder: settings, log, TensorBoard events, a state written atomically from which ``resume`` goes on
after a kill at any moment to the same weights, and at the end the trained net.
"""

from groupnl.training.config import TrainConfig
from groupnl.training.engine import train
from groupnl.training.errors import TrainingError
from groupnl.training.log import EpochRecord
from groupnl.training.result import TrainResult

__all__ = ["EpochRecord", "TrainConfig", "TrainResult", "TrainingError", "train"]
