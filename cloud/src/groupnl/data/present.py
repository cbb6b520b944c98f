"""Say plainly which files of a dataset are missing and where they are published."""

from collections.abc import Sequence
from pathlib import Path


def require(paths: Sequence[Path], dataset: str, published: str) -> None:
    """Refuse to go on while a file or folder is absent.

    Args:
        paths: What must be there.
        dataset: Its name, for the message.
        published: The publisher's page, for the message.

    Raises:
        FileNotFoundError: At least one is absent.
    """
    absent = [path for path in paths if not path.exists()]
    if absent:
        more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        raise FileNotFoundError(
            f"{dataset}: {absent[0]} is not there{more}. Expected under data_dir: "
            f"{', '.join(f'{path.parent.name}/{path.name}' for path in paths)}. Published at {published}; groupnl "
            "downloads nothing by itself."
        )
