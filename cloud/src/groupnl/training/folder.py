"""The folder of a run: what lies where, and who may begin or go on in it."""

from dataclasses import dataclass
from pathlib import Path

_OURS = ("config.json", "state.pt", "log.jsonl", "result.json", "model.safetensors", "tensorboard")


@dataclass(frozen=True)
class RunFolder:
    """Paths within a run's folder.

    Attributes:
        path: The folder itself.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Settings and data, for people and programs; written once."""
        return self.path / "config.json"

    @property
    def state(self) -> Path:
        """What a resumed run starts from."""
        return self.path / "state.pt"

    @property
    def log(self) -> Path:
        """One JSON object a finished epoch."""
        return self.path / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        """The trained net."""
        return self.path / "model.safetensors"

    @property
    def result(self) -> Path:
        """Written last: where it is, the run is finished."""
        return self.path / "result.json"


def open_run_folder(path: str | Path, *, resume: bool) -> RunFolder:
    """Check that a run may begin, or go on, in a folder; nothing is written yet.

    Args:
        path: The folder; with ``resume`` it may hold a run, killed at any moment, even before its first state.
        resume: Go on with what is there.

    Raises:
        ValueError: The folder is not empty and ``resume`` is off, it holds something that is no run, or it is a file.
    """
    folder = RunFolder(Path(path))
    if not folder.path.exists():
        return folder
    if not folder.path.is_dir():
        raise ValueError(f"run_dir={str(path)!r} is a file: expected a folder, new or empty")
    names = sorted(entry.name for entry in folder.path.iterdir())
    if names and not resume:
        kind = (
            "a run"
            if folder.state.exists()
            else f"other files ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        )
        raise ValueError(
            f"run_dir={str(path)!r} already holds {kind}, and runs are never overwritten: "
            "give another folder, resume the run (resume=True, --resume), or delete it yourself"
        )
    if not folder.state.exists():
        strange = [name for name in names if name.removeprefix(".").removesuffix(".tmp") not in _OURS]
        if strange:
            raise ValueError(
                f"run_dir={str(path)!r} holds no run to resume ({folder.state.name} is absent) but other files "
                f"({', '.join(strange[:3])}): give the folder of a run, or a new one"
            )
    return folder
