"""Pictures to train and measure on: OpenIcons (shipped inside), CIFAR-10, GTSRB, Icons-50, your own folders.

``load`` decodes one split into an ``ImageSet``, one uint8 tensor that moves to the training device whole; there
``random_crop_flip`` varies a batch at a time.
"""

from groupnl.data.augment import random_crop_flip
from groupnl.data.contact_sheet import contact_sheet
from groupnl.data.image_set import ImageSet
from groupnl.data.loading import load, names, protocols

__all__ = ["ImageSet", "contact_sheet", "load", "names", "protocols", "random_crop_flip"]
