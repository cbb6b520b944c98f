"""Put the images of each condition through a net and keep its answers; what is on the disk is not asked again."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groupnl.evaluation.answers import ANSWER, Condition
from groupnl.evaluation.answers_folder import AnswersFolder
from groupnl.evaluation.inference import Pass
from groupnl.evaluation.processes import Processes
from groupnl.evaluation.sources import Source

Progress = Callable[[str, int, int], None]  # (what runs, images done, images in all)


def give_answers(
    run: Pass,
    source: Source,
    conditions: Sequence[Condition],
    *,
    folder: AnswersFolder | None,
    together: Processes,
    progress: Progress | None,
) -> dict[Condition, NDArray[np.void]]:
    """Answer all images under each condition.

    Args:
        run: The net and the data.
        source: Of the images.
        conditions: In this order.
        folder: Where answers are read from and added to; only the first process's matters.
        together: The processes that share the work.
        progress: Called after each batch, and first of all with what was done before.

    Returns:
        Per condition the answers, of dtype ``ANSWER``, shape (N,). Those that were on the disk are there in the first
        process only.
    """
    count = len(run.data)
    total = count * len(conditions)
    before = together.from_first([] if folder is None else folder.finished(conditions))
    done = count * len(before)
    if before and progress is not None:
        progress("done before", done, total)
    given: dict[Condition, NDArray[np.void]] = {}
    with ThreadPoolExecutor(max_workers=1) as reader:
        for condition in conditions:
            if condition in before:
                if folder is not None:
                    given[condition] = folder.read(condition)
                continue

            def report(stop: int, condition: Condition = condition, start: int = done) -> None:
                if progress is not None:
                    progress(condition.label, start + stop, total)

            given[condition] = _answers(run, source, condition, together, reader, report)
            done += count
            if folder is not None:
                folder.write(condition, given[condition])
    return given


def _answers(
    run: Pass,
    source: Source,
    condition: Condition,
    together: Processes,
    reader: ThreadPoolExecutor,
    report: Callable[[int], None],
) -> NDArray[np.void]:
    """The answers under one condition: this process's batches, joined with those of the others."""
    count = len(run.data)
    predicted = torch.zeros(count, dtype=torch.int32)
    confidence = torch.zeros(count, dtype=torch.float32)
    mine = [batch for number, batch in enumerate(run.batches()) if together.has(number)]
    reached = 0
    for batch, read in _ahead(mine, lambda batch: source.read(condition, batch), reader):
        images = source.finish(read.to(run.device), condition, batch)
        logits = run.logits(images, batch)
        chosen = logits.argmax(1)
        predicted[batch.start : batch.stop] = chosen.to("cpu", torch.int32)
        confidence[batch.start : batch.stop] = _probability_of_the_highest(logits).to("cpu", torch.float32)
        reached = batch.stop
        report(reached)
    predicted, confidence = together.summed(predicted), together.summed(confidence)
    if reached < count:  # the last batch was another process's
        report(count)
    answers = np.empty(count, ANSWER)
    answers["predicted"], answers["confidence"] = predicted.numpy(), confidence.numpy()
    return answers


def _ahead(
    batches: Sequence[range], read: Callable[[range], Tensor], reader: ThreadPoolExecutor
) -> Iterator[tuple[range, Tensor]]:
    """Each batch with its images, the next one being read meanwhile."""
    coming: Future[Tensor] | None = reader.submit(read, batches[0]) if batches else None
    for number, batch in enumerate(batches):
        assert coming is not None  # noqa: S101  # for the type checker
        images = coming.result()
        coming = reader.submit(read, batches[number + 1]) if number + 1 < len(batches) else None
        yield batch, images


def _probability_of_the_highest(logits: Tensor) -> Tensor:
    """The softmax's highest value, shape (N,): ``1 / sum(exp(l - max l))``; infinite logits are allowed."""
    wide = logits if logits.dtype == torch.float64 else logits.to(torch.float32)
    highest = wide.max(1, keepdim=True).values
    return 1 / torch.where(wide == highest, 0.0, wide - highest).exp().sum(1)
