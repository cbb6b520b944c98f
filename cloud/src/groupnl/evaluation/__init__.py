"""How well a net does on clean and on corrupted pictures: errors, ``mce`` and its kin, calibration, how sure all is.

``evaluate`` streams a dataset through a net and returns an ``Evaluation``, which is plain JSON on disk; it can keep
the net's ``Answers`` in a folder, go on from there after a kill, and ``compare`` two nets by them, picture by picture.
"""

from groupnl.evaluation.answers import CLEAN, Answers, Condition
from groupnl.evaluation.baselines import ALEXNET, Baseline
from groupnl.evaluation.comparison import Comparison, compare
from groupnl.evaluation.inference import logits, predictions
from groupnl.evaluation.result import CorruptionErrors, Evaluation
from groupnl.evaluation.robustness import evaluate
from groupnl.evaluation.seeds import SeedFigure, SeedSummary, summarize_seeds

__all__ = [
    "ALEXNET",
    "CLEAN",
    "Answers",
    "Baseline",
    "Comparison",
    "Condition",
    "CorruptionErrors",
    "Evaluation",
    "SeedFigure",
    "SeedSummary",
    "compare",
    "evaluate",
    "logits",
    "predictions",
    "summarize_seeds",
]
