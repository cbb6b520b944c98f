"""Where corrupted images come from: made here as they are needed, or read from a corrupted copy of the data.

Both kinds say what a result says of them (``corruptions``, ``severities``, ``origin``, ``name``, ``variant``, ``seed``,
``frost_source``, as in ``Evaluation``), ``read`` what lies on the disk, which happens ahead of time in a thread, and
``finish`` it on the net's device.
"""

from collections.abc import Sequence
from importlib import metadata
from typing import cast

import torch
from torch import Tensor

from groupnl.corruptions import (
    CORRUPTIONS,
    FAMILIES,
    SEVERITIES,
    FrostPhotographs,
    Selection,
    Variant,
    corrupt,
    find_frost_photographs,
    names,
)
from groupnl.data import CorruptedSet, ImageSet
from groupnl.evaluation.answers import CLEAN, Condition
from groupnl.evaluation.result import CorruptionSet, Origin


class Generated:
    """Corrupts each batch where the net is; an image's draws depend on the seed and its index alone."""

    origin: Origin = "generated"

    def __init__(
        self,
        data: ImageSet,
        corruptions: Sequence[str] | Selection,
        severities: Sequence[int],
        *,
        variant: Variant,
        seed: int,
        frost_photographs: FrostPhotographs | None,
    ) -> None:
        """Refuses what ``corrupt`` would refuse, before any work is done."""
        self._data = data
        self.corruptions = _named(corruptions, names("all"))
        self.severities = checked_severities(severities)
        self.variant, self.seed = variant, seed
        self._frost = None
        if "frost" in self.corruptions:
            self._frost = frost_photographs if frost_photographs is not None else find_frost_photographs()
        self.frost_source = None if self._frost is None else self._frost.source
        self.name = f"groupnl {metadata.version('groupnl')}, seed {seed}"
        none = torch.empty((0, *data.images.shape[1:]), dtype=torch.uint8)
        for corruption in self.corruptions:
            self.finish(none, Condition(corruption, 1), range(0))

    def read(self, _condition: Condition, batch: range) -> Tensor:
        """The clean images."""
        return self._data.images[batch.start : batch.stop]

    def finish(self, images: Tensor, condition: Condition, batch: range) -> Tensor:
        """Corrupt them."""
        if condition == CLEAN:
            return images
        return corrupt(
            images,
            condition.corruption,
            severity=condition.severity,
            variant=self.variant,
            seed=self.seed,
            first_index=batch.start,
            frost_photographs=self._frost,
        )


class Read:
    """Reads a corrupted copy of the data, such as CIFAR-10-C."""

    def __init__(
        self,
        data: ImageSet,
        corrupted: CorruptedSet,
        corruptions: Sequence[str] | Selection,
        severities: Sequence[int],
    ) -> None:
        """Refuses corruptions and severities that the copy does not have."""
        self._data, self._corrupted = data, corrupted
        self.corruptions = _named(corruptions, corrupted.corruptions)
        self.severities = checked_severities(severities)
        for kind, wanted, there in (
            ("corruptions", self.corruptions, tuple(corrupted.corruptions)),
            ("severities", self.severities, tuple(corrupted.severities)),
        ):
            if missing := [str(one) for one in wanted if one not in there]:
                raise ValueError(
                    f"{corrupted.name} has no {kind} {', '.join(missing)}; it has {', '.join(map(str, there))}"
                )
        self.origin: Origin = corrupted.origin
        header = None if corrupted.manifest is None else corrupted.manifest.header
        is_lossy = header is not None and header.encoding == "jpeg"
        self.name = f"{corrupted.source}, stored as JPEG" if is_lossy else corrupted.source
        self.variant: Variant | None = None if header is None else cast("Variant", header.variant)
        self.seed = None if header is None else header.seed
        self.frost_source = corrupted.frost_source if "frost" in self.corruptions else None

    def read(self, condition: Condition, batch: range) -> Tensor:
        """The images as they lie on the disk."""
        if condition == CLEAN:
            return self._data.images[batch.start : batch.stop]
        return self._corrupted.images(condition.corruption, condition.severity, batch)

    def finish(self, images: Tensor, _condition: Condition, _batch: range) -> Tensor:
        """Nothing is left to do."""
        return images


Source = Generated | Read


def set_of(corruptions: Sequence[str]) -> CorruptionSet:
    """What a list of corruptions is called in results."""
    if set(corruptions) == set(names("mce15")):
        return "mce15"
    return "all" if set(corruptions) == set(names("all")) else "custom"


def family_of(corruption: str) -> str:
    """The family of a corruption; "other" for one of another benchmark."""
    return CORRUPTIONS[corruption].family if corruption in CORRUPTIONS else "other"


def checked_severities(severities: Sequence[int]) -> tuple[int, ...]:
    """Severities in ascending order.

    Raises:
        ValueError: They are not one or more different integers from 1 to 5.
    """
    given = tuple(severities) if isinstance(severities, Sequence) and not isinstance(severities, str) else ()
    if not given or len(set(given)) != len(given):
        raise ValueError(f"severities={severities!r}: expected one or more different integers from 1 to 5")
    for severity in given:
        if isinstance(severity, bool) or not isinstance(severity, int) or severity not in SEVERITIES:
            raise ValueError(f"severities={severities!r}: expected integers from 1 (mild) to 5 (strong)")
    return tuple(sorted(given))


def _named(corruptions: Sequence[str] | Selection, there: Sequence[str]) -> tuple[str, ...]:
    """A selection or a list as names; "all" is all that there are."""
    if isinstance(corruptions, str):
        if corruptions not in ("all", "mce15", *FAMILIES):
            raise ValueError(
                f"corruptions={corruptions!r}: expected 'all', 'mce15', a family ({', '.join(FAMILIES)}) or a list of "
                f"names; names are {', '.join(there)}"
            )
        return tuple(there) if corruptions == "all" else names(cast("Selection", corruptions))
    chosen = tuple(corruptions)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"corruptions={chosen!r}: each may be named once")
    return chosen
