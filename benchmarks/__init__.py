"""Measurements, one command each; their JSON lies in ``results/``. Run them from the repository's root."""

import os

os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # before torch is imported: its profiler greets on the standard error
