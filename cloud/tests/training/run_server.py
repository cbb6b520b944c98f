"""Starts training runs in processes of their own, without importing torch anew for each: `python run_server.py`.

Each line of standard input is a JSON list of commands. It forks a child for each, waits, and prints the list of exit
statuses (negative: killed by that signal). A child calls `train` and ends. With "kill_at": n it sends itself SIGKILL at
its n-th event: before or after a step, a log line, a flush to the disk, a rename, the model's saving, or with half of a
state's bytes written; with "kill_at_step": n before step n. With "kill_after": s the server kills it after s seconds.
"""

import importlib.util
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils import tensorboard  # noqa: F401  # imported once, here, for all children

from groupnl.training import learner, log, state, train

spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
assert spec is not None
assert spec.loader is not None
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)


class Events:
    """Counts events and kills the process at the chosen one."""

    def __init__(self, kill_at: int | None):
        self.kill_at = kill_at
        self.counter = itertools.count()
        self.count = 0

    def happen(self) -> None:
        self.count = next(self.counter) + 1
        if self.count - 1 == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.happen()
            result = call(*args, **kwargs)
            self.happen()
            return result

        return wrapped

    def halfway(self, torch_save: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(content: Any, file: Any) -> None:
            torch_save(content, file)
            size = file.tell()
            file.truncate(size // 2)
            file.flush()
            self.happen()  # a state of which half is written
            file.seek(0)
            file.truncate(0)
            torch_save(content, file)

        return wrapped


def killing_at(step: int, take_step: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if kwargs["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(*args, **kwargs)

    return wrapped


def run(command: dict[str, Any]) -> None:
    os.dup2(2, 1)  # some versions of gloo print to stdout, where the server answers
    os.environ.update(command.get("env", {}))
    events = Events(command.get("kill_at"))
    learner.Learner.step = events.around(learner.Learner.step)
    log.RunLog.write = events.around(log.RunLog.write)
    if "kill_at_step" in command:
        learner.Learner.step = killing_at(command["kill_at_step"], learner.Learner.step)
    os.fsync = events.around(os.fsync)
    Path.replace = events.around(Path.replace)
    state.torch.save = events.halfway(torch.save)
    config = tiny.config(**command["config"])
    teacher = command.get("teacher")
    result = train(
        tiny.net(**command.get("net", {})),
        tiny.image_set(),
        tiny.image_set(16, split="test", seed=1),
        config,
        command["dir"],
        preprocessing=tiny.PREPROCESSING,
        teacher=None if teacher is None else tiny.net(**teacher),
        resume=command.get("resume", True),
        save=events.around(tiny.save),
        progress=False,
    )
    report = command.get("report")
    if report is not None:
        content = {"events": events.count, "resumed_from_step": result.resumed_from_step}
        Path(report).write_text(json.dumps({**content, "already_finished": result.already_finished}))


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        commands, children = json.loads(line), []
        for command in commands:
            child = os.fork()
            if child == 0:
                code = 0
                try:
                    run(command)
                except BaseException:
                    traceback.print_exc()
                    code = 1
                sys.stderr.flush()
                os._exit(code)
            children.append(child)
        for child, command in zip(children, commands, strict=True):
            if "kill_after" in command:
                time.sleep(command["kill_after"])
                os.kill(child, signal.SIGKILL)  # not waited for yet: the id is still the child's
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    main()
