"""The state of a run between two steps: saved whole or not at all, read without running any code."""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groupnl.training.config import FIELDS_WITHOUT_EFFECT, TrainConfig
from groupnl.training.errors import TrainingError
from groupnl.training.run_file import write_run_file

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Everything that the next step depends on and that is not a function of (seed, epoch, step).

    Attributes:
        config: ``TrainConfig.to_dict()``.
        data: Description of the data, the preprocessing and the teacher, compared when a run resumes.
        epoch: Epochs that are complete.
        index: Steps taken in the epoch that is not.
        step: Steps taken in all.
        model: State dict of the net in training.
        ema: State dict of the averaged net, or None.
        optimizer: The optimiser's state dict.
        scaler: The loss scaler's state dict (fp16), or None.
        totals: Sums over the images of the epoch that is not complete: loss, right answers, images; shape (3,).
        seconds: Spent on the steps of that epoch.
        history: One record a complete epoch.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    epoch: int
    index: int
    step: int
    model: dict[str, Any]
    ema: dict[str, Any] | None
    optimizer: dict[str, Any]
    scaler: dict[str, Any] | None
    totals: Tensor
    seconds: float
    history: list[dict[str, Any]]


def save_state(state: RunState, path: Path) -> None:
    """Write a state atomically.

    Raises:
        TrainingError: It cannot be written (the previous state is intact), or the net keeps something in its state dict
            that could only be read back by running code from the file.
    """
    content = {"format": FORMAT, "torch": str(torch.__version__), **vars(state)}
    _check_plain(content, "state")
    write_run_file(path, lambda file: torch.save(content, file))


def load_state(path: Path) -> RunState:
    """Read a state; ``weights_only``, so that no code in the file can run.

    Raises:
        TrainingError: The file is damaged, no state, or of another format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        format_ = content.pop("format")
        content.pop("torch")
        if format_ != FORMAT:
            raise TrainingError(
                f"{path} has format {format_}, this version reads {FORMAT}: resume with the version that wrote it"
            )
        return RunState(**content)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(f"cannot read {path}: {error}; start the run again in a new folder") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"{path} is not the state of a run ({error}); start the run again in a new folder"
        ) from error


def check_same_run(state: RunState, *, config: dict[str, Any], data: dict[str, Any], model: Mapping[str, Any]) -> None:
    """Check that a run is resumed with what it was begun with.

    Args:
        state: As read.
        config: Of the resumed run, ``TrainConfig.to_dict()``.
        data: Of the resumed run.
        model: State dict of the net given to the resumed run; names and shapes are compared.

    Raises:
        ValueError: Something differs; the message lists what.
    """
    # A setting that is newer than the run: its default is what the run was begun with.
    newer = {
        name: value for name, value in TrainConfig().to_dict().items() if name in config.keys() - state.config.keys()
    }
    begun_with = {**state.config, **newer}
    differences = [
        *_differences(begun_with, {k: v for k, v in config.items() if k not in FIELDS_WITHOUT_EFFECT}),
        *_differences(state.data, data),
        *_differences(_shapes(state.model), _shapes(model)),
    ]
    if differences:
        shown = "; ".join(differences[:5]) + (f"; and {len(differences) - 5} more" if len(differences) > 5 else "")
        raise ValueError(
            f"the run cannot be resumed with other settings, data, teacher or net than it was begun with: {shown}. "
            "Give the same, or start a new run in another folder"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Entries that differ, in words; entries of ``before`` that settings without effect explain are left out."""
    names = [name for name in {**before, **now} if name not in FIELDS_WITHOUT_EFFECT]
    return [
        f"{name} was {_short(before.get(name, 'absent'))}, now {_short(now.get(name, 'absent'))}"
        for name in names
        if name not in before or name not in now or before[name] != now[name]
    ]


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else text[:77] + "..."


def _shapes(state_dict: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"net's {name}": str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
        for name, value in state_dict.items()
    }


# What torch.load(weights_only=True) builds; subclasses, such as the str that is torch's own version, are refused.
_PLAIN = (type(None), bool, int, float, str, Tensor, nn.Parameter)
_CONTAINERS = (list, tuple, dict, OrderedDict)


def _check_plain(value: Any, place: str) -> None:
    """Refuse now what could not be read back when the run resumes."""
    if type(value) in _PLAIN:
        return
    if type(value) not in _CONTAINERS:
        raise TrainingError(
            f"{place} is a {type(value).__name__}, which cannot be saved for a safe resume: let the net's "
            "get_extra_state and the optimiser keep tensors, numbers, strings, lists and dicts only"
        )
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        _check_plain(key, f"a key of {place}")
        _check_plain(item, f"{place}[{key!r}]")
