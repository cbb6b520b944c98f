"""Without a GPU the kernels in Triton are tested in its interpreter, which it asks for once, when first imported.

Nothing is kept in the cache of the user who runs the tests.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ["GROUPNL_CACHE_DIR"] = ""
