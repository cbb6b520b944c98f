"""AugMix, PixMix and RandAugment on a whole batch at once, on the batch's device: no per-image Python, no workers.

Draws are made on the CPU for the whole batch of a step and are a pure function of (seed, epoch, step); the operations
agree with Pillow's, picture by picture.
"""

from groupnl.training.augment.views import Augmenter

__all__ = ["Augmenter"]
