"""Every epoch is logged once, whatever was written before a kill."""

import json
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from groupnl.training import EpochRecord
from groupnl.training.folder import RunFolder
from groupnl.training.log import RunLog


def record(epoch: int, test_accuracy: float | None = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        step=10 * epoch,
        train_loss=1 / epoch,
        train_accuracy=0.25,
        test_accuracy=test_accuracy,
        lr=0.1,
        seconds=2.0,
        images_per_second=100.0,
    )


def lines(folder: RunFolder) -> list[EpochRecord]:
    return [EpochRecord(**json.loads(line)) for line in folder.log.read_text().splitlines()]


def test_an_epoch_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log = RunLog(folder, [])
    log.write(record(1))
    assert lines(folder) == [record(1)]
    log.write(record(2, None))
    assert lines(folder) == [record(1), record(2, None)]
    assert json.loads(folder.log.read_text().splitlines()[1])["test_accuracy"] is None
    log.close()


def test_what_came_after_the_last_state_is_taken_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log = RunLog(folder, [])
    for epoch in (1, 2, 3):
        log.write(record(epoch))
    log.close()
    with folder.log.open("a") as file:
        file.write('{"epoch": 4, "ste')  # killed in the middle of a line
    time.sleep(1.1)  # TensorBoard sorts its files by the second they were begun in, then by a number without zeros
    log = RunLog(folder, [record(1), record(2)])
    log.write(record(3, 0.75))
    log.close()
    assert lines(folder) == [record(1), record(2), record(3, 0.75)]
    events = EventAccumulator(str(folder.tensorboard))
    events.Reload()
    measured = [(event.step, event.value) for event in events.Scalars("test/accuracy")]
    assert measured == [(10, 0.5), (20, 0.5), (30, 0.75)]
    assert {"train/loss", "train/accuracy", "learning_rate", "images_per_second"} <= set(events.Tags()["scalars"])
