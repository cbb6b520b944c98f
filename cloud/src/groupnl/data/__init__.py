"""Pictures to train and measure on: OpenIcons (shipped inside), the usual sets, your own folders, corrupted copies.

``load`` reads one split as an ``ImageSet`` of uint8 images, which moves to the training device whole; there
``random_crop_flip`` varies a batch at a time. ``open_corrupted`` reads CIFAR-10-C, ImageNet-C and sets like them.
"""

from groupnl.data.augment import random_crop_flip
from groupnl.data.contact_sheet import contact_sheet
from groupnl.data.corrupted import CorruptedSet, find_corrupted, open_corrupted
from groupnl.data.image_set import ImageSet
from groupnl.data.lazy_images import LazyImages
from groupnl.data.loading import load, names, protocols

__all__ = [
    "CorruptedSet",
    "ImageSet",
    "LazyImages",
    "contact_sheet",
    "find_corrupted",
    "load",
    "names",
    "open_corrupted",
    "protocols",
    "random_crop_flip",
]
