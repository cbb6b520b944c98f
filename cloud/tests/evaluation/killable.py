"""Evaluates a small net in children that kill themselves: `python killable.py '[[FOLDER, N], ...]'`.

The n-th event kills (0: none): a call of the net, or either side of a file's writing. Each child's end is printed as a
line of JSON: what killed it, or the number of events and the result.
"""

import json
import os
import signal
import sys
from typing import Any

import torch
from torch import Tensor, nn

from groupnl.data import ImageSet
from groupnl.evaluation import answers_folder, evaluate
from groupnl_device.preprocessing import Preprocessing

count = kill_at = 0


def happen() -> None:
    global count
    count += 1
    if count == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 12 * 12, 5)

    def forward(self, images: Tensor) -> Tensor:
        happen()
        logits: Tensor = self.linear(images.flatten(1))
        return logits


def around(path: Any, write: Any) -> None:
    happen()
    whole(path, write)
    happen()


whole, answers_folder.write_atomically = answers_folder.write_atomically, around
torch.manual_seed(0)
net = Net()
data = ImageSet(
    name="noise",
    split="test",
    images=torch.randint(0, 256, (10, 3, 12, 12), dtype=torch.uint8),
    labels=torch.randint(0, 5, (10,)),
    class_names=tuple("abcde"),
    horizontal_flip=False,
)
for folder, kill_at in json.loads(sys.argv[1]):  # noqa: B007  # kill_at is global, happen() reads it
    child = os.fork()
    if child == 0:
        found = evaluate(
            net,
            data,
            preprocessing=Preprocessing(input_size=(3, 12, 12), mean=(0.5,) * 3, std=(0.5,) * 3),
            corruptions=["gaussian_noise", "contrast"],
            severities=[1, 5],
            batch_size=4,
            answers_dir=folder,
        )
        print(json.dumps({"killed_by": None, "events": count, "result": found.to_dict()}), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        print(json.dumps({"killed_by": os.WTERMSIG(status)}), flush=True)
    elif status:
        sys.exit(1)
