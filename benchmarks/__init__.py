"""Measurements, one command each; their JSON lies in ``results/``. Run them from the repository's root."""
