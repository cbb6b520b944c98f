"""Where a process runs; the processes of torchrun are tested with the commands that they run."""

import pytest
import torch

from groupnl.cli.launch import launched


def test_one_process_on_the_cpu():
    with launched("cpu") as launch:
        assert (launch.device, launch.distributed, launch.is_first) == ("cpu", False, True)
    assert not torch.distributed.is_initialized()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu():
    with launched(None) as launch:
        assert launch.device == "cpu"
    refused = pytest.raises(
        ValueError, match=r"--device cuda: process 0 of this machine finds 0 GPUs; give --device cpu"
    )
    with refused, launched("cuda"):
        pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_with_a_gpu():
    with launched(None) as launch:
        assert torch.device(launch.device).type == "cuda"
