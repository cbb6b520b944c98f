"""``train``: one loop for every net, on one process or many, that a kill at any moment does not spoil."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from torch import nn

from groupnl.data import ImageSet
from groupnl.training.accuracy import measure_accuracy
from groupnl.training.config import TrainConfig
from groupnl.training.distillation import frozen_copy, with_distillation
from groupnl.training.errors import TrainingError
from groupnl.training.feed import Normalizer
from groupnl.training.folder import RunFolder, open_run_folder
from groupnl.training.inputs import check_inputs, check_output, describe_inputs
from groupnl.training.interrupt import InterruptGuard
from groupnl.training.learner import Learner
from groupnl.training.log import EpochRecord, RunLog
from groupnl.training.meter import Meter, bad_step
from groupnl.training.mixing import heavier_labels
from groupnl.training.processes import create_accelerator, largest, summed
from groupnl.training.progress import TrainingProgress
from groupnl.training.randomness import caller_generators_kept
from groupnl.training.result import TrainResult
from groupnl.training.run_file import write_run_file
from groupnl.training.state import RunState, check_same_run, load_state, save_state
from groupnl.training.stream import create_feed, resident
from groupnl_device.preprocessing import Preprocessing

Save = Callable[[nn.Module, Path], None]

# Steps between two looks at the device: a look waits for it, and with several processes it is a message to all.
_LOOK_STEPS = 20


def train(
    model: nn.Module,
    train_set: ImageSet,
    test_set: ImageSet | None,
    config: TrainConfig,
    run_dir: str | Path,
    *,
    preprocessing: Preprocessing,
    teacher: nn.Module | None = None,
    resume: bool = False,
    save: Save | None = None,
    progress: bool = True,
) -> TrainResult:
    """Train a net and leave its weights, log and resumable state in a folder.

    A run that was killed at any moment and is resumed (with the same arguments, versions and number of threads) ends
    with the weights of the uninterrupted run, bit for bit on a CPU. With several processes (torchrun, ``accelerate
    launch``) every process calls this with the same arguments and a folder that all of them see; the main one writes.

    Args:
        model: From images (N, C, H, W) to logits (N, K). Trained in place and moved to the training device; at the end
            it is in eval mode with the weights that were tested and saved (the averaged ones with ``ema_decay``).
        train_set: At least ``config.batch_size`` images.
        test_set: With the same classes; None: nothing is measured.
        config: The settings.
        run_dir: A new or empty folder; with ``resume`` also one that a run was begun in.
        preprocessing: Its mean and std normalise the images, its ``input_size`` is checked.
        teacher: A trained net, from the same normalised images to logits (N, K), whose answers are learned beside the
            labels (knowledge distillation). It is copied and stays as it is. A resumed run needs the same one.
        resume: Go on from the last saved state; a run killed before its first state begins anew, a finished one is
            only read.
        save: Called once, at the end and in the main process, with the net and ``run_dir/model.safetensors``.
        progress: Show a bar when standard error is a terminal, and say what happens.

    Returns:
        What the run came to; the same for a run that was already finished.

    Raises:
        ValueError: Arguments do not fit together, the folder is not free, or a resumed run was begun with others.
        TrainingError: The loss is no longer finite, or the state cannot be written or read; the last good state is
            kept.
        KeyboardInterrupt: After Ctrl-C, with the state saved at the end of the step.
    """
    config = with_distillation(config, teacher)
    check_inputs(model, train_set, test_set, config, preprocessing, teacher)
    folder = open_run_folder(run_dir, resume=resume)
    accelerator = create_accelerator(config)
    with caller_generators_kept(accelerator.device):
        run = _Run(model, teacher, train_set, test_set, config, preprocessing, folder, accelerator, progress=progress)
        state = load_state(folder.state) if folder.state.exists() else None
        accelerator.wait_for_everyone()  # all have looked before the main process writes
        if state is not None:
            run.continue_from(state)
            if folder.result.exists():
                return run.finished(save)
        else:
            run.begin(resume=resume)
        run.epochs()
        return run.finish(save)


class _Run:
    """A run in one process."""

    def __init__(
        self,
        model: nn.Module,
        teacher: nn.Module | None,
        train_set: ImageSet,
        test_set: ImageSet | None,
        config: TrainConfig,
        preprocessing: Preprocessing,
        folder: RunFolder,
        accelerator: Accelerator,
        *,
        progress: bool,
    ):
        self.config, self.folder, self.accelerator = config, folder, accelerator
        self.data = describe_inputs(train_set, test_set, preprocessing, teacher)
        device, rank, ranks = accelerator.device, accelerator.process_index, accelerator.num_processes
        self.normalize = Normalizer(preprocessing, device, channels_last=config.channels_last)
        self.train_set = resident(train_set, device)
        self.test_set = None if test_set is None else resident(test_set, device)
        self.feed = create_feed(self.train_set, self.normalize, config, process=rank, processes=ranks)
        few, classes = self.normalize(train_set.images[:2].to(device)), len(train_set.class_names)
        check_output(model.to(device), few, classes)
        if teacher is not None:
            teacher = frozen_copy(teacher, device, channels_last=config.channels_last)
            check_output(teacher, few, classes, role="the teacher ")
        self.learner = Learner(
            model,
            config,
            accelerator,
            classes=classes,
            steps_per_epoch=self.feed.steps_per_epoch,
            teacher=teacher,
        )
        self.meter = Meter(device)
        self.look_every = 1 if device.type == "cpu" and ranks == 1 else _LOOK_STEPS
        self.main = accelerator.is_main_process
        self.progress_wanted = progress and self.main
        self.history: list[EpochRecord] = []
        self.epoch = self.index = self.step = self.resumed_from_step = 0
        self.seconds = 0.0
        self.saved_at = time.monotonic()

    # --- beginning and end ---

    def begin(self, *, resume: bool) -> None:
        """Make the folder and save the untrained state, so that whatever comes next can be resumed."""
        self._say("nothing to resume yet: the run begins" if resume else None)
        if self.main:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            description = {"config": self.config.to_dict(), "data": self.data}
            write_run_file(self.folder.config, lambda file: file.write(json.dumps(description, indent=2).encode()))
        self._save_state()

    def continue_from(self, state: RunState) -> None:
        """Take over a saved state."""
        check_same_run(state, config=self.config.to_dict(), data=self.data, model=self.learner.net.state_dict())
        self.learner.load(state)
        self.meter.reset(state.totals if self.main else None)
        self.epoch, self.index, self.step, self.seconds = state.epoch, state.index, state.step, state.seconds
        self.history = [EpochRecord(**record) for record in state.history]
        self.resumed_from_step = state.step

    def finish(self, save: Save | None) -> TrainResult:
        """Save the trained net, then mark the run as finished."""
        net = self.learner.finish()
        if self.main and save is not None:
            save(net, self.folder.model)
        result = self._result(save is not None)
        if self.main:
            content = json.dumps(result.to_dict(), indent=2).encode()
            write_run_file(self.folder.result, lambda file: file.write(content))
        self.accelerator.wait_for_everyone()
        return result

    def finished(self, save: Save | None) -> TrainResult:
        """The result of a run that was already complete; a net that was not saved then is saved now."""
        self._say(f"the run in {self.folder.path} is already finished: nothing to do")
        net = self.learner.finish()
        if self.main and save is not None and not self.folder.model.exists():
            save(net, self.folder.model)
        self.accelerator.wait_for_everyone()
        return self._result(self.folder.model.exists(), already_finished=True)

    def _result(self, saved: bool, *, already_finished: bool = False) -> TrainResult:
        return TrainResult(
            run_dir=self.folder.path,
            checkpoint=self.folder.model if saved else None,
            history=tuple(self.history),
            resumed_from_step=self.resumed_from_step,
            already_finished=already_finished,
        )

    # --- the loop ---

    def epochs(self) -> None:
        """Run the epochs that are left."""
        steps = self.config.epochs * self.feed.steps_per_epoch
        log = RunLog(self.folder, self.history) if self.main else None
        bar = TrainingProgress(enabled=self.progress_wanted, steps=steps, done=self.step, epochs=self.config.epochs)
        try:
            with bar, InterruptGuard() as guard:
                if self.step:
                    bar.say(f"resumed at step {self.step} of {steps}, in epoch {self.epoch + 1}")
                while self.epoch < self.config.epochs:
                    self._epoch(log, bar, guard)
        finally:
            if log is not None:
                log.close()

    def _epoch(self, log: RunLog | None, bar: TrainingProgress, guard: InterruptGuard) -> None:
        """Run what is left of an epoch, measure, log, save."""
        self.learner.train_mode()
        started, seconds_before = time.perf_counter(), self.seconds
        due = stop = False
        while self.index < self.feed.steps_per_epoch:
            batch = self.feed.batch(self.epoch, self.index)
            loss, logits = self.learner.step(batch, epoch=self.epoch, index=self.index, step=self.step)
            self.meter.add(loss, logits, heavier_labels(batch.labels, batch.mix), step=self.step)
            self.index += 1
            self.step += 1
            last = self.index == self.feed.steps_per_epoch
            if not last and self.step % self.look_every:
                continue
            due, stop = self._look(guard)
            self.seconds = seconds_before + time.perf_counter() - started
            if bar.visible:
                total_loss, right, images = self.meter.totals.tolist()
                bar.show(epoch=self.epoch + 1, step=self.step, loss=total_loss / images, accuracy=right / images)
            if not last and (due or stop):
                paused = time.perf_counter()
                self._save_state()
                started += time.perf_counter() - paused
                self._stop_if(stop, bar)
        record = self._record(bar)
        self.history.append(record)
        self.epoch, self.index, self.seconds = self.epoch + 1, 0, 0.0
        self.meter.reset()
        if log is not None:
            log.write(record)
        if due or stop or self.epoch % self.config.checkpoint_epochs == 0 or self.epoch == self.config.epochs:
            self._save_state()
        self._stop_if(stop and self.epoch < self.config.epochs, bar)

    def _look(self, guard: InterruptGuard) -> tuple[bool, bool]:
        """Wait for the device: is the loss finite, is a state due, is Ctrl-C pressed, in any process?"""
        age = self.config.checkpoint_seconds
        due = age is not None and time.monotonic() - self.saved_at >= age
        divergence = self.meter.divergence
        flags = torch.stack(
            [divergence, *torch.tensor([due, guard.requested], dtype=torch.int64, device=divergence.device)]
        )
        diverged, due_any, stop_any = largest(flags, self.accelerator).tolist()
        bad = bad_step(int(diverged))
        if bad is not None:
            self._fail(f"the loss of step {bad} (epoch {bad // self.feed.steps_per_epoch + 1}) is not finite")
        return bool(due_any), bool(stop_any)

    def _record(self, bar: TrainingProgress) -> EpochRecord:
        """Measure the epoch that has just ended."""
        loss, right, images = summed(self.meter.totals, self.accelerator).tolist()
        number = self.epoch + 1
        last = number == self.config.epochs
        accuracy = train_set_accuracy = None
        if self.test_set is not None and (last or number % self.config.test_every == 0):
            accuracy = self._accuracy(self.test_set)
            train_set_accuracy = self._accuracy(self.train_set) if last else None
            bar.measured(accuracy)
        return EpochRecord(
            epoch=number,
            step=self.step,
            train_loss=loss / images,
            train_accuracy=right / images,
            test_accuracy=accuracy,
            lr=self.learner.lr,
            seconds=self.seconds,
            images_per_second=images / max(self.seconds, 1e-9),
            train_set_accuracy=train_set_accuracy,
        )

    def _accuracy(self, data: ImageSet) -> float:
        """Accuracy of the weights that would be saved now, in [0, 1]."""
        size = max(64, self.config.batch_size // self.accelerator.num_processes)
        return measure_accuracy(self.learner.result, data, self.normalize, self.accelerator, batch_size=size)

    def _save_state(self) -> None:
        """Save where the run is; every process takes part, the main one writes."""
        if not self.learner.is_finite():
            self._fail(f"the weights are not finite after {self.step} steps")
        totals = summed(self.meter.totals, self.accelerator)
        if self.main:
            state = RunState(
                config=self.config.to_dict(),
                data=self.data,
                epoch=self.epoch,
                index=self.index,
                step=self.step,
                totals=totals,
                seconds=self.seconds,
                history=[record.to_dict() for record in self.history],
                **self.learner.state(),
            )
            save_state(state, self.folder.state)
        self.saved_at = time.monotonic()

    def _fail(self, what: str) -> NoReturn:
        kept = (
            f"the last good state is kept in {self.folder.state}"
            if self.folder.state.exists()
            else "no state was saved"
        )
        raise TrainingError(
            f"{what}; {kept}. The run diverged: begin a new one with a lower lr (now {self.config.lr:g}), a longer "
            "warmup_epochs, clip_grad=1.0, or precision='fp32'; look for inf or nan in the net's initial weights"
        )

    def _stop_if(self, stop: bool, bar: TrainingProgress) -> None:
        if stop:
            bar.say(f"stopped after step {self.step}; go on with resume=True (--resume)")
            raise KeyboardInterrupt

    def _say(self, message: str | None) -> None:
        if message is not None:
            TrainingProgress(enabled=self.progress_wanted, steps=0, done=0, epochs=0).say(message)
