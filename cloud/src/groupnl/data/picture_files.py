"""Which files of a folder are pictures."""

from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")


def is_picture(path: Path) -> bool:
    """Tell by the name whether a file is a picture; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
