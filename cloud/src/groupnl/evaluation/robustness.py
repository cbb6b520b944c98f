"""``evaluate``: clean accuracy, then the error under every corruption at every severity."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from groupnl.corruptions import SEVERITIES, FrostPhotographs, Selection, Variant
from groupnl.data import CorruptedSet, ImageSet
from groupnl.evaluation.answering import Progress, give_answers
from groupnl.evaluation.answers import CLEAN, About, Answers, Condition, read_about
from groupnl.evaluation.answers_folder import AnswersFolder, hash_of_net, hash_of_pictures
from groupnl.evaluation.baselines import Baseline, checked_baseline
from groupnl.evaluation.batch_size import TRIAL, fitting_batch_size
from groupnl.evaluation.figures import figures_of
from groupnl.evaluation.inference import Net, Pass, open_pass
from groupnl.evaluation.processes import Processes
from groupnl.evaluation.result import Evaluation
from groupnl.evaluation.sources import Generated, Read, Source
from groupnl_device.preprocessing import Preprocessing


def evaluate(
    model: Net,
    data: ImageSet,
    *,
    preprocessing: Preprocessing,
    corruptions: Sequence[str] | Selection = "all",
    severities: Sequence[int] = SEVERITIES,
    variant: Variant = "cifar",
    corrupted: CorruptedSet | None = None,
    frost_photographs: FrostPhotographs | None = None,
    batch_size: int | Literal["auto"] = 256,
    device: torch.device | str | None = None,
    seed: int = 0,
    baseline: Evaluation | Sequence[Evaluation] | Baseline | None = None,
    answers_dir: str | Path | None = None,
    net_id: str | None = None,
    distributed: bool = False,
    progress: Progress | None = None,
    name: str | None = None,
) -> Evaluation:
    """Measure a net on clean and on corrupted images.

    Each batch is corrupted where the net is, used and dropped, so memory does not grow with the data. An image's
    corruption depends on its index in ``data`` and on ``seed``, not on ``batch_size`` or the device.

    Source: Hendrycks & Dietterich, arXiv 1903.12261.

    Args:
        model: Any callable from normalised images (N, 3, H, W) to logits (N, K). A module runs in ``eval()``, on its
            own device and in its weights' dtype, and gets its training flags back; another callable is given float32.
        data: N images of K classes.
        preprocessing: Only its size, mean and std matter here: the images are decoded already.
        corruptions: Names, or ``"all"``, ``"mce15"``, or a family such as ``"noise"``; ``()`` is clean accuracy only.
        severities: From 1 to 5; a subset is allowed and recorded.
        variant: Whose constants: ``cifar`` for 32x32 images, ``imagenet`` for 224x224.
        corrupted: A corrupted copy of the data to read, such as CIFAR-10-C; None: images are corrupted here. With it
            ``variant`` and ``seed`` do not matter, and ``"all"`` means all that it has.
        frost_photographs: For frost; None: those that ``find_frost_photographs`` finds.
        batch_size: Images at a time; ``"auto"``: as many as fit in a share of the free memory.
        device: Where to run a plain callable (default: where the data are); a module must be there already.
        seed: Of the corruptions' draws.
        baseline: The net that ``ce``, ``mce`` and ``relative_mce`` refer to: another net's evaluation on the same data,
            variant, corruptions and severities (or several, of its training seeds: their mean), or ``ALEXNET`` for
            ImageNet-C.
        answers_dir: A folder for the answers to all images. A run that was killed goes on from what is in it, and
            ``compare`` reads it.
        net_id: With ``answers_dir`` or ``distributed``, what tells this net from others, such as a file's hash; by
            default a hash of a module's weights.
        distributed: All processes of ``torch.distributed`` call this and share the work; each gets the same result as
            one process alone would.
        progress: Called after each batch with ("clean" or such as "fog 3", images done, images in all); under
            ``distributed`` in the first process only.
        name: What to call the net in the result; by default its class.

    Returns:
        The accuracies and errors, each a share of the N images.

    Raises:
        ValueError: An argument is outside what is allowed above; the net's output is no (N, K) logits or holds a NaN;
            the baseline does not cover the run; the answers in the folder are another net's, or to other images.
        OSError: The folder cannot be written.
    """
    source: Source
    if corrupted is None:
        source = Generated(
            data, corruptions, severities, variant=variant, seed=seed, frost_photographs=frost_photographs
        )
    else:
        source = Read(data, corrupted, corruptions, severities)
    against = None if baseline is None else checked_baseline(baseline, data, source)
    together = Processes.find(distributed)
    is_first = together.rank == 0
    kept = None if answers_dir is None or not is_first else read_about(Path(answers_dir))
    size = TRIAL if batch_size == "auto" else batch_size
    with open_pass(model, data, preprocessing=preprocessing, batch_size=size, device=device) as run:
        if batch_size == "auto":
            run = replace(run, batch_size=_fitting(run, together, kept))
        identity = None if answers_dir is None and not distributed else _net_id(model, net_id)
        pictures = hash_of_pictures(data)
        together.check_same("net", str(identity))
        together.check_same("selection of images", pictures)
        about = About(
            name=type(model).__name__ if name is None else name,
            net=identity,
            preprocessing=preprocessing.to_dict(),
            data=data.name,
            split=data.split,
            images=len(data),
            classes=len(data.class_names),
            pictures=pictures,
            corrupted_by=source.origin,
            corrupted_source=source.name,
            variant=source.variant,
            seed=source.seed,
            frost_source=source.frost_source,
            batch_size=run.batch_size,
        )
        labels = data.labels.cpu().numpy().astype(np.int64)
        folder = None if answers_dir is None or not is_first else AnswersFolder.open(answers_dir, about, labels)
        conditions = [CLEAN, *(Condition(c, s) for c in source.corruptions for s in source.severities)]
        given = give_answers(
            run, source, conditions, folder=folder, together=together, progress=progress if is_first else None
        )
    if not is_first:
        return together.from_first(None)  # type: ignore[return-value]  # the first process's
    answers = Answers(about=about, labels=labels, given=given)
    return together.from_first(figures_of(answers, source, against, about.name))


def _fitting(run: Pass, together: Processes, kept: About | None) -> int:
    """The batch size of the run that is gone on with, else the largest that fits in every process."""
    images = run.images(range(min(TRIAL, len(run.data))))
    on_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if together.count > 1 else 1
    fitting = fitting_batch_size(lambda: run.logits(images, range(len(images))), images, on_this_machine)
    return together.from_first(kept.batch_size if kept is not None else together.smallest(fitting))


def _net_id(model: Net, given: str | None) -> str:
    if given is not None:
        return given
    if isinstance(model, nn.Module):
        return hash_of_net(model)
    raise ValueError(
        "answers_dir or distributed with a net that is no nn.Module: give net_id= as well, a text that tells it from "
        "others"
    )
