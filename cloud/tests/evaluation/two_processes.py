"""Evaluates a small net in two processes of a gloo group, and alone: `python two_processes.py FOLDER`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from groupnl.data import ImageSet
from groupnl.evaluation import evaluate
from groupnl_device.preprocessing import Preprocessing


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.linear = nn.Linear(8, 5)
        self.batches = 0

    def forward(self, images: Tensor) -> Tensor:
        self.batches += 1
        logits: Tensor = self.linear(self.conv(images).relu().mean((2, 3)))
        return logits


def measure(net: Net, folder: Path, **options: Any) -> dict[str, Any]:
    net.batches = 0
    found = evaluate(
        net,
        data,
        preprocessing=Preprocessing(input_size=(3, 12, 12), mean=(0.5,) * 3, std=(0.5,) * 3),
        corruptions=["shot_noise", "contrast"],
        severities=[1, 5],
        batch_size=4,
        answers_dir=folder,
        name="net",
        **options,
    )
    return found.to_dict()


def note(label: str, done: int, total: int) -> None:
    progress.append((label, done, total))


out = Path(sys.argv[1])
progress: list[tuple[str, int, int]] = []
torch.manual_seed(0)
net = Net()
data = ImageSet(
    name="noise",
    split="test",
    images=torch.randint(0, 256, (11, 3, 12, 12), dtype=torch.uint8),
    labels=torch.randint(0, 5, (11,)),
    class_names=tuple("abcde"),
    horizontal_flip=False,
)
alone = {"result": measure(net, out / "alone"), "batches": net.batches}
(out / "alone.json").write_text(json.dumps(alone))
child = os.fork()
rank = 0 if child else 1
distributed.init_process_group("gloo", rank=rank, world_size=2)
record: dict[str, Any] = {"result": measure(net, out / "together", distributed=True, progress=note)}
record |= {"batches": net.batches, "progress": progress}
if rank == 0:
    (out / "together" / "contrast-1.npy").unlink()
distributed.barrier()
record |= {"resumed": measure(net, out / "together", distributed=True), "batches_resumed": net.batches}
record["refused"] = None
if rank == 1:
    with torch.no_grad():
        net.linear.bias.add_(1)
try:
    measure(net, out / f"other-{rank}", distributed=True)
except ValueError as error:
    record["refused"] = str(error)
except RuntimeError:  # the other process has left
    pass
(out / f"{rank}.json").write_text(json.dumps(record))
if rank == 1:
    os._exit(0)
_, status = os.waitpid(child, 0)
os._exit(status)
