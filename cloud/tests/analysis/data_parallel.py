"""A GroupNL net in two processes of a gloo group that differ in all that DDP could send: `data_parallel.py FOLDER`."""

import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn

from groupnl.nn import GroupNLConv2d

child = os.fork()
rank = 0 if child else 1
distributed.init_process_group("gloo", rank=rank, world_size=2)
torch.manual_seed(rank)  # other weights in each
seeded = GroupNLConv2d(3, 8, 3, seed=rank)  # other pairs in each
explicit = GroupNLConv2d(8, 8, 3)
explicit.set_pairs_(torch.full((4, 1), 1.0 + rank), torch.full((4, 1), 3.0 + rank))
norm = nn.BatchNorm2d(8)
norm.running_mean.fill_(5.0 + rank)  # other statistics in each
model = nn.Sequential(seeded, norm, explicit)
parallel = nn.parallel.DistributedDataParallel(model)
found = {
    "buffers": [name for name, _ in model.named_buffers()],
    "parameters": [name for name, _ in parallel.module.named_parameters()],
    "seeded_before": seeded.period.flatten().tolist(),
}
norm.running_mean.fill_(5.0 + rank)  # wrapping has sent it once; what counts is the forward pass
parallel.train()
optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
for _ in range(2):
    optimizer.zero_grad()
    parallel(torch.randn(2, 3, 8, 9)).sum().backward()
    optimizer.step()
norm.running_mean.fill_(5.0 + rank)
norm.eval()  # from here on nothing but DDP writes the statistics
parallel(torch.randn(2, 3, 8, 9))
found |= {
    "seeded": seeded.period.flatten().tolist(),
    "explicit": [explicit.period.flatten().tolist(), explicit.shift.flatten().tolist()],
    "running_mean": norm.running_mean.tolist(),
    "weight": seeded.seed_conv.weight.flatten().tolist(),
}
(Path(sys.argv[1]) / f"{rank}.json").write_text(json.dumps(found))
distributed.barrier()
distributed.destroy_process_group()
if rank == 1:
    os._exit(0)
_, status = os.waitpid(child, 0)
os._exit(status)
