"""How well a net does on clean and on corrupted pictures: error per corruption and severity, ``mean_error``, ``ce``.

``evaluate`` streams a dataset through a net batch by batch and returns an ``Evaluation``, which is plain JSON on
disk. ``logits`` and ``predictions`` are the same pass without the counting, to compare two forms of one net picture
by picture.
"""

from groupnl.evaluation.inference import logits, predictions
from groupnl.evaluation.result import CorruptionErrors, Evaluation
from groupnl.evaluation.robustness import evaluate

__all__ = ["CorruptionErrors", "Evaluation", "evaluate", "logits", "predictions"]
